//! What it costs to park events, and how fast they are delivered afterwards.

use anyhow::{Context as _, Result};

use super::{
    refused::{Refused, tried_soon},
    stage::{Setting, Stage},
};
use crate::{
    arm::Arm,
    load::{Load, Shape},
    manifest::Format,
    measure::{self, Run},
    receiver::Counts,
    report::{Findings, Report, Target},
    rounds::Rounds,
};

/// Rounds when no other number is asked for.
const ROUNDS: u32 = 3;

const SHAPE: Shape = Shape {
    topics: 1,
    partitions: 64,
    events: 1_000_000,
    event_bytes: 200,
};

/// Runs of up to a hundred events, so reading is the measure.
pub(super) async fn parking(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let load = stage.load(SHAPE).await?;
    let about = "a target that refuses connections from the start, beside merely reading";
    let mut findings = Findings::new("parking", about, load.shape);
    let arms = [Arm::Parking, Arm::Reading];
    let rounds = compare(stage, &load, &arms, &mut findings).await?;
    let ratio = rounds.cpu_ratio(Arm::Parking, Arm::Reading);
    let what = "CPU an event, parking / reading";
    findings.target(Target::at_most(what, ratio.context("no rounds")?, 2.0));
    report.add(findings)
}

/// The same events, parked and then delivered, and delivered at once.
pub(super) async fn drain(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let load = stage.load(SHAPE).await?;
    let about = "parked events when their target is back, beside the same events live";
    let mut findings = Findings::new("drain", about, load.shape);
    let arms = [Arm::Draining, Arm::Worker];
    let rounds = compare(stage, &load, &arms, &mut findings).await?;
    let speed = rounds.speed_ratio(Arm::Draining, Arm::Worker);
    let what = "events/s, draining / live";
    findings.target(Target::at_least(what, speed.context("no rounds")?, 0.9));
    let cpu = rounds.cpu_ratio(Arm::Draining, Arm::Worker);
    let what = "CPU an event, draining / live";
    findings.target(Target::told(what, cpu.context("no rounds")?));
    report.add(findings)
}

async fn compare(
    stage: &Stage<'_>,
    load: &Load,
    arms: &[Arm],
    findings: &mut Findings,
) -> Result<Rounds<Arm>> {
    let rounds = Rounds::run(
        arms,
        stage.rounds(ROUNDS),
        stage.options.seed,
        async |arm| match arm {
            Arm::Parking => park(stage, load).await,
            Arm::Draining => park_and_drain(stage, load).await,
            Arm::Worker
            | Arm::Earlier
            | Arm::Naive
            | Arm::NaiveSigned
            | Arm::Hyper
            | Arm::Reading => stage.run(arm, load, LIVE).await,
        },
    );
    let rounds = rounds.await?;
    load.delete(stage.kafka).await?;
    for (arm, runs) in rounds.by_arm() {
        findings.arm(arm.name(), runs);
    }
    Ok(rounds)
}

const LIVE: Setting = Setting {
    targets: 1,
    format: Format::Json,
    delay: std::time::Duration::ZERO,
};

/// With the backoff that targets have by default. Every record of the retry topic counts as a request.
async fn park(stage: &Stage<'_>, load: &Load) -> Result<Run> {
    let refused = Refused::new(stage, load, &Format::Json.into())?;
    let worker = refused.start().await?;
    let parked = async || refused.committed(&worker).await;
    let run = measure::follow(worker.process(), load.shape.events, parked).await?;
    let counts = Some(Counts {
        requests: refused.records().await?,
        events: load.shape.events - run.lost,
        ..Counts::default()
    });
    drop(worker);
    refused.end().await?;
    Ok(Run { counts, ..run })
}

async fn park_and_drain(stage: &Stage<'_>, load: &Load) -> Result<Run> {
    let refused = Refused::new(stage, load, &tried_soon())?;
    let worker = refused.start().await?;
    refused.all_parked(&worker).await?;
    let receiver = refused.heal().await?;
    let drained = async || Ok(receiver.counts().await?.events);
    let run = measure::follow(worker.process(), load.shape.events, drained).await?;
    let counts = Some(receiver.counts().await?);
    drop(worker);
    refused.end().await?;
    Ok(Run { counts, ..run })
}
