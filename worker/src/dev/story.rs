//! What happened, in a line when it happens: compares each report with the one before. Pure.
//!
//! Owns what the last report said of the whole; `target` owns what it said of each target.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use crate::report::WorkerReport;

use super::table::name;
use target::{Known, events};

mod target;
#[cfg(test)]
mod tests;

/// Remembers the last report.
#[derive(Debug, Default)]
pub(super) struct Story {
    known: BTreeMap<Uuid, Known>,
    problems: Vec<crate::targets::Problem>,
    lost: u64,
    delivered_anything: bool,
    begun: bool,
}

impl Story {
    /// What changed since the last report. `now` is in milliseconds since the Unix epoch; `elapsed` is
    /// the time since the start of the demo; `in_order` is whether the receivers saw no event late.
    pub(super) fn observe(
        &mut self,
        report: &WorkerReport,
        now: i64,
        elapsed: Duration,
        in_order: bool,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        self.tell_problems(report, &mut lines);
        self.tell_comings_and_goings(report, &mut lines);
        for (uid, target) in &report.targets {
            if let Some(known) = self.known.get_mut(uid) {
                known.observe(target, now, in_order, &mut lines);
            }
        }
        self.tell_loss(report, &mut lines);
        self.tell_first_delivery(elapsed, &mut lines);
        self.begun = true;
        lines
    }

    fn tell_problems(&mut self, report: &WorkerReport, lines: &mut Vec<String>) {
        for problem in &report.problems {
            if !self.problems.contains(problem) {
                let outlook = if problem.last_good_runs {
                    "; the last good version goes on"
                } else {
                    ""
                };
                lines.push(format!(
                    "{}, document {}: {}{outlook}",
                    problem.file, problem.document, problem.message
                ));
            }
        }
        let still: BTreeSet<&str> = report.problems.iter().map(|p| p.file.as_str()).collect();
        let before: BTreeSet<&str> = self.problems.iter().map(|p| p.file.as_str()).collect();
        for file in before.difference(&still) {
            lines.push(format!("{file} is good again"));
        }
        self.problems.clone_from(&report.problems);
    }

    fn tell_comings_and_goings(&mut self, report: &WorkerReport, lines: &mut Vec<String>) {
        self.known.retain(|uid, known| {
            let stays = report.targets.contains_key(uid);
            if !stays {
                lines.push(format!("{} is gone", known.name()));
            }
            stays
        });
        for (uid, target) in &report.targets {
            self.known.entry(*uid).or_insert_with(|| {
                let name = name(target);
                if self.begun {
                    lines.push(format!("{name} is new"));
                }
                Known::new(name, target)
            });
        }
    }

    fn tell_loss(&mut self, report: &WorkerReport, lines: &mut Vec<String>) {
        let lost = report.source.events_lost.values().sum();
        if lost > self.lost {
            let more = lost - self.lost;
            lines.push(format!(
                "{} destroyed by the demo broker before they were read",
                events(more)
            ));
        }
        self.lost = lost;
    }

    fn tell_first_delivery(&mut self, elapsed: Duration, lines: &mut Vec<String>) {
        let delivered = self.known.values().any(Known::has_delivered);
        if delivered && !self.delivered_anything {
            self.delivered_anything = true;
            let tenths = elapsed.as_millis() / 100;
            lines.push(format!(
                "first events delivered {}.{} s after the start",
                tenths / 10,
                tenths % 10
            ));
        }
    }
}
