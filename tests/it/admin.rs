//! The admin port: probes, metrics, and what it tells of targets, as JSON and as a page.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use http::StatusCode;
use parcelhook_env::{
    eventually, fetch,
    kafka::Event,
    network,
    receiver::{Answer, Gate, Receiver},
};

use crate::{
    manifest::Manifest,
    site::{SOON, Site},
    told::{shows, target},
};

/// The documentation of the admin port, which this compares with the worker.
const DOCUMENTATION: &str = include_str!("../../docs/admin.md");

/// Metrics that are absent while there is nothing to say, as their documentation has it.
const MAY_BE_ABSENT: [&str; 4] = [
    "parcelhook_target_next_attempt_timestamp_seconds",
    "parcelhook_target_oldest_parked_age_seconds",
    "parcelhook_worker_partition_lag_records",
    "parcelhook_worker_partition_committed",
];

/// The names in the table of metrics, with the ending that their samples have.
fn documented() -> BTreeSet<String> {
    let rows = DOCUMENTATION
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        // Lines of the log have names with dots.
        .filter(|row| {
            row.split('`')
                .next()
                .is_some_and(|name| !name.contains('.'))
        });
    let metrics = rows.filter_map(|row| row.split_once("` | "));
    metrics
        .filter_map(|(name, rest)| {
            Some(match rest.split(' ').next()? {
                "counter" | "gauge" | "info" => name.to_owned(),
                "histogram" => format!("{name}_count"),
                _ => return None,
            })
        })
        .collect()
}

#[tokio::test]
async fn a_worker_lives_before_it_has_joined_and_is_ready_after() -> Result<()> {
    let site = Site::new("not-joined").await?;
    // Nobody listens there.
    let host = network::fresh_host();
    let [port] = network::free_ports(host)?;
    let worker = site.worker_at(&format!("{host}:{port}")).listen().await?;
    assert_eq!(worker.page("/livez").await?, "ok\n");
    eventually("the one thing that is missing", SOON, async || {
        let page = fetch::get(worker.admin(), "/readyz").await?;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        ensure!(page.body.contains("consumer group"), "{}", page.body);
        Ok(())
    })
    .await?;
    assert_eq!(worker.targets().await?["ready"], false);
    assert_eq!(
        worker.metrics().await?.sum("parcelhook_worker_joined", &[]),
        Some(0.0)
    );
    let ended = worker.stop(SOON).await?;
    assert_eq!(ended.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn what_waits_and_what_was_tried_is_told_exactly_and_a_down_target_leaves_it_ready()
-> Result<()> {
    let site = Site::new("admin").await?;
    let topic = site.topic(2).await?;
    let receiver = Receiver::start()?;
    let gate = Gate::new();
    let held = gate.clone();
    receiver.answer_by(move |request| match request.path.as_str() {
        "/down" => Answer::status(503)
            .unwrap_or_else(|_| Answer::hang_up())
            .body("<b>no</b>"),
        "/slow" => Answer::ok().behind(&held),
        _ => Answer::ok(),
    });
    for name in ["good", "down", "slow"] {
        site.put(&Manifest::new(
            name,
            &topic,
            &receiver.url(&format!("/{name}")),
        ))?;
    }
    let worker = site.worker().start().await?;
    let events = (0..30).map(|n| Event::new(format!("{n}")).to(n % 2));
    site.kafka.produce(&topic, events).await?;

    let good = shows(&worker, "good", "/counters/eventsDelivered", 30).await?;
    assert_eq!(
        (&good["state"], &good["pendingEvents"]),
        (&"UP".into(), &0.into()),
        "{good}"
    );
    assert_eq!(good["lanes"], 2, "{good}");
    let attempts = good["lastAttempts"].as_array().cloned().unwrap_or_default();
    let events: u64 = attempts
        .iter()
        .filter_map(|attempt| attempt["events"].as_u64())
        .sum();
    assert_eq!(events, 30, "{good}");
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt["status"] == 200 && attempt["attempt"] == 1)
    );
    let sent: Vec<_> = receiver.requests();
    let ids: BTreeSet<_> = sent
        .iter()
        .filter_map(|request| request.header("webhook-id"))
        .collect();
    assert!(
        attempts
            .iter()
            .all(|attempt| ids.contains(attempt["transaction"].as_str().unwrap_or_default()))
    );

    let slow = shows(&worker, "slow", "/pendingEvents", 30).await?;
    assert_eq!(
        (&slow["state"], &slow["counters"]["successes"]),
        (&"UP".into(), &0.into()),
        "{slow}"
    );
    let down = shows(&worker, "down", "/state", "DOWN").await?;
    assert_eq!(
        (&down["reason"], &down["pendingEvents"]),
        (&"HTTPStatus".into(), &30.into()),
        "{down}"
    );
    assert_eq!(down["lastFailure"]["status"], 503, "{down}");
    assert_eq!(down["lastFailure"]["message"], "<b>no</b>", "{down}");
    worker.ready(SOON).await?;

    // The page says the same, and a receiver's words stay words.
    for path in ["/", "/targets", "/targets/default/down"] {
        let page = fetch::get_as(worker.admin(), path, "text/html").await?;
        assert!(
            page.status.is_success() && page.body.starts_with("<!"),
            "{path}: {}",
            page.body
        );
        assert!(
            page.body.contains("DOWN") && page.body.contains("HTTPStatus"),
            "{path}: {}",
            page.body
        );
        assert!(!page.body.contains("<b>no</b>"), "{path}: {}", page.body);
    }
    let missing = fetch::get(worker.admin(), "/targets/default/none").await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    gate.open();
    shows(&worker, "slow", "/pendingEvents", 0).await?;
    receiver.answer(Answer::ok());
    let up = shows(&worker, "down", "/pendingEvents", 0).await?;
    assert_eq!(
        (&up["state"], &up["reason"]),
        (&"UP".into(), &"".into()),
        "{up}"
    );
    Ok(())
}

#[tokio::test]
async fn every_documented_metric_is_there_and_every_metric_is_documented() -> Result<()> {
    let site = Site::new("metrics").await?;
    let topic = site.topic(1).await?;
    let receiver = Receiver::start()?;
    receiver.answer_number(0, Answer::status(500)?);
    site.put(&Manifest::new("counted", &topic, &receiver.url("/")))?;
    let worker = site.worker().start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    shows(&worker, "counted", "/counters/eventsDelivered", 1).await?;
    assert_eq!(target(&worker, "counted").await?["counters"]["failures"], 1);

    let metrics = worker.metrics().await?;
    // One name a histogram.
    let names: BTreeSet<String> = metrics
        .names()
        .into_iter()
        .filter(|name| !name.ends_with("_bucket") && !name.ends_with("_sum"))
        .map(str::to_owned)
        .collect();
    let documented = documented();
    assert!(documented.len() >= 40, "{documented:?}");
    let missing: Vec<_> = documented
        .difference(&names)
        .filter(|name| !MAY_BE_ABSENT.contains(&name.as_str()))
        .collect();
    let unknown: Vec<_> = names.difference(&documented).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?}"
    );
    for (name, labels, expected) in [
        ("parcelhook_target_up", &[("target", "counted")][..], 1.0),
        (
            "parcelhook_target_attempts_total",
            &[("target", "counted"), ("outcome", "unavailable")],
            1.0,
        ),
        (
            "parcelhook_target_attempts_total",
            &[("target", "counted"), ("outcome", "delivered")],
            1.0,
        ),
        (
            "parcelhook_target_responses_total",
            &[("target", "counted"), ("code", "500")],
            1.0,
        ),
        (
            "parcelhook_target_events_delivered_total",
            &[("target", "counted")],
            1.0,
        ),
        ("parcelhook_worker_targets", &[], 1.0),
        ("parcelhook_worker_configuration_problems", &[], 0.0),
    ] {
        assert_eq!(
            metrics.sum(name, labels),
            Some(expected),
            "{name} {labels:?}"
        );
    }
    Ok(())
}
