//! What happened, in a line when it happens: compares each report with the one before. Pure.
//!
//! Owns what the last report said of each target. A target's recovery is told when the events that
//! waited are delivered; when that takes longer than one report, its return is told first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::compiled::CompiledTarget;
use uuid::Uuid;

use crate::report::{Health, State, TargetReport, WorkerReport};

use super::age::age;
use super::table::{between, name};

/// Remembers the last report.
#[derive(Debug, Default)]
pub(super) struct Story {
    known: BTreeMap<Uuid, Known>,
    problems: Vec<crate::targets::Problem>,
    lost: u64,
    delivered_anything: bool,
    begun: bool,
}

#[derive(Debug)]
struct Known {
    name: String,
    target: Arc<CompiledTarget>,
    state: State,
    delivered: u64,
    outage: Option<Outage>,
}

/// From DOWN until what waited is delivered.
#[derive(Debug)]
struct Outage {
    since: i64,
    /// When it ended, and whether that was told.
    ended: Option<i64>,
    /// Delivered when it was last seen DOWN, and what waited then.
    delivered: u64,
    waiting: u64,
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
                lines.push(format!("{} is gone", known.name));
            }
            stays
        });
        for (uid, target) in &report.targets {
            self.known.entry(*uid).or_insert_with(|| {
                let name = name(target);
                if self.begun {
                    lines.push(format!("{name} is new"));
                }
                Known {
                    name,
                    target: Arc::clone(&target.target),
                    state: State::Up,
                    delivered: 0,
                    outage: None,
                }
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
        let delivered = self.known.values().any(|known| known.delivered > 0);
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

impl Known {
    fn observe(
        &mut self,
        target: &TargetReport,
        now: i64,
        in_order: bool,
        lines: &mut Vec<String>,
    ) {
        if self.target != target.target {
            lines.push(format!("{}: the changed manifest is live", self.name));
        }
        self.target = Arc::clone(&target.target);
        let delivered = target.counters.events_delivered;
        match target.health.state {
            State::Down => self.down(target, now, lines),
            State::Up => self.up(target, now, in_order, lines),
            State::Suspended => {
                self.outage = None;
                if self.state != State::Suspended {
                    lines.push(format!(
                        "{} is suspended: its events wait in Kafka",
                        self.name
                    ));
                }
            }
        }
        self.state = target.health.state;
        self.delivered = delivered;
    }

    fn down(&mut self, target: &TargetReport, now: i64, lines: &mut Vec<String>) {
        let health = &target.health;
        let since = health.since.unwrap_or(now);
        if self.state != State::Down {
            lines.push(format!(
                "{} is DOWN: {}; {}{} {} in Kafka",
                self.name,
                cause(health),
                next_attempt(health, now),
                events(target.pending_events),
                if target.pending_events == 1 {
                    "waits"
                } else {
                    "wait"
                },
            ));
        }
        self.outage = Some(Outage {
            since,
            ended: None,
            delivered: target.counters.events_delivered,
            waiting: target.pending_events,
        });
    }

    fn up(&mut self, target: &TargetReport, now: i64, in_order: bool, lines: &mut Vec<String>) {
        if self.state == State::Suspended {
            lines.push(format!("{} is no longer suspended", self.name));
        }
        let Some(outage) = &mut self.outage else {
            return;
        };
        let delivered = target
            .counters
            .events_delivered
            .saturating_sub(outage.delivered);
        let caught_up = delivered >= outage.waiting;
        let order = if in_order { " in order" } else { "" };
        match (outage.ended, caught_up) {
            (None, true) => {
                let lasted = age(between(outage.since, target.health.since.unwrap_or(now)));
                lines.push(format!(
                    "{} is UP again after {lasted}: {} delivered{order}",
                    self.name,
                    events(delivered)
                ));
            }
            (None, false) => {
                let end = target.health.since.unwrap_or(now);
                outage.ended = Some(end);
                lines.push(format!(
                    "{} is UP again after {}: {} to deliver",
                    self.name,
                    age(between(outage.since, end)),
                    events(outage.waiting - delivered)
                ));
            }
            (Some(_), true) => lines.push(format!(
                "{} has caught up: {} delivered{order}",
                self.name,
                events(delivered)
            )),
            (Some(_), false) => {}
        }
        if caught_up {
            self.outage = None;
        }
    }
}

fn cause(health: &Health) -> String {
    let status = health
        .last_failure
        .as_ref()
        .and_then(|failure| failure.status);
    match status {
        Some(status) => format!("HTTP {status}"),
        None => health.reason.to_owned(),
    }
}

fn next_attempt(health: &Health, now: i64) -> String {
    match health.next_attempt {
        // Rounded up: a wait of 1.6 s is shown as 2 s, never as shorter than it is.
        Some(at) => format!(
            "next attempt in {} s; ",
            between(now, at).as_millis().div_ceil(1_000)
        ),
        None => String::new(),
    }
}

fn events(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        _ => format!("{count} events"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::targets::Problem;

    const NOW: i64 = sample::NOW;

    /// A story that has already told its beginning, with one target `flaky`.
    fn begun() -> (Story, WorkerReport) {
        let mut report = sample::report_of("default", "flaky");
        sample::only(&mut report).counters.events_delivered = 100;
        let mut story = Story::default();
        story.observe(&report, NOW, Duration::from_secs(3), true);
        (story, report)
    }

    fn tell(story: &mut Story, report: &WorkerReport, now: i64) -> Vec<String> {
        story.observe(report, now, Duration::from_secs(60), true)
    }

    fn fail(report: &mut WorkerReport, pending: u64) {
        let target = sample::only(report);
        target.health = sample::down(NOW);
        target.pending_events = pending;
    }

    fn recover(report: &mut WorkerReport, at: i64, delivered: u64) {
        let target = sample::only(report);
        target.health = Health {
            since: Some(at),
            ..Health::default()
        };
        target.counters.events_delivered += delivered;
        target.pending_events = target.pending_events.saturating_sub(delivered);
    }

    #[test]
    fn the_first_delivery_is_told_once_with_its_time() {
        let mut report = sample::report_of("default", "flaky");
        let mut story = Story::default();
        let early = Duration::from_millis(1_000);
        assert!(story.observe(&report, NOW, early, true).is_empty());
        sample::only(&mut report).counters.events_delivered = 1;
        let time = Duration::from_millis(3_456);
        let lines = story.observe(&report, NOW, time, true);
        assert_eq!(lines, ["first events delivered 3.4 s after the start"]);
        assert!(story.observe(&report, NOW, time, true).is_empty());
    }

    #[test]
    fn down_says_why_when_next_and_how_much_waits() {
        let (mut story, mut report) = begun();
        fail(&mut report, 37);
        assert_eq!(
            tell(&mut story, &report, NOW),
            ["flaky is DOWN: HTTP 503; next attempt in 4 s; 37 events wait in Kafka"]
        );
        assert!(tell(&mut story, &report, NOW + 500).is_empty());
    }

    #[test]
    fn without_a_response_down_gives_the_reason() {
        let (mut story, mut report) = begun();
        fail(&mut report, 1);
        let health = &mut sample::only(&mut report).health;
        health.last_failure = None;
        health.next_attempt = None;
        health.reason = "ConnectionRefused";
        assert_eq!(
            tell(&mut story, &report, NOW),
            ["flaky is DOWN: ConnectionRefused; 1 event waits in Kafka"]
        );
    }

    #[test]
    fn up_says_how_long_it_took_and_what_was_delivered() {
        let (mut story, mut report) = begun();
        fail(&mut report, 37);
        tell(&mut story, &report, NOW);
        sample::only(&mut report).pending_events = 412;
        tell(&mut story, &report, NOW + 19_000);
        recover(&mut report, NOW + 13_000, 412);
        assert_eq!(
            tell(&mut story, &report, NOW + 20_500),
            ["flaky is UP again after 20s: 412 events delivered in order"]
        );
        assert!(tell(&mut story, &report, NOW + 21_000).is_empty());
    }

    #[test]
    fn a_long_backlog_is_told_twice() {
        let (mut story, mut report) = begun();
        fail(&mut report, 412);
        tell(&mut story, &report, NOW);
        recover(&mut report, NOW + 13_000, 100);
        assert_eq!(
            tell(&mut story, &report, NOW + 13_500),
            ["flaky is UP again after 20s: 312 events to deliver"]
        );
        recover(&mut report, NOW + 13_000, 100);
        assert!(tell(&mut story, &report, NOW + 14_000).is_empty());
        recover(&mut report, NOW + 13_000, 230);
        assert_eq!(
            tell(&mut story, &report, NOW + 14_500),
            ["flaky has caught up: 430 events delivered in order"]
        );
    }

    #[test]
    fn order_is_claimed_only_when_the_receivers_saw_it() {
        let (mut story, mut report) = begun();
        fail(&mut report, 5);
        tell(&mut story, &report, NOW);
        recover(&mut report, NOW, 5);
        let lines = story.observe(&report, NOW, Duration::ZERO, false);
        assert_eq!(lines, ["flaky is UP again after 7s: 5 events delivered"]);
    }

    #[test]
    fn a_second_outage_before_the_first_is_made_up_is_told() {
        let (mut story, mut report) = begun();
        fail(&mut report, 412);
        tell(&mut story, &report, NOW);
        recover(&mut report, NOW, 100);
        tell(&mut story, &report, NOW);
        fail(&mut report, 312);
        assert_eq!(tell(&mut story, &report, NOW).len(), 1);
    }

    #[test]
    fn an_edited_manifest_is_told_when_it_is_live() {
        let (mut story, mut report) = begun();
        let target = &mut sample::only(&mut report).target;
        let mut changed = CompiledTarget::clone(target);
        changed.suspend = true;
        *target = Arc::new(changed);
        sample::only(&mut report).health.state = State::Suspended;
        assert_eq!(
            tell(&mut story, &report, NOW),
            [
                "flaky: the changed manifest is live",
                "flaky is suspended: its events wait in Kafka"
            ]
        );
        sample::only(&mut report).health.state = State::Up;
        assert_eq!(
            tell(&mut story, &report, NOW),
            ["flaky is no longer suspended"]
        );
    }

    #[test]
    fn targets_come_and_go() {
        let (mut story, _) = begun();
        let other = sample::report_of("default", "crm");
        assert_eq!(
            tell(&mut story, &other, NOW),
            ["flaky is gone", "crm is new"]
        );
    }

    #[test]
    fn a_mistake_in_a_manifest_and_its_mending_are_told() {
        let (mut story, mut report) = begun();
        report.problems.push(Problem {
            file: "flaky.yaml".to_owned(),
            document: 1,
            message: "spec.format: unknown; one of Json, Raw".to_owned(),
            last_good_runs: true,
        });
        assert_eq!(
            tell(&mut story, &report, NOW),
            [
                "flaky.yaml, document 1: spec.format: unknown; one of Json, Raw; the last good version goes on"
            ]
        );
        assert!(tell(&mut story, &report, NOW).is_empty());
        report.problems.clear();
        assert_eq!(tell(&mut story, &report, NOW), ["flaky.yaml is good again"]);
    }

    #[test]
    fn a_loss_is_never_silent() {
        let (mut story, mut report) = begun();
        report.source.events_lost.insert("retention", 3);
        assert_eq!(
            tell(&mut story, &report, NOW),
            ["3 events destroyed by the demo broker before they were read"]
        );
        assert!(tell(&mut story, &report, NOW).is_empty());
    }
}
