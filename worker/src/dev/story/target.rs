//! The story of one target: when it goes DOWN, comes UP, and has caught up.
//!
//! A recovery is told when the events that waited are delivered; when that takes longer than one
//! report, the return is told first.

use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

use crate::report::{Health, State, TargetReport};

use super::super::age::age;
use super::super::table::between;

/// What the last report said of a target.
#[derive(Debug)]
pub(super) struct Known {
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

impl Known {
    /// A target that comes into sight: UP, and nothing delivered yet.
    pub(super) fn new(name: String, target: &TargetReport) -> Self {
        Self {
            name,
            target: Arc::clone(&target.target),
            state: State::Up,
            delivered: 0,
            outage: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.delivered > 0
    }

    /// Tells what changed since the last report, as [`Story::observe`](super::Story::observe).
    pub(super) fn observe(
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

/// A number of events in words.
pub(super) fn events(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        _ => format!("{count} events"),
    }
}
