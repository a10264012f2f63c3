//! What was measured, as a table for people and as JSON for programs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{load::Shape, measure::Run, rounds::median};

const MIB: f64 = 1024.0 * 1024.0;

/// All scenarios.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    scenarios: Vec<Findings>,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    scenario: &'static str,
    about: String,
    shape: Shape,
    arms: Vec<ArmRuns>,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct ArmRuns {
    arm: &'static str,
    runs: Vec<Run>,
}

/// A figure, mostly with a bound.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    what: String,
    measured: f64,
    /// Bounds, both inclusive; none for a figure that is only told.
    bounds: Option<(f64, f64)>,
    reached: Option<bool>,
}

impl Target {
    /// A figure that must not be larger than `at_most`.
    pub(crate) fn at_most(what: impl Into<String>, measured: f64, at_most: f64) -> Self {
        Self::between(what, measured, 0.0, at_most)
    }

    /// A figure that must not be smaller than `at_least`.
    pub(crate) fn at_least(what: impl Into<String>, measured: f64, at_least: f64) -> Self {
        Self::between(what, measured, at_least, f64::INFINITY)
    }

    /// A figure that must lie between two bounds.
    pub(crate) fn between(
        what: impl Into<String>,
        measured: f64,
        at_least: f64,
        at_most: f64,
    ) -> Self {
        Self {
            what: what.into(),
            measured,
            bounds: Some((at_least, at_most)),
            reached: Some((at_least..=at_most).contains(&measured)),
        }
    }

    /// A figure that nothing is asked of.
    pub(crate) fn told(what: impl Into<String>, measured: f64) -> Self {
        Self {
            what: what.into(),
            measured,
            bounds: None,
            reached: None,
        }
    }

    fn line(&self) -> String {
        let verdict = match self.reached {
            Some(true) => "reached",
            Some(false) => "MISSED ",
            None => "       ",
        };
        let bounds = match self.bounds {
            Some((0.0, at_most)) => format!(" (at most {at_most:.2})"),
            Some((at_least, f64::INFINITY)) => format!(" (at least {at_least:.2})"),
            Some((at_least, at_most)) => format!(" ({at_least:.2} to {at_most:.2})"),
            None => String::new(),
        };
        format!("  {verdict}  {}: {:.3}{bounds}", self.what, self.measured)
    }
}

impl Findings {
    /// A scenario whose runs are still to be added.
    pub(crate) fn new(scenario: &'static str, about: impl Into<String>, shape: Shape) -> Self {
        Self {
            scenario,
            about: about.into(),
            shape,
            arms: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Adds the runs of an arm.
    pub(crate) fn arm(&mut self, arm: &'static str, runs: Vec<Run>) {
        self.arms.push(ArmRuns { arm, runs });
    }

    /// Adds a figure with a bound.
    pub(crate) fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    fn table(&self) -> String {
        let Shape {
            topics,
            partitions,
            events,
            event_bytes,
        } = self.shape;
        let mut text = format!(
            "\n{}: {}\n  {topics} topic(s) of {partitions} partitions, {events} events of \
             {event_bytes} bytes\n",
            self.scenario, self.about
        );
        if !self.arms.is_empty() {
            let _infallible = writeln!(text, "  {HEADINGS}");
        }
        for arm in &self.arms {
            let _infallible = writeln!(text, "  {}", arm.row());
        }
        for target in &self.targets {
            let _infallible = writeln!(text, "{}", target.line());
        }
        text
    }
}

const HEADINGS: &str = "arm           CPU µs/event   events/s  events/request  switches/event  \
                        peak MiB      lost  repeated  disordered   garbled";

impl ArmRuns {
    /// Medians of the costs; the worst of all else.
    fn row(&self) -> String {
        let middle = |of: fn(&Run) -> f64| median(self.runs.iter().map(of)).unwrap_or(f64::NAN);
        let worst = |of: fn(&Run) -> u64| self.runs.iter().map(of).max().unwrap_or(0);
        let counted = |of: fn(crate::receiver::Counts) -> u64| {
            let counts = self.runs.iter().filter_map(|run| run.counts);
            counts.map(of).max().unwrap_or(0)
        };
        let a_request = middle(|run| {
            let counts = run.counts.unwrap_or_default();
            (counts.events + counts.repeated) as f64 / counts.requests as f64
        });
        let a_request = match a_request.is_finite() {
            true => format!("{a_request:.1}"),
            false => "-".to_owned(),
        };
        format!(
            "{:<13}{:>13.3}{:>11.0}{:>16}{:>16.3}{:>10.1}{:>10}{:>10}{:>12}{:>10}",
            self.arm,
            middle(|run| run.cost.cpu_micros_an_event),
            middle(|run| run.cost.events_a_second),
            a_request,
            middle(|run| run.cost.switches_an_event),
            worst(|run| run.peak_bytes) as f64 / MIB,
            worst(|run| run.lost),
            counted(|counts| counts.repeated),
            counted(|counts| counts.disordered),
            counted(|counts| counts.garbled),
        )
    }
}

impl Report {
    /// Prints a scenario and keeps it for the file.
    pub(crate) fn add(&mut self, findings: Findings) -> Result<()> {
        write!(io::stdout(), "{}", findings.table()).context("print")?;
        self.scenarios.push(findings);
        Ok(())
    }

    /// Writes all of it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }
}
