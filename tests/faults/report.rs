//! What a run came to, as a table for people and as JSON for programs.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::judge::{Cause, Counts, Invariant, Tally, Violation};

/// Violations that the table spells out; the file has more.
const SHOWN: usize = 20;

const MIB: u64 = 1 << 20;

/// See the module.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) steps: u64,
    /// Faults injected.
    pub(crate) faults: u64,
    pub(crate) faults_by_kind: BTreeMap<String, u64>,
    /// Failpoints that a worker did not reach.
    pub(crate) failpoints_not_reached: u64,
    /// Events written.
    pub(crate) events: u64,
    /// What receivers and commits showed.
    pub(crate) counts: Counts,
    /// Attempts out of order.
    pub(crate) out_of_order: u64,
    /// Events that came again, by cause.
    pub(crate) repeated_by_cause: BTreeMap<Cause, u64>,
    pub(crate) invariants: Vec<Row>,
    pub(crate) violations: Vec<Violation>,
    /// Paths, and how often each was taken.
    pub(crate) sometimes: Vec<(&'static str, u64)>,
    /// Looks at the group's commits.
    pub(crate) looks: u64,
    /// The longest that all targets took to drain, milliseconds.
    pub(crate) slowest_drain_ms: u64,
    /// Worker processes started.
    pub(crate) workers: u32,
    /// The most memory that one of them had, bytes.
    pub(crate) peak_bytes: u64,
}

/// One invariant.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) invariant: &'static str,
    #[serde(flatten)]
    pub(crate) tally: Tally,
}

impl Row {
    /// One for each invariant.
    pub(crate) fn all(tally: impl Fn(Invariant) -> Tally) -> Vec<Self> {
        let rows = Invariant::ALL.into_iter().map(|invariant| Self {
            invariant: invariant.name(),
            tally: tally(invariant),
        });
        rows.collect()
    }
}

impl Report {
    /// Whether every promise was kept.
    pub(crate) fn kept(&self) -> bool {
        self.invariants.iter().all(|row| row.tally.violated == 0)
    }

    /// Writes all of it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _infallible = self.fill(&mut text);
        text
    }

    fn fill(&self, text: &mut String) -> std::fmt::Result {
        let Counts {
            requests,
            deliveries,
            repeated,
            replays,
            ..
        } = self.counts;
        writeln!(
            text,
            "\nseed {}, {} s, {} steps",
            self.seed, self.seconds, self.steps
        )?;
        writeln!(text, "\nfaults injected: {}", self.faults)?;
        for (kind, count) in &self.faults_by_kind {
            writeln!(text, "  {count:>7}  {kind}")?;
        }
        writeln!(
            text,
            "  {:>7}  (failpoints not reached)",
            self.failpoints_not_reached
        )?;
        writeln!(text, "\nevents written: {}", self.events)?;
        writeln!(text, "  {requests:>9}  requests")?;
        writeln!(text, "  {deliveries:>9}  deliveries")?;
        writeln!(text, "  {:>9}  lost", self.counts.lost)?;
        writeln!(text, "  {:>9}  out of order", self.out_of_order)?;
        writeln!(text, "  {repeated:>9}  repeated, in {replays} requests")?;
        for (cause, count) in &self.repeated_by_cause {
            writeln!(text, "  {count:>9}    {cause:?}")?;
        }
        writeln!(
            text,
            "\n  {:<28}{:>11}{:>10}",
            "invariant", "checked", "violated"
        )?;
        for Row { invariant, tally } in &self.invariants {
            writeln!(
                text,
                "  {invariant:<28}{:>11}{:>10}",
                tally.checked, tally.violated
            )?;
        }
        writeln!(text, "\nsometimes:")?;
        for (path, times) in &self.sometimes {
            writeln!(text, "  {times:>9}  {path}")?;
        }
        writeln!(text, "\n  {:>9}  looks at the commits", self.looks)?;
        writeln!(
            text,
            "  {:>9}  ms, the slowest drain",
            self.slowest_drain_ms
        )?;
        writeln!(text, "  {:>9}  worker processes", self.workers)?;
        writeln!(
            text,
            "  {:>9}  MiB, the most memory of one",
            self.peak_bytes / MIB
        )?;
        for violation in self.violations.iter().take(SHOWN) {
            let Violation {
                invariant,
                at_ms,
                what,
            } = violation;
            writeln!(
                text,
                "\nVIOLATED {} at {at_ms} ms: {what}",
                invariant.name()
            )?;
        }
        Ok(())
    }
}
