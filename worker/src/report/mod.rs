//! What this worker tells about itself: per target, counters, state and what is parked, merged over its
//! shards.
//!
//! Each shard owns its own [`TargetReport`]s and answers when asked, so nothing is locked or shared
//! on the way of an event. Plain data: no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use crate::delivery::{Attempt, Outcome, Reason};

mod parked;
mod source;

pub use parked::{LaneMode, LaneReport, Parked, Recovered, WORST_LANES, earliest};
pub use source::{OwnTopicsReport, PartitionReport, SourceReport};

/// How many attempts a target remembers for the status page.
pub const LAST_ATTEMPTS: usize = 16;

/// Upper bounds of the attempt duration histogram, seconds (OpenTelemetry's HTTP buckets and the
/// timeouts a target may have).
pub const DURATION_BUCKETS_SECONDS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0,
    60.0,
];

/// Upper bounds of the events-per-transaction histogram.
pub const EVENTS_BUCKETS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0];

/// REASON while UP although a lane stopped at a gap in what was parked.
const LANE_STOPPED: &str = "LaneStopped";

/// REASON while UP although events are parked, because they come faster than the target takes them.
const OVERFLOW: &str = "Overflow";

/// STATE as a person sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Deliveries succeed, or nothing was tried yet.
    #[default]
    Up,
    /// The last attempt of some lane failed and none succeeded after it.
    Down,
    /// Events are kept because the resource says so.
    Suspended,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Suspended];

    /// The word in tables, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::Suspended => "SUSPENDED",
        }
    }
}

/// Health of one target on this worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// STATE.
    pub state: State,
    /// REASON: one CamelCase word, empty while UP without a remark.
    pub reason: &'static str,
    /// When STATE last changed, milliseconds since the Unix epoch.
    pub since: Option<i64>,
    /// When the first next attempt of its waiting lanes is due, milliseconds since the Unix epoch.
    pub next_attempt: Option<i64>,
    /// The last failed attempt.
    pub last_failure: Option<Failure>,
}

/// A failed attempt, for people. Holds no body and no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// When it failed, milliseconds since the Unix epoch.
    pub at: i64,
    /// Why.
    pub reason: Reason,
    /// Status code, when there was a response.
    pub status: Option<u16>,
    /// At most 1 KiB, control bytes stripped.
    pub message: Option<String>,
}

/// One target on this worker.
#[derive(Clone, Debug)]
pub struct TargetReport {
    /// Its effective configuration.
    pub target: Arc<CompiledTarget>,
    /// Its state here.
    pub health: Health,
    /// Its counters since the worker started.
    pub counters: TargetCounters,
    /// Events that were read and not yet delivered, each once: those in memory and those parked.
    pub pending_events: u64,
    /// Lanes on this worker.
    pub lanes: u64,
    /// What its lanes that are not live have.
    pub parked: Parked,
    /// The last time that all its lanes were live again.
    pub last_recovery: Option<Recovered>,
    /// Whether the oldest parked event of some lane has waited for half the time that it is kept.
    pub at_risk: bool,
    /// The newest attempts, newest first, at most [`LAST_ATTEMPTS`].
    pub last_attempts: VecDeque<AttemptLine>,
}

impl TargetReport {
    /// Adds what another shard tells of the same target. Health is shared by the shards already, but for
    /// when lanes are due.
    pub fn merge(&mut self, other: Self) {
        self.counters.merge(&other.counters);
        self.pending_events += other.pending_events;
        self.lanes += other.lanes;
        self.parked.merge(other.parked);
        self.health.next_attempt = earliest(self.health.next_attempt, other.health.next_attempt);
        self.at_risk |= other.at_risk;
        self.last_attempts.extend(other.last_attempts);
        let newest_first = |line: &AttemptLine| std::cmp::Reverse(line.at);
        self.last_attempts
            .make_contiguous()
            .sort_by_key(newest_first);
        self.last_attempts.truncate(LAST_ATTEMPTS);
    }

    /// REASON: what the attempts say, and when they have no remark, what the lanes say.
    pub fn reason(&self) -> &'static str {
        let lanes_say = match self.health.state {
            State::Up if self.parked.stopped() > 0 => LANE_STOPPED,
            State::Up if self.parked.overflowing > 0 => OVERFLOW,
            State::Up | State::Down | State::Suspended => "",
        };
        match self.health.reason {
            "" => lanes_say,
            reason => reason,
        }
    }
}

/// Counters of one target. They only rise.
#[derive(Clone, Debug, Default)]
pub struct TargetCounters {
    /// Attempts that were delivered.
    pub successes: u64,
    /// Attempts answered with a bad status.
    pub failures: u64,
    /// Attempts without a response.
    pub errors: u64,
    /// Attempts by outcome, in the order of [`outcome_index`].
    pub outcomes: [u64; 6],
    /// Failed attempts by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Responses by status code.
    pub codes: BTreeMap<u16, u64>,
    /// Events delivered.
    pub events_delivered: u64,
    /// Events parked.
    pub events_parked: u64,
    /// Events delivered from the retry topic.
    pub events_drained: u64,
    /// Events that became dead letters, by reason.
    pub events_dead_lettered: BTreeMap<&'static str, u64>,
    /// Parked events that were lost, by cause; those of retention at most.
    pub events_lost: BTreeMap<&'static str, u64>,
    /// Body bytes delivered.
    pub bytes_delivered: u64,
    /// Events of class Ephemeral that were dropped.
    pub events_dropped: u64,
    /// Attempt durations.
    pub durations: Histogram<17>,
    /// Events per attempt.
    pub transaction_events: Histogram<8>,
}

/// Cause of the loss of parked events: the retry topic's retention took them.
pub const LOST_RETENTION: &str = "retention";

/// Cause of the loss of an event that was parked by its place: its source topic has it no more.
pub const LOST_SOURCE_GONE: &str = "source-gone";

/// Where an outcome is counted in [`TargetCounters::outcomes`].
pub fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Throttled { .. } => 1,
        Outcome::Unavailable { .. } => 2,
        Outcome::Misconfigured => 3,
        Outcome::Gone => 4,
        Outcome::Rejected => 5,
    }
}

/// Label values of outcomes, in the order of [`outcome_index`].
pub const OUTCOME_LABELS: [&str; 6] = [
    "delivered",
    "throttled",
    "unavailable",
    "misconfigured",
    "gone",
    "rejected",
];

/// A histogram with fixed bounds; the last bucket is unbounded and counted in `count`.
#[derive(Clone, Debug)]
pub struct Histogram<const N: usize> {
    /// Observations at or below each bound and above the one before it.
    pub buckets: [u64; N],
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: [0; N],
            count: 0,
            sum: 0.0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts one observation against `bounds`.
    pub fn observe(&mut self, bounds: &[f64; N], value: f64) {
        self.count += 1;
        self.sum += value;
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound) {
            self.buckets[bucket] += 1;
        }
    }

    /// Adds another shard's observations.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
    }
}

impl TargetCounters {
    /// Counts one attempt with `events` events and a body of `bytes` bytes.
    pub fn count(&mut self, attempt: &Attempt, events: usize, bytes: usize) {
        self.outcomes[outcome_index(attempt.outcome)] += 1;
        match (attempt.outcome, attempt.status) {
            (Outcome::Delivered, _) => {
                self.successes += 1;
                self.events_delivered += events as u64;
                self.bytes_delivered += bytes as u64;
            }
            (_, Some(_)) => self.failures += 1,
            (_, None) => self.errors += 1,
        }
        if attempt.outcome != Outcome::Delivered {
            *self.reasons.entry(attempt.reason).or_default() += 1;
        }
        if let Some(code) = attempt.status {
            *self.codes.entry(code).or_default() += 1;
        }
        self.durations
            .observe(&DURATION_BUCKETS_SECONDS, attempt.duration.as_secs_f64());
        self.transaction_events
            .observe(&EVENTS_BUCKETS, events as f64);
    }

    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &Self) {
        self.successes += other.successes;
        self.failures += other.failures;
        self.errors += other.errors;
        self.events_delivered += other.events_delivered;
        self.bytes_delivered += other.bytes_delivered;
        self.events_parked += other.events_parked;
        self.events_drained += other.events_drained;
        self.events_dropped += other.events_dropped;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (reason, count) in &other.reasons {
            *self.reasons.entry(*reason).or_default() += count;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        for (reason, count) in &other.events_dead_lettered {
            *self.events_dead_lettered.entry(reason).or_default() += count;
        }
        for (cause, count) in &other.events_lost {
            *self.events_lost.entry(cause).or_default() += count;
        }
        self.durations.merge(&other.durations);
        self.transaction_events.merge(&other.transaction_events);
    }
}

/// One line of a target's attempt log.
#[derive(Clone, Debug)]
pub struct AttemptLine {
    /// When the attempt ended, milliseconds since the Unix epoch.
    pub at: i64,
    /// Transaction id.
    pub transaction: String,
    /// Topic and partition of the lane.
    pub topic: Arc<str>,
    /// Partition of the lane.
    pub partition: i32,
    /// First and last offset.
    pub offsets: (i64, i64),
    /// Events.
    pub events: u64,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// What it came to.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// Status code, when there was a response.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
}

/// Everything the admin port shows, gathered at one moment.
#[derive(Clone, Debug, Default)]
pub struct WorkerReport {
    /// How often the targets that run have changed; none until they were loaded once.
    pub changes: Option<u64>,
    /// Revision of the targets that run, when somebody numbers them.
    pub revision: Option<Revision>,
    /// The revision without which the worker has left the group.
    pub lacks: Option<Revision>,
    /// The targets by uid.
    pub targets: BTreeMap<Uuid, TargetReport>,
    /// The consumer.
    pub source: SourceReport,
    /// The worker's own topics.
    pub own_topics: OwnTopicsReport,
    /// Configuration problems, one line each.
    pub problems: Vec<crate::targets::Problem>,
}
