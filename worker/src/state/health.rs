//! Health of one target: the fold of its lanes' attempts into STATE and REASON.
//!
//! Owns which lanes of the target failed last and when one succeeded last. DOWN says that some
//! lane's last attempt failed and no lane of the target succeeded after it. Pure: the time is passed
//! in, a change of STATE comes out. Bounded by the lanes that failed; a lane that is well has no entry.

use std::time::{Duration, Instant};

use parcelhook_crds::health::{self, SUSPENDED};
use rustc_hash::FxHashMap;

use crate::report::{Failure, Health, State};
use crate::source::PartitionId;

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

    /// The lanes whose last attempt failed, each with that failure.
    pub fn failing(&self) -> impl Iterator<Item = (PartitionId, LaneFailure)> {
        self.failing.iter().map(|(lane, failing)| {
            let latest = LaneFailure {
                in_a_row: failing.in_a_row,
                ..failing.latest.clone()
            };
            (lane.clone(), latest)
        })
    }

    /// What a person sees.
    pub fn health(&self, suspended: bool) -> Health {
        let state = if suspended {
            State::Suspended
        } else {
            self.state
        };
        let reason = match state {
            State::Suspended => SUSPENDED,
            State::Up | State::Down => {
                let failing = self.failing.values().map(Failing::told);
                health::reason(failing, self.last_success.as_ref(), state == State::Down)
            }
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
        let lasting = now.saturating_duration_since(failing.first);
        let success = self.last_success.as_ref();
        failing
            .told()
            .is_down(lasting, success, self.failure_threshold)
    }
}

impl Failing {
    /// The lane as the rule sees it.
    fn told(&self) -> health::Failing<'static, Instant> {
        health::Failing {
            last: self.last,
            reason: self.latest.shown.reason.as_str(),
            throttled: self.latest.throttled,
            in_a_row: self.in_a_row,
        }
    }
}

#[cfg(test)]
mod tests;
