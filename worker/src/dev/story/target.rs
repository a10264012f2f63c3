//! The story of one target: when it goes DOWN, comes UP, and has caught up.
//!
//! A recovery is told when all parked events are delivered; when that takes longer than one report, the
//! return is told first. An outage that lasts is told again with each further failed attempt.

use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

use crate::report::{Health, Recovered, State, TargetReport};

use super::super::age::age;
use super::super::table::between;

/// What the last report said of a target.
#[derive(Debug)]
pub(super) struct Known {
    name: String,
    target: Arc<CompiledTarget>,
    state: State,
    delivered: u64,
    /// When it was last told that all parked events were delivered.
    recovered_at: Option<i64>,
    outage: Option<Outage>,
}

/// From DOWN until it is told how it ended.
#[derive(Debug)]
struct Outage {
    since: i64,
    /// Failed attempts of which was told.
    attempts: u32,
}

impl Known {
    /// A target that comes into sight: UP, and nothing delivered yet.
    pub(super) fn new(name: String, target: &TargetReport) -> Self {
        Self {
            name,
            target: Arc::clone(&target.target),
            state: State::Up,
            delivered: 0,
            recovered_at: None,
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
        match target.health.state {
            State::Down => self.down(target, now, lines),
            State::Up => self.up(target, now, in_order, lines),
            State::Suspended => {
                self.outage = None;
                if self.state != State::Suspended {
                    lines.push(format!("{} is suspended: its events are parked", self.name));
                }
            }
        }
        self.state = target.health.state;
        self.delivered = target.counters.events_delivered;
        self.recovered_at = target.last_recovery.map(|recovered| recovered.at);
    }

    fn down(&mut self, target: &TargetReport, now: i64, lines: &mut Vec<String>) {
        let health = &target.health;
        let attempts = target.parked.attempts;
        let waits = format!(
            "{} parked{}",
            events(target.parked.events),
            next_attempt(health, now)
        );
        match &mut self.outage {
            Some(outage) if self.state == State::Down => {
                if attempts > outage.attempts {
                    outage.attempts = attempts;
                    lines.push(format!(
                        "{} is still DOWN after {attempts} attempts: {waits}",
                        self.name
                    ));
                }
            }
            Some(_) | None => {
                lines.push(format!("{} is DOWN: {}; {waits}", self.name, cause(health)));
                self.outage = Some(Outage {
                    since: health.since.unwrap_or(now),
                    attempts: attempts.max(1),
                });
            }
        }
    }

    fn up(&mut self, target: &TargetReport, now: i64, in_order: bool, lines: &mut Vec<String>) {
        if self.state == State::Suspended {
            lines.push(format!("{} is no longer suspended", self.name));
        }
        let recovered = target
            .last_recovery
            .filter(|recovered| recovered.events > 0 && Some(recovered.at) != self.recovered_at);
        let Some(outage) = &self.outage else {
            if let Some(recovered) = recovered {
                lines.push(self.recovery("has caught up", recovered, in_order));
            }
            return;
        };
        if let Some(recovered) = recovered {
            lines.push(self.recovery("recovered", recovered, in_order));
        } else {
            let end = target.health.since.unwrap_or(now);
            let lasted = age(between(outage.since, end));
            let left = match (target.parked.events, target.parked.not_live()) {
                (0, 0) => String::new(),
                // All is delivered, and the last lane is about to be live.
                (0, _) => return,
                (parked, _) => format!(": {} to deliver", events(parked)),
            };
            lines.push(format!("{} is UP again after {lasted}{left}", self.name));
        }
        self.outage = None;
    }

    fn recovery(&self, what: &str, recovered: Recovered, in_order: bool) -> String {
        let order = if in_order { " in order" } else { "" };
        let seconds = recovered.took.as_secs_f64();
        format!(
            "{} {what}: {} delivered{order} in {seconds:.1} s",
            self.name,
            events(recovered.events)
        )
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
            "; next attempt in {} s",
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
