//! What a worker needs that has many events parked, and how soon it delivers them once it is started
//! again.

use std::time::Duration;

use anyhow::{Result, ensure};
use parcelhook_env::{clock, eventually, process::Usage};

use super::{
    refused::{Refused, tried_soon},
    stage::Stage,
};
use crate::{
    load::{Load, Shape},
    measure::{self, Run},
    report::{Findings, Report, Target},
};

const MANY: Shape = Shape {
    topics: 1,
    partitions: 64,
    events: 1_000_000,
    event_bytes: 100,
};
/// A hundred a lane: as many lanes are not live, so the difference is the backlog's.
const FEW: u64 = 6_400;

/// How long a worker is left alone before its memory counts: several attempts of its target.
const SETTLE: Duration = Duration::from_secs(15);
/// How long a worker that was asked to end may take.
const STOP: Duration = Duration::from_secs(60);
/// How long the first delivery may take. A killed worker's partitions stand for a session.
const FIRST: Duration = Duration::from_secs(120);

const MIB: f64 = 1024.0 * 1024.0;

/// How the worker ends before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Asked,
    Killed,
}

/// What is seen of a backlog.
#[derive(Debug)]
struct Seen {
    /// A worker that found the backlog at its start, and could deliver nothing of it.
    waiting: Usage,
    /// From the start of the next worker, whose target is back, to the first delivery.
    first: Duration,
    /// The delivery of the rest.
    drain: Run,
}

/// Many parked events, and few.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let few = Shape {
        events: FEW,
        ..MANY
    };
    let options = stage.options;
    let few = Load::produce(stage.kafka, few, options.batch_bytes, options.seed).await?;
    let without = see(stage, &few, Ending::Killed).await?;
    let many = stage.load(MANY).await?;
    let with = see(stage, &many, Ending::Asked).await?;

    let about = format!("a worker that finds them parked, beside one that finds {FEW}");
    let mut findings = Findings::new("backlog", about, many.shape);
    let mib = |bytes: u64| bytes as f64 / MIB;
    for (what, with, without) in [
        (
            "resident",
            with.waiting.resident_bytes,
            without.waiting.resident_bytes,
        ),
        (
            "peak",
            with.waiting.peak_resident_bytes,
            without.waiting.peak_resident_bytes,
        ),
    ] {
        findings.target(Target::told(format!("{what} with few, MiB"), mib(without)));
        let more = format!("{what} with many, MiB more");
        findings.target(Target::at_most(more, mib(with) - mib(without), 8.0));
    }
    let first = with.first.as_secs_f64();
    findings.target(Target::at_most("restart to first delivery, s", first, 5.0));
    let what = "the same after kill -9, the dead worker's session included, s";
    findings.target(Target::told(what, without.first.as_secs_f64()));
    findings.arm("draining", vec![with.drain]);
    few.delete(stage.kafka).await?;
    many.delete(stage.kafka).await?;
    report.add(findings)
}

async fn see(stage: &Stage<'_>, load: &Load, ending: Ending) -> Result<Seen> {
    let refused = Refused::new(stage, load, &tried_soon())?;
    let worker = refused.start().await?;
    refused.all_parked(&worker).await?;
    worker.stop(STOP).await?;

    let worker = refused.start().await?;
    tokio::time::sleep(SETTLE).await;
    let waiting = worker.usage()?;
    match ending {
        Ending::Asked => drop(worker.stop(STOP).await?),
        Ending::Killed => worker.kill().await?,
    }

    let receiver = refused.heal().await?;
    let started = clock::now();
    let worker = refused.start().await?;
    let seen = async || Ok(receiver.counts().await?.events);
    let first = eventually("a first delivery", FIRST, async || {
        ensure!(seen().await? > 0, "none");
        Ok(clock::now().saturating_duration_since(started))
    });
    let first = first.await?;
    let drain = measure::follow(worker.process(), load.shape.events, seen).await?;
    let counts = Some(receiver.counts().await?);
    drop(worker);
    refused.end().await?;
    Ok(Seen {
        waiting,
        first,
        drain: Run { counts, ..drain },
    })
}
