//! Throughput when the receiver takes its time: what can be in flight, over how long it is.

use std::time::Duration;

use anyhow::Result;

use super::stage::{Setting, Stage};
use crate::{
    arm::Arm,
    load::Shape,
    manifest::Format,
    report::{Findings, Report, Target},
};

const DELAY: Duration = Duration::from_millis(100);
/// Partitions, so lanes.
const LANES: usize = 64;

/// One event a request, and a hundred.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    for (format, batch, events, event_bytes) in [
        (Format::CloudEvents, 1.0, 10_000, 1_024),
        (Format::Json, 100.0, 800_000, 200),
    ] {
        let shape = Shape {
            topics: 1,
            partitions: LANES,
            events,
            event_bytes,
        };
        let setting = Setting {
            targets: 1,
            format,
            delay: DELAY,
        };
        let load = stage.load(shape).await?;
        let run = stage.run(Arm::Worker, &load, setting).await?;
        load.delete(stage.kafka).await?;
        let about = format!("a receiver that takes 100 ms, {format:?}, {batch} event(s) a request");
        let mut findings = Findings::new("latency", about, load.shape);
        findings.arm(Arm::Worker.name(), vec![run]);
        let possible = LANES as f64 * batch / DELAY.as_secs_f64();
        let share = run.cost.events_a_second / possible;
        let what = format!("throughput, of {possible:.0} events/s that are possible");
        findings.target(Target::between(what, share, 0.9, 1.1));
        report.add(findings)?;
    }
    Ok(())
}
