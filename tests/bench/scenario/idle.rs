//! What a worker costs that has nothing to do.

use std::time::Duration;

use anyhow::Result;
use parcelhook_env::eventually;

use super::stage::{Setting, Stage};
use crate::{
    load::Shape,
    manifest::Format,
    measure::Sample,
    receiver::Receiver,
    report::{Findings, Report, Target},
};

/// How long it is looked at: 1 % of a core is 30 of the kernel's ticks.
const LOOK: Duration = Duration::from_secs(30);
/// How long a worker that is ready may take to own its partitions.
const START: Duration = Duration::from_secs(60);
/// How long it is then left alone, so that its start is over.
const SETTLE: Duration = Duration::from_secs(5);

/// One target, 100 partitions, no events.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let shape = Shape {
        topics: 1,
        partitions: 100,
        events: 0,
        event_bytes: 0,
    };
    let setting = Setting {
        targets: 1,
        format: Format::Json,
        delay: Duration::ZERO,
    };
    let load = stage.load(shape).await?;
    let receiver = Receiver::start(shape, setting.delay).await?;
    let (worker, _) = stage.worker(&load, setting, receiver.address())?;
    let worker = worker.start().await?;
    eventually("100 lanes", START, async || {
        let targets = worker.targets().await?;
        let lanes = targets.to_string();
        anyhow::ensure!(lanes.contains("\"lanes\":100"), "{lanes}");
        Ok(())
    })
    .await?;
    tokio::time::sleep(SETTLE).await;
    let begin = Sample::take(worker.process(), 0)?;
    tokio::time::sleep(LOOK).await;
    let end = Sample::take(worker.process(), 1)?;
    let cost = begin.until(end);
    let mut findings = Findings::new("idle", "one target, nothing to deliver", shape);
    let percent = cost.cpu_seconds * 100.0 / cost.seconds;
    findings.target(Target::at_most("CPU, % of a core", percent, 1.0));
    let switches = cost.switches_an_event / cost.seconds;
    findings.target(Target::told("context switches a second", switches));
    load.delete(stage.kafka).await?;
    report.add(findings)
}
