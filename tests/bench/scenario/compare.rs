//! The scenarios that compare arms: single events, and a hundred at a time.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::stage::{Setting, Stage};
use crate::{
    arm::Arm,
    load::{Load, Shape},
    manifest::Format,
    report::{Findings, Report, Target},
    rounds::Rounds,
};

/// One event a request: the worker does all that it does, the naive loop nothing beside the post.
pub(super) async fn singles(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let shape = Shape {
        topics: 1,
        partitions: 64,
        events: 150_000,
        event_bytes: 1_024,
    };
    let arms = [Arm::Worker, Arm::Naive, Arm::NaiveSigned, Arm::Hyper];
    let load = stage.load(shape).await?;
    let about = "one event a request (CloudEvents, signed), beside loops without bookkeeping";
    let mut findings = Findings::new("singles", about, load.shape);
    let rounds = compare(stage, &load, &arms, Format::CloudEvents, &mut findings).await?;
    for other in [Arm::Naive, Arm::NaiveSigned, Arm::Hyper] {
        let ratio = rounds.cpu_ratio(Arm::Worker, other).context("no rounds")?;
        let what = format!("CPU an event, worker / {}", other.name());
        findings.target(match other {
            Arm::Naive => Target::at_most(what, ratio, 1.15),
            Arm::NaiveSigned
            | Arm::Hyper
            | Arm::Reading
            | Arm::Worker
            | Arm::Earlier
            | Arm::Parking
            | Arm::Draining => Target::told(what, ratio),
        });
    }
    report.add(findings)
}

/// A hundred events a request: the post weighs little, so reading is the measure.
pub(super) async fn batches(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let shape = Shape {
        topics: 1,
        partitions: 64,
        events: 1_500_000,
        event_bytes: 200,
    };
    let arms = [Arm::Worker, Arm::Reading];
    let load = stage.load(shape).await?;
    let about = "a hundred events a request (Json, signed), beside merely reading";
    let mut findings = Findings::new("batches", about, load.shape);
    let rounds = compare(stage, &load, &arms, Format::Json, &mut findings).await?;
    let ratio = rounds.cpu_ratio(Arm::Worker, Arm::Reading);
    let ratio = ratio.context("no rounds")?;
    findings.target(Target::at_most(
        "CPU an event, worker / reading",
        ratio,
        2.5,
    ));
    report.add(findings)
}

/// The worker beside an earlier one, in both formats: what was added since must not slow the live path.
pub(super) async fn earlier(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    for (format, events, event_bytes) in [
        (Format::CloudEvents, 150_000, 1_024),
        (Format::Json, 1_500_000, 200),
    ] {
        let shape = Shape {
            topics: 1,
            partitions: 64,
            events,
            event_bytes,
        };
        let load = stage.load(shape).await?;
        let about = format!("the live path, {format:?}, signed, beside an earlier worker");
        let mut findings = Findings::new("earlier", about, load.shape);
        let arms = [Arm::Worker, Arm::Earlier];
        let rounds = compare(stage, &load, &arms, format, &mut findings).await?;
        let cpu = rounds.cpu_ratio(Arm::Worker, Arm::Earlier);
        let what = "CPU an event, worker / earlier";
        findings.target(Target::at_most(what, cpu.context("no rounds")?, 1.05));
        let speed = rounds.speed_ratio(Arm::Worker, Arm::Earlier);
        let what = "events/s, worker / earlier";
        findings.target(Target::at_least(what, speed.context("no rounds")?, 0.95));
        report.add(findings)?;
    }
    Ok(())
}

async fn compare(
    stage: &Stage<'_>,
    load: &Load,
    arms: &[Arm],
    format: Format,
    findings: &mut Findings,
) -> Result<Rounds<Arm>> {
    let setting = Setting {
        targets: 1,
        format,
        delay: Duration::ZERO,
    };
    let run = async |arm| stage.run(arm, load, setting).await;
    let rounds = Rounds::run(arms, stage.rounds(5), stage.options.seed, run).await?;
    load.delete(stage.kafka).await?;
    for (arm, runs) in rounds.by_arm() {
        findings.arm(arm.name(), runs);
    }
    Ok(rounds)
}
