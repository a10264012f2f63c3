//! A target on one shard: its configuration made ready, and what this shard counted for it.
//!
//! Owns the shard's counters and attempt log of the target. Health is shared with the other shards
//! and lives in [`crate::state`]; a change of it is logged once, by the shard that caused it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::compiled::Source;
use parcelhook_crds::lane::{LaneRow, NotBefore};

use super::machine::WhyGivenUp;
use super::recovering::Recovering;
use super::request::{Destination, Sent};
use crate::clock;
use crate::delivery::{Attempt, Outcome, PrepareError, Reason};
use crate::recover::backoff::Wait;
use crate::report::{
    AttemptLine, Failure, LAST_ATTEMPTS, LOST_RETENTION, LOST_SOURCE_GONE, Parked, TargetCounters,
    TargetReport,
};
use crate::router::filter::Filter;
use crate::source::PartitionId;
use crate::state::health::{LaneFailure, Transition};
use crate::state::recovery::LiveAgain;
use crate::state::shared::WorkerTarget;
use crate::telemetry::{attempt_log, lane_log};

/// See the module. `P` is a target made ready for requests.
#[derive(Debug)]
pub struct Target<P> {
    /// Configuration and what is shared with other shards.
    pub of: WorkerTarget,
    /// Ready for requests, or why it cannot be.
    pub prepared: Result<Rc<P>, PrepareError>,
    /// Whether the lanes must still be told of this version.
    pub is_new: bool,
    /// How many of its lanes may drain at once.
    pub recovering: Recovering,
    filters: Vec<(String, Option<Rc<Filter>>)>,
    counters: TargetCounters,
    last_attempts: VecDeque<AttemptLine>,
}

impl<P> Target<P> {
    /// A target that this shard did not know.
    pub fn new(of: WorkerTarget, prepared: Result<P, PrepareError>) -> Self {
        Self {
            filters: filters(&of),
            of,
            prepared: prepared.map(Rc::new),
            is_new: true,
            recovering: Recovering::default(),
            counters: TargetCounters::default(),
            last_attempts: VecDeque::new(),
        }
    }

    /// The next version. One that cannot be made ready leaves the last good one at work.
    pub fn changed(self, of: WorkerTarget, prepared: Result<P, PrepareError>) -> Self {
        let prepared = match (prepared, self.prepared) {
            (Ok(prepared), _) => Ok(Rc::new(prepared)),
            (Err(error), Ok(last_good)) => {
                let (namespace, name) = (&of.compiled.namespace, &of.compiled.name);
                tracing::error!(%namespace, target = %name, %error, "the changed target cannot be used; its last good version goes on");
                Ok(last_good)
            }
            (Err(error), Err(_)) => Err(error),
        };
        of.shared
            .set_failure_threshold(of.compiled.failure_threshold);
        of.shared.release();
        Self {
            filters: filters(&of),
            of,
            prepared,
            is_new: true,
            ..self
        }
    }

    /// The target's source of that topic.
    pub fn source(&self, topic: &str) -> Option<&Source> {
        self.of
            .compiled
            .sources
            .iter()
            .find(|source| source.topic == topic)
    }

    /// What it wants of that topic; none wants all.
    pub fn filter(&self, topic: &str) -> Option<Rc<Filter>> {
        self.filters
            .iter()
            .find(|(found, _)| found == topic)
            .and_then(|(_, filter)| filter.clone())
    }

    /// A target that asks for less is left alone by all its lanes.
    pub fn hold_if_throttled(&self, outcome: Outcome, wait: Wait, now: Instant) {
        if let (Outcome::Throttled { .. }, Wait::For(wait)) = (outcome, wait) {
            self.of.shared.hold(now + wait);
        }
    }

    /// An attempt was delivered.
    pub fn delivered(&mut self, lane: &PartitionId, sent: &Sent, attempt: Attempt, now: Instant) {
        self.count(lane, sent, &attempt, None);
        self.log_transition(self.of.shared.succeeded(lane, now));
    }

    /// An attempt failed; the lane tries again at `until`.
    pub fn failed(
        &mut self,
        lane: &PartitionId,
        sent: &Sent,
        attempt: Attempt,
        until: Option<Instant>,
        now: Instant,
    ) {
        self.count(
            lane,
            sent,
            &attempt,
            until.map(|until| until.saturating_duration_since(now)),
        );
        let at = clock::unix_millis();
        let wait = until.map(|until| until.saturating_duration_since(now).as_millis());
        let failure = LaneFailure {
            shown: Failure {
                at,
                reason: attempt.reason,
                status: attempt.status,
                message: attempt.detail,
            },
            throttled: matches!(attempt.outcome, Outcome::Throttled { .. }),
            in_a_row: sent.attempt,
            since: at,
            next_attempt: wait
                .and_then(|wait| i64::try_from(wait).ok())
                .map(|wait| at + wait),
        };
        self.log_transition(self.of.shared.failed(lane, failure, now));
    }

    /// No attempt was made, because the target cannot be used as it is configured.
    pub fn refused(&self, lane: &PartitionId, error: &PrepareError, now: Instant) {
        let message = Some(error.to_string());
        let at = clock::unix_millis();
        let shown = Failure {
            at,
            reason: Reason::InvalidConfiguration,
            status: None,
            message,
        };
        let failure = LaneFailure {
            shown,
            throttled: false,
            in_a_row: 1,
            since: at,
            next_attempt: None,
        };
        self.log_transition(self.of.shared.failed(lane, failure, now));
    }

    /// A lane was taken over that had failed: STATE is what it was.
    pub fn inherited(&self, lane: &PartitionId, row: &LaneRow, now: Instant) {
        let Some(failure) = row.last_failure.as_ref().filter(|_| row.attempts > 0) else {
            return;
        };
        let shown = Failure {
            at: failure.at,
            reason: Reason::from_word(&failure.reason),
            status: failure.status,
            message: failure.message.clone(),
        };
        let failure = LaneFailure {
            throttled: shown.reason == Reason::Throttled,
            in_a_row: row.attempts,
            since: row.since,
            shown,
            next_attempt: match row.not_before {
                NotBefore::At(at) => Some(at),
                NotBefore::Never => None,
            },
        };
        self.log_transition(self.of.shared.failed(lane, failure, now));
    }

    /// A lane left live, or was taken over so.
    pub fn lane_left(&self, lane: lane_log::NotLive) {
        lane_log::left(&self.of.compiled, lane);
    }

    /// A lane has delivered all that it had parked and is live again.
    pub fn lane_recovered(&self, lane: &PartitionId, again: LiveAgain) {
        lane_log::live_again(&self.of.compiled, lane, again);
    }

    /// A lane found a gap in what it had parked.
    pub fn lane_stopped(&self, lane: &PartitionId, parked: u64, delivered_through: i64) {
        lane_log::stopped(&self.of.compiled, lane, parked, delivered_through);
    }

    /// Events of a lane are parked for good.
    pub fn parked(&mut self, events: u32) {
        self.counters.events_parked += u64::from(events);
    }

    /// Parked events of a lane were delivered.
    pub fn drained(&mut self, events: u32) {
        self.counters.events_drained += u64::from(events);
    }

    /// Time has passed.
    pub fn look(&self, now: Instant) {
        self.log_transition(self.of.shared.look(now));
    }

    /// The lane's oldest event has been parked for half the time that it is kept.
    pub fn tell_risk(&self, lane: &PartitionId, max_age: Duration) {
        let (namespace, name) = (&self.of.compiled.namespace, &self.of.compiled.name);
        let kept_s = max_age.as_secs();
        tracing::warn!(
            event = "lane.at_risk", %namespace, target = %name, %lane, kept_s,
            "the oldest parked event has waited for half the time that it is kept; then it becomes a dead letter"
        );
    }

    /// A lane begins to write dead letters, from this offset of its partition on.
    pub fn tell_given_up(&self, lane: &PartitionId, why: WhyGivenUp, offset: i64) {
        let (namespace, name) = (&self.of.compiled.namespace, &self.of.compiled.name);
        tracing::error!(
            event = "lane.dead_letters", %namespace, target = %name, %lane, offset,
            reason = why.as_str(), "parked events are given up: they become dead letters"
        );
    }

    /// A dead letter was written.
    pub fn gave_up(&mut self, why: WhyGivenUp) {
        self.of.shared.gave_up(why.as_str(), clock::unix_millis());
        let counters = &mut self.counters;
        *counters
            .events_dead_lettered
            .entry(why.as_str())
            .or_default() += 1;
        match why {
            WhyGivenUp::SourceGone => {
                *counters.events_lost.entry(LOST_SOURCE_GONE).or_default() += 1
            }
            WhyGivenUp::Expired => {}
        }
    }

    /// The retry topic's retention took parked events.
    pub fn lost_to_retention(&mut self, events: u64) {
        *self.counters.events_lost.entry(LOST_RETENTION).or_default() += events;
    }

    /// The lane is no longer this worker's.
    pub fn forget(&self, lane: &PartitionId, now: Instant) {
        self.log_transition(self.of.shared.forget(lane, now));
    }

    /// Events were dropped, because they are ephemeral.
    pub fn dropped(&mut self, events: u64) {
        self.counters.events_dropped += events;
    }

    /// What this shard counted.
    pub fn report(&self) -> TargetReport {
        TargetReport {
            target: Arc::clone(&self.of.compiled),
            health: self.of.shared.health(self.of.is_suspended()),
            counters: self.counters.clone(),
            pending_events: 0,
            lanes: 0,
            parked: Parked::default(),
            last_recovery: self.of.shared.last_recovery(),
            at_risk: false,
            last_attempts: self.last_attempts.clone(),
        }
    }

    fn count(
        &mut self,
        lane: &PartitionId,
        sent: &Sent,
        attempt: &Attempt,
        wait: Option<Duration>,
    ) {
        self.counters
            .count(attempt, sent.events as usize, sent.bytes);
        let line = AttemptLine {
            at: clock::unix_millis(),
            transaction: sent.id().to_owned(),
            topic: Arc::clone(&lane.topic),
            partition: lane.partition,
            offsets: sent.offsets,
            events: u64::from(sent.events),
            attempt: sent.attempt,
            outcome: attempt.outcome,
            reason: attempt.reason,
            status: attempt.status,
            duration: attempt.duration,
        };
        let destination = Destination {
            target: &self.of.compiled,
            partition: lane,
        };
        let events = sent.events as usize;
        let attempted = destination.attempted(sent.id(), sent.offsets, events, sent.attempt);
        attempt_log::log(
            &attempted,
            attempt,
            wait.map(|wait| wait.as_millis() as u64),
        );
        self.last_attempts.truncate(LAST_ATTEMPTS - 1);
        self.last_attempts.push_front(line);
    }

    fn log_transition(&self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            lane_log::transition(&self.of.compiled, &transition);
        }
    }
}

fn filters(of: &WorkerTarget) -> Vec<(String, Option<Rc<Filter>>)> {
    let filter = |source: &Source| {
        source
            .filter
            .as_ref()
            .map(|filter| Rc::new(Filter::new(filter)))
    };
    of.compiled
        .sources
        .iter()
        .map(|source| (source.topic.clone(), filter(source)))
        .collect()
}
