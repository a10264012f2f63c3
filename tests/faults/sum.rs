//! The report of several rounds, from theirs.
//!
//! Owns nothing. Numbers are added; of times and sizes the largest counts.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{judge::P99, report::Report};

impl Report {
    /// Adds a later round.
    ///
    /// # Errors
    /// Never, unless a count is no number.
    pub(crate) fn add(&mut self, later: Self) -> Result<()> {
        self.rounds += later.rounds;
        self.seconds += later.seconds;
        self.steps += later.steps;
        self.faults += later.faults;
        self.failpoints_not_reached += later.failpoints_not_reached;
        self.events += later.events;
        self.out_of_order += later.out_of_order;
        self.looks += later.looks;
        self.workers += later.workers;
        self.slowest_drain_ms = self.slowest_drain_ms.max(later.slowest_drain_ms);
        self.peak_bytes = self.peak_bytes.max(later.peak_bytes);
        self.violations.extend(later.violations);
        add_all(&mut self.faults_by_kind, later.faults_by_kind);
        add_all(&mut self.repeated_by_cause, later.repeated_by_cause);
        for (row, more) in self.invariants.iter_mut().zip(later.invariants) {
            row.tally.checked += more.tally.checked;
            row.tally.violated += more.tally.violated;
        }
        for (taken, more) in self.sometimes.iter_mut().zip(later.sometimes) {
            taken.times += more.times;
        }
        self.p99 = longest(self.p99, later.p99);
        self.counts = {
            // Field by field without naming each: whatever is counted is added.
            let mut all = serde_json::to_value(&self.counts)?;
            add_numbers(&mut all, &serde_json::to_value(&later.counts)?)?;
            serde_json::from_value(all)?
        };
        Ok(())
    }
}

fn add_all<K: Ord>(all: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (key, count) in more {
        *all.entry(key).or_default() += count;
    }
}

fn add_numbers(all: &mut Value, more: &Value) -> Result<()> {
    for (name, count) in all.as_object_mut().context("counts")? {
        let sum = count.as_u64().zip(more[name].as_u64());
        let (one, other) = sum.with_context(|| format!("{name} is no number"))?;
        *count = (one + other).into();
    }
    Ok(())
}

fn longest(one: P99, other: P99) -> P99 {
    P99 {
        quiet_ms: one.quiet_ms.max(other.quiet_ms),
        quiet_requests: one.quiet_requests + other.quiet_requests,
        others_hang_ms: one.others_hang_ms.max(other.others_hang_ms),
        others_hang_requests: one.others_hang_requests + other.others_hang_requests,
        all_ms: one.all_ms.max(other.all_ms),
    }
}
