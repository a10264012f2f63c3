//! Targets that come, go and ask while events flow, and workers that die meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually, fetch,
    kafka::Event,
    receiver::{Answer, Receiver},
};
use serde_json::json;

use crate::{
    manifest::Manifest,
    scene::Scene,
    site::{SOON, Site},
    told::{shows, target},
};

const PARTITIONS: i32 = 3;

/// First offset that a receiver accepted of each partition, and the events from there on.
pub(crate) fn from_the_first(
    receiver: &Receiver,
    topic: &str,
    ends: &BTreeMap<i32, i64>,
) -> Result<Expected> {
    let mut first: BTreeMap<i32, i64> = BTreeMap::new();
    for transaction in receiver.accepted()? {
        for event in transaction.events {
            let known = first.entry(event.partition).or_insert(event.offset);
            *known = event.offset.min(*known);
        }
    }
    let mut expected = Expected::default();
    for (partition, end) in ends {
        let first = first.get(partition).context("nothing of a partition")?;
        expected.add(topic, *partition, *first..*end);
    }
    Ok(expected)
}

#[tokio::test]
async fn a_new_target_misses_nothing_from_its_beginning_when_its_worker_is_killed() -> Result<()> {
    let scene = Scene::new("new-target", 3).await?;
    let old = scene.receiver("old")?;
    let new = Receiver::builder().compact().start()?;
    let worker = scene.worker().await?;
    let story = async {
        scene.caught_up(&old).await?;
        scene.target("new", &new.url("/"), &json!({"startFrom": "Latest"}))?;
        // Killed as soon as the target is there, with whatever it has begun.
        shows(&worker, "new", "/state", "UP").await?;
        let ends = scene.ends().await?;
        worker.process().kill()?;
        let successor = scene.worker().await?;
        anyhow::Ok((ends, successor))
    };
    let (applied, _successor) = scene.while_events_flow(PARTITIONS, story).await?;
    scene.produce_to_each(PARTITIONS, 20).await?;
    let ends = scene.ends().await?;
    scene.caught_up(&old).await?;
    eventually("the new target has caught up", SOON, async || {
        let expected = from_the_first(&new, &scene.topic, &ends)?;
        let verdict = expected.compare(&new.accepted()?);
        ensure!(verdict.delivered == expected.events(), "{verdict}");
        ensure!(verdict.violations.is_empty(), "{verdict}");
        Ok(())
    })
    .await?;
    for (partition, end) in applied {
        let begun = |offset: i64| offset <= end;
        let mut accepted = new.accepted()?.into_iter().flat_map(|sent| sent.events);
        let first = accepted.find(|event| event.partition == partition);
        let first = first.context("nothing of a partition")?.offset;
        ensure!(begun(first), "partition {partition}: {first} after {end}");
    }
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_is_removed_and_put_back_loses_nothing_over_a_restart() -> Result<()> {
    let site = Site::new("put-back").await?;
    let topic = site.topic(3).await?;
    let stays = Receiver::builder().compact().start()?;
    let goes = Receiver::builder().compact().start()?;
    site.put(&Manifest::new("stays", &topic, &stays.url("/")))?;
    let manifest = Manifest::new("goes", &topic, &goes.url("/"));
    site.put(&manifest)?;
    let mut expected = Expected::default();
    let mut produce = async |count: usize| {
        let events = (0..count).map(|n| Event::new(format!("{{\"n\":{n}}}")).to(n as i32 % 3));
        let produced = site.kafka.produce(&topic, events).await?;
        expected.add_produced(&topic, &produced);
        anyhow::Ok(expected.clone())
    };
    let worker = site.worker().start().await?;
    let first = produce(60).await?;
    crate::scene::delivered(&goes, &first).await?;
    site.remove(&manifest.file())?;
    shows(&worker, "goes", "/state", "SUSPENDED").await?;
    let second = produce(60).await?;
    crate::scene::delivered(&stays, &second).await?;
    let requests = goes.requests().len();
    worker.process().kill()?;
    // This one has never heard of the target.
    let worker = site.worker().start().await?;
    let third = produce(60).await?;
    crate::scene::delivered(&stays, &third).await?;
    let end: i64 = site.kafka.ends(&topic).await?.into_values().sum();
    eventually("all is committed", SOON, async || {
        let committed = site.committed(&topic).await?;
        ensure!(committed == end, "{committed} of {end}");
        Ok(())
    })
    .await?;
    assert_eq!(goes.requests().len(), requests, "nothing is sent meanwhile");
    site.put(&manifest)?;
    let fourth = produce(30).await?;
    let verdict = crate::scene::delivered(&goes, &fourth).await?;
    verdict.kept_exactly_once()?;
    shows(&worker, "goes", "/state", "UP").await?;
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_deleted_by_annotation_ends_at_once() -> Result<()> {
    let site = Site::new("deleted").await?;
    let topic = site.topic(2).await?;
    let bad = Receiver::builder().compact().start()?;
    bad.answer(Answer::status(503)?);
    let manifest = Manifest::new("bad", &topic, &bad.url("/"));
    site.put(&manifest)?;
    let worker = site.worker().start().await?;
    let events = (0..20).map(|n| Event::new("{}").to(n % 2));
    site.kafka.produce(&topic, events).await?;
    shows(&worker, "bad", "/state", "DOWN").await?;
    site.put(&manifest.annotated("parcelhook.dev/delete", "true"))?;
    eventually("its lanes are given up", SOON, async || {
        let given_up = worker
            .output()?
            .matches("its parked events are given up")
            .count();
        ensure!(given_up == 2, "{given_up}");
        let targets = worker.targets().await?["targets"].clone();
        ensure!(targets.as_array().is_some_and(Vec::is_empty), "{targets}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_person_who_has_mended_a_webhook_need_not_wait() -> Result<()> {
    let scene = Scene::new("retry-now", 2).await?;
    let receiver = Receiver::builder().compact().start()?;
    let patient = json!({"retry": {"initialBackoff": "300s", "maxBackoff": "512s"}});
    scene.target("patient", &receiver.url("/"), &patient)?;
    receiver.answer(Answer::status(503)?);
    let worker = scene.worker().await?;
    scene.produce_to_each(2, 20).await?;
    scene.all_committed().await?;
    shows(&worker, "patient", "/state", "DOWN").await?;
    receiver.answer(Answer::ok());
    let path = "/targets/default/patient/retry";
    let answer = fetch::post(worker.admin(), path).await?;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    let again = fetch::post(worker.admin(), path).await?;
    assert_eq!(again.status.as_u16(), 202, "harmless");
    let nobody = fetch::post(worker.admin(), "/targets/default/nobody/retry").await?;
    assert_eq!(nobody.status.as_u16(), 404);
    Ok(())
}

#[tokio::test]
async fn ephemeral_events_are_dropped_and_counted_while_persistent_ones_of_the_target_wait()
-> Result<()> {
    let scene = Scene::new("ephemeral", 2).await?;
    let fleeting = scene.kafka.create_topic("fleeting", 1, &[]).await?;
    let receiver = Receiver::builder().compact().start()?;
    receiver.answer(Answer::status(503)?);
    let sources = json!([
        {"topic": scene.topic},
        {"topic": fleeting, "class": "Ephemeral"},
    ]);
    scene.target("both", &receiver.url("/"), &json!({"sources": sources}))?;
    let worker = scene.worker().await?;
    scene.produce_to_each(2, 50).await?;
    let events = (0..30).map(|n| Event::new(format!("{{\"n\":{n}}}")));
    scene.kafka.produce(&fleeting, events).await?;
    scene.all_committed().await?;
    shows(&worker, "both", "/counters/eventsDropped", 30).await?;
    eventually("what was dropped is committed", SOON, async || {
        let committed = scene.kafka.committed(&scene.group(), &fleeting).await?;
        ensure!(committed[&0] == Some(30), "{committed:?}");
        Ok(())
    })
    .await?;
    receiver.answer(Answer::ok());
    let expected = scene.expected();
    eventually("all persistent events", SOON, async || {
        let mut accepted = receiver.accepted()?;
        accepted.retain(|sent| sent.events.iter().all(|event| *event.topic == *scene.topic));
        let verdict = expected.compare(&accepted);
        ensure!(verdict.delivered == expected.events(), "{verdict}");
        ensure!(verdict.violations.is_empty(), "{verdict}");
        Ok(())
    })
    .await?;
    let both = target(&worker, "both").await?;
    assert_eq!(both["counters"]["eventsDropped"], 30, "none comes late");
    Ok(())
}
