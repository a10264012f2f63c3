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
            Arm::NaiveSigned | Arm::Hyper | Arm::Reading | Arm::Worker => Target::told(what, ratio),
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

async fn compare(
    stage: &Stage<'_>,
    load: &Load,
    arms: &[Arm],
    format: Format,
    findings: &mut Findings,
) -> Result<Rounds> {
    let setting = Setting {
        targets: 1,
        format,
        delay: Duration::ZERO,
    };
    let run = async |arm| stage.run(arm, load, setting).await;
    let rounds = Rounds::run(arms, stage.options.runs, stage.options.seed, run).await?;
    load.delete(stage.kafka).await?;
    for (arm, runs) in rounds.by_arm() {
        findings.arm(arm, runs);
    }
    Ok(rounds)
}
