//! Health of one target: the fold of its lanes' attempts into STATE and REASON.
//!
//! Owns which lanes of the target failed last and when one succeeded last. DOWN says that some
//! lane's last attempt failed and no lane of the target succeeded after it. Pure: the time is passed
//! in, a change of STATE comes out. Bounded by the lanes that failed; a lane that is well has no entry.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::report::{Failure, Health, State};
use crate::source::PartitionId;

/// How long a target may ask for less before it counts as DOWN.
const THROTTLED_IS_DOWN_AFTER: Duration = Duration::from_secs(60);

/// REASON while UP although the last attempt of some lane failed.
const SOME_PARTITIONS_FAILING: &str = "SomePartitionsFailing";

/// REASON while UP although one lane fails again and again: its oldest event may be what fails.
const HEAD_FAILING: &str = "HeadFailing";

/// Failures in a row of a lane that others have overtaken, until its head is suspected.
const HEAD_FAILURES: u32 = 8;

/// REASON while SUSPENDED.
const SUSPENDED: &str = "Suspended";

/// What a failed attempt tells.
#[derive(Clone, Debug)]
pub struct LaneFailure {
    /// What the person is shown.
    pub shown: Failure,
    /// Whether the target only asked for less.
    pub throttled: bool,
    /// Failed attempts of the lane in a row, this one included.
    pub in_a_row: u32,
    /// When the lane was first known to fail, milliseconds since the Unix epoch: earlier than the attempt
    /// when the lane was taken over.
    pub since: i64,
    /// When the lane tries again, milliseconds since the Unix epoch.
    pub next_attempt: Option<i64>,
}

/// A change of STATE.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The health after the change.
    pub health: Health,
    /// How long the state before it lasted, if it had a beginning.
    pub after: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub struct Fold {
    failing: FxHashMap<PartitionId, Failing>,
    last_success: Option<Instant>,
    last_failure: Option<Failure>,
    state: State,
    since: Option<(Instant, i64)>,
    failure_threshold: u32,
}

#[derive(Debug)]
struct Failing {
    first: Instant,
    last: Instant,
    in_a_row: u32,
    latest: LaneFailure,
}

impl Fold {
    /// A target of which nothing is known: UP.
    pub fn new(failure_threshold: u32) -> Self {
        Self {
            failing: FxHashMap::default(),
            last_success: None,
            last_failure: None,
            state: State::Up,
            since: None,
            failure_threshold,
        }
    }

    /// The target's own word on how many failures in a row make it DOWN.
    pub fn set_failure_threshold(&mut self, failure_threshold: u32) {
        self.failure_threshold = failure_threshold;
    }

    /// An attempt of `lane` failed.
    pub fn failed(
        &mut self,
        lane: &PartitionId,
        failure: LaneFailure,
        now: Instant,
    ) -> Option<Transition> {
        if self
            .last_failure
            .as_ref()
            .is_none_or(|last| last.at <= failure.shown.at)
        {
            self.last_failure = Some(failure.shown.clone());
        }
        let mut at = failure.shown.at;
        if let Some(failing) = self.failing.get_mut(lane) {
            failing.last = now;
            failing.in_a_row = failure.in_a_row.max(failing.in_a_row.saturating_add(1));
            failing.latest = failure;
        } else {
            at = at.min(failure.since);
            self.failing.insert(
                lane.clone(),
                Failing {
                    first: now,
                    last: now,
                    in_a_row: failure.in_a_row,
                    latest: failure,
                },
            );
        }
        self.settle(now, at)
    }

    /// An attempt of `lane` was delivered. Only called while [`Fold::watches_successes`].
    pub fn succeeded(
        &mut self,
        lane: &PartitionId,
        now: Instant,
        unix_millis: i64,
    ) -> Option<Transition> {
        self.failing.remove(lane);
        self.last_success = Some(now);
        self.settle(now, unix_millis)
    }

    /// The lane belongs to another worker now, or has ended.
    pub fn forget(
        &mut self,
        lane: &PartitionId,
        now: Instant,
        unix_millis: i64,
    ) -> Option<Transition> {
        self.failing.remove(lane)?;
        self.settle(now, unix_millis)
    }

    /// Time has passed. Only needed while [`Fold::watches_successes`].
    pub fn look(&mut self, now: Instant, unix_millis: i64) -> Option<Transition> {
        self.settle(now, unix_millis)
    }

    /// Whether a success can change anything: some lane failed last.
    pub fn watches_successes(&self) -> bool {
        !self.failing.is_empty()
    }

    /// What a person sees.
    pub fn health(&self, suspended: bool) -> Health {
        let worst = self.failing.values().max_by_key(|failing| failing.last);
        let state = if suspended {
            State::Suspended
        } else {
            self.state
        };
        let reason = match (state, worst) {
            (State::Suspended, _) => SUSPENDED,
            (State::Down, Some(worst)) => worst.latest.shown.reason.as_str(),
            (State::Up, Some(_)) if self.has_failing_head() => HEAD_FAILING,
            (State::Up, Some(worst)) if worst.latest.throttled => {
                worst.latest.shown.reason.as_str()
            }
            (State::Up, Some(_)) => SOME_PARTITIONS_FAILING,
            (State::Up | State::Down, None) => "",
        };
        Health {
            state,
            reason,
            since: self.since.map(|(_, unix_millis)| unix_millis),
            next_attempt: self
                .failing
                .values()
                .filter_map(|failing| failing.latest.next_attempt)
                .min(),
            last_failure: self.last_failure.clone(),
        }
    }

    fn settle(&mut self, now: Instant, unix_millis: i64) -> Option<Transition> {
        let down = self
            .failing
            .values()
            .any(|failing| self.is_down(failing, now));
        let state = if down { State::Down } else { State::Up };
        if state == self.state {
            return None;
        }
        let after = self
            .since
            .map(|(since, _)| now.saturating_duration_since(since));
        self.state = state;
        self.since = Some((now, unix_millis));
        Some(Transition {
            health: self.health(false),
            after,
        })
    }

    fn is_down(&self, failing: &Failing, now: Instant) -> bool {
        let lasts = now.saturating_duration_since(failing.first);
        let throttled_briefly = failing.latest.throttled && lasts < THROTTLED_IS_DOWN_AFTER;
        !self.is_overtaken(failing)
            && !throttled_briefly
            && failing.in_a_row >= self.failure_threshold
    }

    /// Whether some lane was delivered after this one failed.
    fn is_overtaken(&self, failing: &Failing) -> bool {
        self.last_success
            .is_some_and(|success| success > failing.last)
    }

    fn has_failing_head(&self) -> bool {
        let mut failing = self.failing.values();
        failing.any(|failing| failing.in_a_row >= HEAD_FAILURES && self.is_overtaken(failing))
    }
}

#[cfg(test)]
mod tests;
