//! How long a live target's events are under way while another target's parked events are delivered.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::eventually;

use super::{
    refused::{Refused, tried_soon},
    stage::Stage,
};
use crate::{
    flow::Flow,
    load::Shape,
    measure,
    receiver::{Latencies, Receiver},
    report::{Findings, Report, Target},
};

/// Events that are parked.
const PARKED: Shape = Shape {
    topics: 1,
    partitions: 64,
    events: 1_000_000,
    event_bytes: 200,
};

/// Events that flow live.
const LIVE: Shape = Shape {
    topics: 1,
    partitions: 4,
    events: 0,
    event_bytes: 200,
};
/// How many of them a second.
const RATE: f64 = 200.0;

/// How long is looked before the drain.
const BEFORE: Duration = Duration::from_secs(20);
/// How long the last live events may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before the parked events' target is back, and from the first tenth of the drain to the ninth.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let load = stage.load(PARKED).await?;
    let mut flow = Flow::new(stage.kafka, LIVE, RATE, stage.options.seed).await?;
    let live = Receiver::start(LIVE, Duration::ZERO).await?;
    let topic = flow.topics().first().context("no topic")?.clone();
    let other = (topic, format!("http://{}/1", live.address()));
    let refused = Refused::beside(stage, &load, &tried_soon(), Some(other))?;
    let worker = refused.start().await?;
    refused.all_parked(&worker).await?;

    let ended = AtomicBool::new(false);
    let story = async {
        let told = async {
            live.latencies().await?;
            tokio::time::sleep(BEFORE).await;
            let before = live.latencies().await?;
            let drained = refused.heal().await?;
            let seen = async || Ok(drained.counts().await?.events);
            let events = load.shape.events;
            let begin = measure::reach(worker.process(), events / 10, &seen).await?;
            live.latencies().await?;
            let end = measure::reach(worker.process(), events * 9 / 10, &seen).await?;
            let during = live.latencies().await?;
            measure::reach(worker.process(), events, &seen).await?;
            anyhow::Ok((before, during, begin.until(end), drained.counts().await?))
        };
        let told = told.await;
        ended.store(true, Ordering::Relaxed);
        told
    };
    let wanted = || !ended.load(Ordering::Relaxed);
    let (flown, told) = tokio::join!(flow.while_wanted(stage.kafka, wanted), story);
    let (before, during, cost, drained) = told?;
    flown?;
    let counts = eventually("all live events", PATIENCE, async || {
        let counts = live.counts().await?;
        ensure!(
            counts.events == flow.made(),
            "{counts:?} of {}",
            flow.made()
        );
        Ok(counts)
    });
    let counts = counts.await?;
    drop(worker);

    let mut findings = Findings::new("beside", "a live target beside a drain", load.shape);
    tell(&mut findings, before, during);
    let what = "events/s of the drain";
    findings.target(Target::told(what, cost.events_a_second));
    let broken = drained.disordered + drained.repeated + counts.disordered + counts.repeated;
    let what = "repeated or out of order, of both";
    findings.target(Target::at_most(what, broken as f64, 0.0));
    refused.end().await?;
    load.delete(stage.kafka).await?;
    flow.delete(stage.kafka).await?;
    report.add(findings)
}

fn tell(findings: &mut Findings, before: Latencies, during: Latencies) {
    for (what, latencies) in [("before", before), ("during", during)] {
        for (name, figure) in [
            ("events", latencies.events as f64),
            ("p50, ms", latencies.p50_ms),
            ("p99, ms", latencies.p99_ms),
        ] {
            findings.target(Target::told(format!("{what} the drain: {name}"), figure));
        }
    }
    let ratio = during.p99_ms / before.p99_ms;
    findings.target(Target::at_most("p99, during / before", ratio, 1.5));
}
