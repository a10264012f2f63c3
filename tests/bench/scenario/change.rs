//! How soon a change of a target is live: from the manifest's replacement to the first delivery to its
//! new URL, while events flow.
//!
//! The receiver is in this process: both moments are read from one clock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::{Expected, Verdict},
    clock, eventually,
    kafka::{Event, Kafka, Produced},
    receiver::{Answer, Receiver},
};

use super::stage::{Setting, Stage};
use crate::{
    load::Shape,
    manifest::Format,
    report::{Findings, Report, Target},
};

const CHANGES: usize = 100;

/// Between two changes, at most. Chance decides, so that changes come at any moment between two of the
/// worker's looks at the directory.
const PAUSE_AT_MOST: Duration = Duration::from_secs(1);

/// Between two portions of one event a partition: how exactly the first delivery is known.
const PORTIONS: Duration = Duration::from_millis(5);

/// How long is waited for what should take two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

const FORMAT: Format = Format::Json;

/// When the first request to each path arrived.
pub(super) type Firsts = Arc<Mutex<HashMap<String, Instant>>>;

/// A hundred changes of one target.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let mut shape = Shape {
        topics: 1,
        partitions: 4,
        events: 0,
        event_bytes: VALUE.len(),
    };
    let setting = Setting {
        targets: 1,
        format: FORMAT,
        delay: Duration::ZERO,
    };
    let load = stage.load(shape).await?;
    let topic = load.topics.first().context("no topic")?;
    let receiver = Receiver::builder().compact().start()?;
    let firsts = firsts_of(&receiver);
    let (worker, manifests) = stage.worker(&load, setting, receiver.address())?;
    let _worker = worker.start().await?;
    let mut random = fastrand::Rng::with_seed(stage.options.seed);
    let put = async |path: &str| manifests.put(0, topic, &FORMAT.into(), &receiver.url(path));
    let changes = changes((CHANGES, Duration::ZERO), put, &firsts, &mut random);
    let (produced, mut took) = while_events_flow(stage.kafka, topic, shape, changes).await?;
    let verdict = all_delivered(&receiver, topic, &produced).await?;
    load.delete(stage.kafka).await?;

    took.sort_unstable();
    shape.events = produced.positions.len() as u64;
    let about =
        format!("a target changed {CHANGES} times while events flow, until a delivery shows it");
    let mut findings = Findings::new("change", about, shape);
    for (what, share) in [("p50, s", 0.5), ("p99, s", 0.99)] {
        findings.target(Target::told(what, percentile(&took, share)));
    }
    let most = percentile(&took, 1.0);
    findings.target(Target::at_most("max, s", most, 2.0));
    let broken = verdict.violations.len() as f64;
    findings.target(Target::at_most("lost or out of order", broken, 0.0));
    let repeated = verdict.duplicates as f64;
    findings.target(Target::at_most("repeated", repeated, 0.0));
    report.add(findings)
}

/// When the first request to each path arrives, from now on.
pub(super) fn firsts_of(receiver: &Receiver) -> Firsts {
    let firsts = Firsts::default();
    let seen = Arc::clone(&firsts);
    receiver.answer_by(move |request| {
        let mut firsts = seen.lock().unwrap_or_else(PoisonError::into_inner);
        firsts.entry(request.path.clone()).or_insert(request.at);
        Answer::ok()
    });
    firsts
}

const VALUE: &str = r#"{"text":"something that happened, in about sixty-four letters ...."}"#;

/// Changes a target to one path after the other with `put`, from `/0` on, with `rest` between two changes
/// at least; how long each change took.
pub(super) async fn changes(
    (count, rest): (usize, Duration),
    put: impl AsyncFn(&str) -> Result<()>,
    firsts: &Firsts,
    random: &mut fastrand::Rng,
) -> Result<Vec<Duration>> {
    let first_at = async |path: &str| {
        eventually(&format!("a delivery to {path}"), PATIENCE, async || {
            let firsts = firsts.lock().unwrap_or_else(PoisonError::into_inner);
            firsts.get(path).copied().context("none")
        })
        .await
    };
    first_at("/0").await?;
    let mut took = Vec::with_capacity(count);
    for version in 1..=count {
        tokio::time::sleep(rest + PAUSE_AT_MOST.mul_f64(random.f64())).await;
        let path = format!("/{version}");
        put(&path).await?;
        let replaced = clock::now();
        let live = first_at(&path).await?;
        took.push(live.saturating_duration_since(replaced));
    }
    Ok(took)
}

/// Produces to every partition, portion after portion, until `story` has come to its end.
pub(super) async fn while_events_flow<T>(
    kafka: &Kafka,
    topic: &str,
    shape: Shape,
    story: impl Future<Output = Result<T>>,
) -> Result<(Produced, T)> {
    let ended = AtomicBool::new(false);
    let flow = async {
        let mut produced = Produced::default();
        let partitions = i32::try_from(shape.partitions)?;
        while !ended.load(Ordering::Relaxed) {
            let portion = (0..partitions).map(|partition| Event::new(VALUE).to(partition));
            produced.extend(kafka.produce(topic, portion).await?);
            tokio::time::sleep(PORTIONS).await;
        }
        anyhow::Ok(produced)
    };
    let story = async {
        let told = story.await;
        ended.store(true, Ordering::Relaxed);
        told
    };
    let (produced, told) = tokio::join!(flow, story);
    let told = told?;
    Ok((produced?, told))
}

/// Waits until everything has come, and judges how.
async fn all_delivered(receiver: &Receiver, topic: &str, produced: &Produced) -> Result<Verdict> {
    let mut expected = Expected::default();
    expected.add_produced(topic, produced);
    eventually("all events delivered", PATIENCE, async || {
        let verdict = expected.compare(&receiver.accepted()?);
        ensure!(verdict.delivered == expected.events(), "{verdict}");
        Ok(verdict)
    })
    .await
}

/// The smallest of the sorted values that at least this share of them do not exceed, in seconds.
pub(super) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.saturating_sub(1));
    value.map_or(f64::NAN, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let hundred: Vec<_> = (1..=100).map(Duration::from_secs).collect();
        assert_eq!(percentile(&hundred, 0.5), 50.0);
        assert_eq!(percentile(&hundred, 0.99), 99.0);
        assert_eq!(percentile(&hundred, 1.0), 100.0);
        assert_eq!(percentile(&hundred[..1], 0.5), 1.0);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
