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

/// One target that wants everything, and a thousand targets that share eight topics.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let one = |events, event_bytes| Shape {
        topics: 1,
        partitions: 64,
        events,
        event_bytes,
    };
    let many = Shape {
        topics: 8,
        partitions: 8,
        ..one(3_200, 1_024)
    };
    for (targets, shape, format, at_most) in [
        (1, one(200_000, 1_024), Format::CloudEvents, 40.0),
        (1, one(400_000, 1_024), Format::Json, 40.0),
        (1_000, many, Format::CloudEvents, 64.0),
        (1_000, many, Format::Json, 64.0),
    ] {
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
        findings.arm(Arm::Worker, vec![run]);
        let peak = run.peak_bytes as f64 / MIB;
        findings.target(Target::at_most("peak memory, MiB", peak, at_most));
        report.add(findings)?;
    }
    Ok(())
}
