//! The scenarios: what is delivered by whom, and the figures to reach.

mod backlog;
mod beside;
mod change;
mod compare;
mod down;
mod idle;
mod latency;
mod memory;
mod operator;
mod parking;
mod refused;
mod stage;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use self::stage::Stage;
use crate::{Options, report::Report};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One event a request, beside the loops.
    Singles,
    /// A hundred events a request, beside merely reading.
    Batches,
    /// The most memory, with one target.
    Memory,
    /// The same with a thousand targets.
    Targets,
    /// CPU time when nothing happens.
    Idle,
    /// Throughput when the receiver takes 100 ms.
    Latency,
    /// How soon a changed manifest is live while events flow.
    Change,
    /// The same with resources in Kubernetes, many of them, and what the operator costs.
    Operator,
    /// What targets that are DOWN cost the others.
    Down,
    /// What parking costs, beside merely reading.
    Parking,
    /// How fast parked events are delivered, beside the same events live.
    Drain,
    /// What a drain costs another target.
    Beside,
    /// Memory with many parked events, and how soon a worker that is started again delivers them.
    Backlog,
    /// The live path beside that of an earlier worker, which `--earlier` names.
    Earlier,
}

/// Measures what `options` ask for.
///
/// # Errors
/// When something cannot be started or stands still. A figure that is not reached is none.
pub(crate) fn measure(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("make a runtime")?;
    runtime.block_on(async {
        let stage = Stage::new(options).await?;
        let mut report = Report::default();
        let chosen = match options.scenarios.as_slice() {
            [] => Scenario::value_variants(),
            named => named,
        };
        for scenario in chosen {
            match scenario {
                Scenario::Singles => compare::singles(&stage, &mut report).await,
                Scenario::Batches => compare::batches(&stage, &mut report).await,
                Scenario::Memory => memory::one_target(&stage, &mut report).await,
                Scenario::Targets => memory::many_targets(&stage, &mut report).await,
                Scenario::Idle => idle::measure(&stage, &mut report).await,
                Scenario::Latency => latency::measure(&stage, &mut report).await,
                Scenario::Change => change::measure(&stage, &mut report).await,
                Scenario::Operator => operator::measure(&stage, &mut report).await,
                Scenario::Down => down::measure(&stage, &mut report).await,
                Scenario::Parking => parking::parking(&stage, &mut report).await,
                Scenario::Drain => parking::drain(&stage, &mut report).await,
                Scenario::Beside => beside::measure(&stage, &mut report).await,
                Scenario::Backlog => backlog::measure(&stage, &mut report).await,
                // Among all, only when there is one.
                Scenario::Earlier if options.scenarios.is_empty() && options.earlier.is_none() => {
                    Ok(())
                }
                Scenario::Earlier => compare::earlier(&stage, &mut report).await,
            }
            .with_context(|| format!("scenario {scenario:?}"))?;
        }
        match &options.json {
            Some(path) => report.write(path),
            None => Ok(()),
        }
    })
}
