//! What a run came to, as a table for people and as JSON for programs.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    judge::{Cause, Counts, Invariant, P99, Tally, Violation},
    sometimes::Taken,
};

/// Violations that the table spells out; the file has more.
const SHOWN: usize = 20;

const MIB: u64 = 1 << 20;

/// Faults from which on a run is long: then it must have taken every path that is required.
const LONG: u64 = 1_000;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// Rounds that were judged.
    pub(crate) rounds: u64,
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
    pub(crate) sometimes: Vec<Taken>,
    /// How long the steady target's requests waited. Of several rounds, the longest.
    pub(crate) p99: P99,
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) invariant: String,
    #[serde(flatten)]
    pub(crate) tally: Tally,
}

impl Row {
    /// One for each invariant.
    pub(crate) fn all(tally: impl Fn(Invariant) -> Tally) -> Vec<Self> {
        let rows = Invariant::ALL.into_iter().map(|invariant| Self {
            invariant: invariant.name().to_owned(),
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

    /// The paths that a run of this length must have taken and has not.
    pub(crate) fn never(&self) -> impl Iterator<Item = &str> {
        let is_long = self.faults >= LONG;
        let never = self.sometimes.iter();
        let never = never.filter(move |taken| is_long && taken.required && taken.times == 0);
        never.map(|taken| taken.path.as_str())
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
            "\nseed {}, {} round(s), {} s, {} steps",
            self.seed, self.rounds, self.seconds, self.steps
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
        writeln!(text, "  {:>9}  dead letters", self.counts.letters)?;
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
        self.fill_paths(text)?;
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
        self.fill_violations(text)
    }

    fn fill_paths(&self, text: &mut String) -> std::fmt::Result {
        for (title, wanted) in [("must happen sometimes", true), ("also happened", false)] {
            writeln!(text, "\n{title}:")?;
            let taken = self.sometimes.iter();
            for Taken { path, times, .. } in taken.filter(|taken| taken.required == wanted) {
                writeln!(text, "  {times:>9}  {path}")?;
            }
        }
        for path in self.never() {
            writeln!(text, "NEVER: {path}")?;
        }
        let P99 {
            quiet_ms,
            quiet_requests,
            others_hang_ms,
            others_hang_requests,
            all_ms,
        } = self.p99;
        writeln!(
            text,
            "\np99 of the oldest event of a request, steady target:"
        )?;
        writeln!(
            text,
            "  {quiet_ms:>9}  ms while workers and brokers were well ({quiet_requests} requests)"
        )?;
        writeln!(
            text,
            "  {others_hang_ms:>9}  ms while all others hung ({others_hang_requests} requests)"
        )?;
        writeln!(text, "  {all_ms:>9}  ms in all")
    }

    fn fill_violations(&self, text: &mut String) -> std::fmt::Result {
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
