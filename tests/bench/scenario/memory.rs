//! The most memory that a worker ever has resident while it delivers as fast as it can.

use std::time::Duration;

use anyhow::Result;

use super::stage::{Setting, Stage};
use crate::{
    arm::Arm,
    load::Shape,
    manifest::Format,
    report::{Findings, Report, Target},
};

const MIB: f64 = 1024.0 * 1024.0;

/// One target that wants everything.
pub(super) async fn one_target(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    for (events, event_bytes, format) in [
        (200_000, 1_024, Format::CloudEvents),
        (400_000, 1_024, Format::Json),
    ] {
        let shape = Shape {
            topics: 1,
            partitions: 64,
            events,
            event_bytes,
        };
        peak(stage, report, (1, shape, format), 40.0).await?;
    }
    Ok(())
}

/// A thousand targets that share eight topics, so 8,000 lanes.
pub(super) async fn many_targets(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let shape = Shape {
        topics: 8,
        partitions: 8,
        events: 3_200,
        event_bytes: 1_024,
    };
    for format in [Format::CloudEvents, Format::Json] {
        peak(stage, report, (1_000, shape, format), 64.0).await?;
    }
    Ok(())
}

async fn peak(
    stage: &Stage<'_>,
    report: &mut Report,
    (targets, shape, format): (usize, Shape, Format),
    at_most: f64,
) -> Result<()> {
    let setting = Setting {
        targets,
        format,
        delay: Duration::ZERO,
    };
    let load = stage.load(shape).await?;
    let run = stage.run(Arm::Worker, &load, setting).await?;
    load.delete(stage.kafka).await?;
    let about = format!("full speed, {targets} target(s), {format:?}, signed");
    let mut findings = Findings::new("memory", about, load.shape);
    findings.arm(Arm::Worker.name(), vec![run]);
    let peak = run.peak_bytes as f64 / MIB;
    findings.target(Target::at_most("peak memory, MiB", peak, at_most));
    report.add(findings)
}
