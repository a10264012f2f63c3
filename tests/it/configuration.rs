//! Targets and Secrets that change while events flow: each change takes effect, and no event is lost or
//! repeated because of it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::{EventId, Expected, Transaction},
    eventually,
    kafka::{Event, Produced},
    receiver::{Receiver, Request},
    worker::Worker,
};
use serde_json::{Value, json};

use crate::{
    manifest::Manifest,
    site::{Flow, PARTITIONS, SOON, Site, some_events},
    told::shows,
};

/// Waits until all of `produced` came, each event once and in order.
async fn all_came_once(
    topic: &str,
    produced: &Produced,
    accepted: impl Fn() -> Result<Vec<Transaction>>,
) -> Result<()> {
    let mut expected = Expected::default();
    expected.add_produced(topic, produced);
    eventually("every event once", SOON, async || {
        expected.compare(&accepted()?).kept_exactly_once()
    })
    .await?;
    Ok(())
}

/// Waits until a request came of which `wanted` holds.
async fn request(receiver: &Receiver, wanted: impl Fn(&Request) -> bool) -> Result<()> {
    eventually("such a request", SOON, async || {
        let requests = receiver.requests();
        ensure!(
            requests.iter().any(|request| wanted(request)),
            "{} requests, none such; the last: {:?}",
            requests.len(),
            requests.last().map(|request| &request.headers)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_target_moves_to_another_receiver_without_losing_or_repeating_an_event() -> Result<()> {
    let site = Site::new("moves").await?;
    let topic = site.topic(PARTITIONS).await?;
    let (before, after) = (Receiver::start()?, Receiver::start()?);
    let manifest = Manifest::new("moves", &topic, &before.url("/"));
    site.put(&manifest)?;
    let _worker = site.worker().start().await?;
    let flow = Flow::start(site.kafka, &topic);
    before.arrived(5, SOON).await?;

    site.put(&manifest.with("endpoint/url", json!(after.url("/"))))?;
    after.arrived(5, SOON).await?;
    let produced = flow.stop().await?;
    // A lane has one attempt in flight, so all that one receiver got came before what the other got.
    all_came_once(&topic, &produced, || {
        Ok([before.accepted()?, after.accepted()?].concat())
    })
    .await
}

#[tokio::test]
async fn a_target_that_is_added_gets_every_event_from_then_on_and_disturbs_no_other() -> Result<()>
{
    let site = Site::new("added").await?;
    let (old_topic, new_topic) = (site.topic(PARTITIONS).await?, site.topic(PARTITIONS).await?);
    let receiver = Receiver::start()?;
    let first = Manifest::new("first", &old_topic, &receiver.url("/first"));
    site.put(&first)?;
    let worker = site.worker().start().await?;
    let flow = Flow::start(site.kafka, &old_topic);
    receiver.arrived(5, SOON).await?;

    // Of a topic that is read already: what comes from now on. Of a new one: all there is.
    let waiting = site.kafka.produce(&new_topic, some_events(50)).await?;
    let second = Manifest::new("second", &old_topic, &receiver.url("/second"));
    site.put(&second)?;
    site.put(&Manifest::new("third", &new_topic, &receiver.url("/third")))?;
    shows(&worker, "second", "/state", "UP").await?;
    let later = site.kafka.produce(&old_topic, some_events(50)).await?;
    let mut produced = flow.stop().await?;
    produced.extend(later.clone());
    all_came_once(&old_topic, &produced, || receiver.accepted_at("/first")).await?;
    all_came_once(&new_topic, &waiting, || receiver.accepted_at("/third")).await?;

    let mut from_then_on = Expected::default();
    for (partition, offsets) in produced.by_partition() {
        let first = receiver
            .accepted_at("/second")?
            .iter()
            .flat_map(|transaction| &transaction.events)
            .find_map(|event| (event.partition == partition).then_some(event.offset));
        let newest = later.by_partition()[&partition][0];
        let from = first.unwrap_or(newest).min(newest);
        from_then_on.add(
            &old_topic,
            partition,
            offsets.into_iter().filter(|o| *o >= from),
        );
    }
    eventually("what came from then on", SOON, async || {
        let accepted = receiver.accepted_at("/second")?;
        from_then_on.compare(&accepted).kept_exactly_once()
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_changed_filter_holds_for_what_comes_after_it() -> Result<()> {
    let site = Site::new("filter").await?;
    let topic = site.topic(1).await?;
    let receiver = Receiver::start()?;
    let filter = |kind: &str| json!({"headers": [{"name": "kind", "values": [kind]}]});
    let manifest = Manifest::new("filtered", &topic, &receiver.url("/"));
    site.put(&manifest.clone().with("sources/0/filter", filter("a")))?;
    let worker = site.worker().start().await?;
    // Even offsets are of kind a, odd ones of kind b.
    let events =
        || (0..100).map(|n| Event::new("1").header("kind", if n % 2 == 0 { "a" } else { "b" }));
    site.kafka.produce(&topic, events()).await?;
    let mut expected = Expected::default();
    expected.add(&topic, 0, (0..100).step_by(2));
    let delivered = async |expected: &Expected| {
        eventually("what the filters want", SOON, async || {
            expected.compare(&receiver.accepted()?).kept_exactly_once()
        })
        .await
    };
    delivered(&expected).await?;
    // The last event was passed over, and that is a commit too.
    eventually("the commit of all", SOON, async || {
        let committed = site.committed(&topic).await?;
        ensure!(committed == 100, "{committed}");
        Ok(())
    })
    .await?;

    site.put(&manifest.with("sources/0/filter", filter("b")))?;
    let shown = "/configuration/sources/0/filter/headers/0/values/0";
    shows(&worker, "filtered", shown, "b").await?;
    site.kafka.produce(&topic, events()).await?;
    expected.add(&topic, 0, (101..200).step_by(2));
    delivered(&expected).await?;
    Ok(())
}

#[tokio::test]
async fn a_suspended_target_keeps_its_events_and_gets_them_in_order_when_it_resumes() -> Result<()>
{
    let site = Site::new("suspended").await?;
    let topic = site.topic(PARTITIONS).await?;
    let receiver = Receiver::start()?;
    let manifest = Manifest::new("rests", &topic, &receiver.url("/rests"));
    site.put(&manifest)?;
    site.put(&Manifest::new("works", &topic, &receiver.url("/works")))?;
    let worker = site.worker().start().await?;
    let mut produced = site.kafka.produce(&topic, some_events(40)).await?;
    all_came_once(&topic, &produced, || receiver.accepted_at("/rests")).await?;

    site.put(&manifest.clone().with("suspend", json!(true)))?;
    shows(&worker, "rests", "/state", "SUSPENDED").await?;
    produced.extend(site.kafka.produce(&topic, some_events(400)).await?);
    all_came_once(&topic, &produced, || receiver.accepted_at("/works")).await?;
    shows(&worker, "rests", "/pendingEvents", 400).await?;
    let events = |transactions: Vec<Transaction>| {
        let of_each = transactions
            .iter()
            .map(|transaction| transaction.events.len());
        of_each.sum::<usize>()
    };
    assert_eq!(events(receiver.accepted_at("/rests")?), 40);

    site.put(&manifest)?;
    all_came_once(&topic, &produced, || receiver.accepted_at("/rests")).await?;
    shows(&worker, "rests", "/pendingEvents", 0).await?;
    assert_eq!(shows(&worker, "rests", "/state", "UP").await?["reason"], "");
    Ok(())
}

/// Waits until the worker has exactly one problem with a file, and returns it.
async fn problem(worker: &Worker, file: &str) -> Result<Value> {
    eventually(&format!("one problem with {file}"), SOON, async || {
        let report = worker.targets().await?;
        let problems = report["problems"].as_array().cloned().unwrap_or_default();
        ensure!(
            problems.len() == 1 && problems[0]["file"] == file,
            "{problems:?}"
        );
        Ok(problems[0].clone())
    })
    .await
}

async fn no_problem(worker: &Worker) -> Result<()> {
    eventually("no problem", SOON, async || {
        let report = worker.targets().await?;
        ensure!(report["problems"] == json!([]), "{}", report["problems"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_version_at_work_until_it_is_repaired() -> Result<()> {
    let site = Site::new("broken").await?;
    let topic = site.topic(PARTITIONS).await?;
    let receiver = Receiver::start()?;
    let of = |name: &str| Manifest::new(name, &topic, &receiver.url(&format!("/{name}"))).text();
    let (one, two) = (of("one"), of("two"));
    site.write("both.yaml", &format!("{one}\n---\n{two}\n"))?;
    let worker = site.worker().start().await?;
    let flow = Flow::start(site.kafka, &topic);
    receiver.arrived(5, SOON).await?;

    // Half written: the second document breaks off in the middle of a line.
    site.write(
        "both.yaml",
        &format!("{one}\n---\n{}", &two[..two.len() / 2]),
    )?;
    let half = problem(&worker, "both.yaml").await?;
    assert_eq!(
        (&half["document"], &half["lastGoodRuns"]),
        (&json!(2), &json!(true)),
        "{half}"
    );
    // Wrong: a field has a value that is none.
    let wrong = two.replace("\"Json\"", "\"Jason\"");
    site.write("both.yaml", &format!("{one}\n---\n{wrong}\n"))?;
    eventually("the field's name", SOON, async || {
        let problem = problem(&worker, "both.yaml").await?;
        let message = problem["message"].as_str().unwrap_or_default();
        ensure!(
            message.contains("spec.format") && message.contains("default/two"),
            "{problem}"
        );
        Ok(())
    })
    .await?;
    let log = worker.process().says("spec.format", SOON).await?;
    assert!(log.contains("both.yaml"), "{log}");
    receiver.arrived(receiver.count() + 10, SOON).await?;

    site.write("both.yaml", &format!("{one}\n---\n{two}\n"))?;
    no_problem(&worker).await?;
    let produced = flow.stop().await?;
    for path in ["/one", "/two"] {
        all_came_once(&topic, &produced, || receiver.accepted_at(path)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_removed_target_gets_nothing_more_and_the_others_lose_nothing() -> Result<()> {
    let site = Site::new("removed").await?;
    let topic = site.topic(PARTITIONS).await?;
    let receiver = Receiver::start()?;
    let goes = Manifest::new("goes", &topic, &receiver.url("/goes"));
    site.put(&goes)?;
    site.put(&Manifest::new("stays", &topic, &receiver.url("/stays")))?;
    let worker = site.worker().start().await?;
    let flow = Flow::start(site.kafka, &topic);
    receiver.arrived(10, SOON).await?;

    site.remove(&goes.file())?;
    shows(&worker, "goes", "/state", "SUSPENDED").await?;
    let mut produced = flow.stop().await?;
    let later = site.kafka.produce(&topic, some_events(100)).await?;
    produced.extend(later.clone());
    all_came_once(&topic, &produced, || receiver.accepted_at("/stays")).await?;
    let later = later.by_partition();
    let is_later = |event: &EventId| event.offset >= later[&event.partition][0];
    let mut gone = receiver.accepted_at("/goes")?.into_iter();
    assert!(!gone.any(|transaction| transaction.events.iter().any(is_later)));
    let end: i64 = site.kafka.ends(&topic).await?.into_values().sum();
    eventually(
        "the commit of all, though one target had not all",
        SOON,
        async || {
            let committed = site.committed(&topic).await?;
            ensure!(committed == end, "{committed} of {end}");
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn rotated_secrets_are_used_at_once_and_cost_no_event() -> Result<()> {
    let site = Site::new("rotated").await?;
    let topic = site.topic(PARTITIONS).await?;
    let receiver = Receiver::start()?;
    site.secret("hook", "token", "first-token")?;
    site.secret(
        "hook",
        "signing",
        "whsec_Zmlyc3Qga2V5IG9mIHRoaXMgdGVzdCwgMjQrIGJ5dGVz",
    )?;
    let manifest = Manifest::new("rotated", &topic, &receiver.url("/"))
        .with("authentication", json!({"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "hook", "key": "token"}}}))
        .with("signing", json!({"keySecretRefs": [{"name": "hook", "key": "signing"}]}));
    site.put(&manifest)?;
    let _worker = site.worker().start().await?;
    let flow = Flow::start(site.kafka, &topic);
    let bearer = |token: &'static str| {
        let expected = format!("Bearer {token}");
        move |request: &Request| request.header("authorization") == Some(&expected)
    };
    request(&receiver, bearer("first-token")).await?;

    site.secret("hook", "token", "second-token")?;
    request(&receiver, bearer("second-token")).await?;
    // Two keys for as long as the receiver may hold either: a signature for each, the newest first.
    site.secret(
        "hook",
        "signing-2",
        "whsec_U2Vjb25kIGtleSBvZiB0aGlzIHRlc3QsIDI0KyBieXRlcw==",
    )?;
    let keys = json!([{"name": "hook", "key": "signing-2"}, {"name": "hook", "key": "signing"}]);
    site.put(&manifest.with("signing/keySecretRefs", keys))?;
    let signatures = |request: &Request| {
        let header = request.header("webhook-signature").unwrap_or_default();
        header
            .split(' ')
            .filter(|one| one.starts_with("v1,"))
            .count()
    };
    request(&receiver, |request| signatures(request) == 2).await?;

    let produced = flow.stop().await?;
    all_came_once(&topic, &produced, || receiver.accepted()).await?;
    // Lanes turn to the new token at slightly different moments, each once and for all.
    let mut turned = BTreeSet::new();
    for request in receiver.requests() {
        let events = request.events()?;
        let lane = events.first().context("no event")?.partition;
        if bearer("second-token")(&request) {
            turned.insert(lane);
        } else {
            assert!(!turned.contains(&lane), "an old token came after a new one");
        }
    }
    Ok(())
}
