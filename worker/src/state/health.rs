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

/// What a failed attempt tells.
#[derive(Clone, Debug)]
pub struct LaneFailure {
    /// What the person is shown.
    pub shown: Failure,
    /// Whether the target only asked for less.
    pub throttled: bool,
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
        self.last_failure = Some(failure.shown.clone());
        let at = failure.shown.at;
        if let Some(failing) = self.failing.get_mut(lane) {
            failing.last = now;
            failing.in_a_row = failing.in_a_row.saturating_add(1);
            failing.latest = failure;
        } else {
            self.failing.insert(
                lane.clone(),
                Failing {
                    first: now,
                    last: now,
                    in_a_row: 1,
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

    /// Whether a success can change anything: some lane failed last.
    pub fn watches_successes(&self) -> bool {
        !self.failing.is_empty()
    }

    /// What a person sees.
    pub fn health(&self, suspended: bool) -> Health {
        let worst = self.failing.values().max_by_key(|failing| failing.last);
        let reason = match (self.state, worst) {
            (State::Down, Some(worst)) => worst.latest.shown.reason.as_str(),
            (State::Up, Some(worst)) if worst.latest.throttled => {
                worst.latest.shown.reason.as_str()
            }
            (State::Up, Some(_)) => SOME_PARTITIONS_FAILING,
            (State::Up | State::Down | State::Suspended, _) => "",
        };
        Health {
            state: if suspended {
                State::Suspended
            } else {
                self.state
            },
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
        let down = self.failing.values().any(|failing| self.is_down(failing));
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

    fn is_down(&self, failing: &Failing) -> bool {
        let succeeded_after = self
            .last_success
            .is_some_and(|success| success > failing.last);
        let throttled_briefly =
            failing.latest.throttled && failing.last - failing.first < THROTTLED_IS_DOWN_AFTER;
        !succeeded_after && !throttled_briefly && failing.in_a_row >= self.failure_threshold
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;
    use crate::delivery::Reason;

    fn lane(partition: i32) -> PartitionId {
        PartitionId {
            topic: "orders".into(),
            partition,
        }
    }

    fn failure(throttled: bool) -> LaneFailure {
        let shown = Failure {
            at: 1,
            reason: Reason::Timeout,
            status: None,
            message: None,
        };
        LaneFailure {
            shown,
            throttled,
            next_attempt: Some(2),
        }
    }

    fn state(transition: Option<Transition>) -> Option<State> {
        transition.map(|transition| transition.health.state)
    }

    #[test]
    fn a_failure_is_down_and_the_next_success_of_any_lane_is_up() {
        let (mut fold, now) = (Fold::new(1), clock::now());
        assert_eq!(
            state(fold.failed(&lane(0), failure(false), now)),
            Some(State::Down)
        );
        assert_eq!(
            state(fold.failed(&lane(0), failure(false), now)),
            None,
            "it is DOWN already"
        );
        let later = now + Duration::from_millis(1);
        assert_eq!(state(fold.succeeded(&lane(1), later, 5)), Some(State::Up));
        assert_eq!(fold.health(false).reason, SOME_PARTITIONS_FAILING);
        assert_eq!(
            state(fold.failed(&lane(0), failure(false), later + Duration::from_millis(1))),
            Some(State::Down)
        );
        assert_eq!(
            state(fold.succeeded(&lane(0), later + Duration::from_millis(2), 6)),
            Some(State::Up)
        );
        assert_eq!(
            (fold.health(false).reason, fold.watches_successes()),
            ("", false)
        );
    }

    #[test]
    fn the_threshold_changes_only_when_down_is_shown() {
        let (mut fold, now) = (Fold::new(3), clock::now());
        assert_eq!(fold.failed(&lane(0), failure(false), now), None);
        assert_eq!(fold.failed(&lane(0), failure(false), now), None);
        assert_eq!(
            state(fold.failed(&lane(0), failure(false), now)),
            Some(State::Down)
        );
    }

    #[test]
    fn a_throttled_target_is_down_only_when_it_lasts() {
        let (mut fold, now) = (Fold::new(1), clock::now());
        assert_eq!(fold.failed(&lane(0), failure(true), now), None);
        assert_eq!(fold.health(false).reason, Reason::Timeout.as_str());
        assert_eq!(
            state(fold.failed(&lane(0), failure(true), now + THROTTLED_IS_DOWN_AFTER)),
            Some(State::Down)
        );
    }

    #[test]
    fn a_lane_that_moved_to_another_worker_no_longer_counts_here() {
        let (mut fold, now) = (Fold::new(1), clock::now());
        let _ = fold.failed(&lane(0), failure(false), now);
        assert_eq!(state(fold.forget(&lane(0), now, 3)), Some(State::Up));
        assert_eq!(fold.forget(&lane(0), now, 3), None);
    }

    proptest! {
        #[test]
        fn whatever_the_schedule_down_means_that_some_lane_failed_and_none_succeeded_after_it(
            steps in prop::collection::vec((0..4_i32, any::<bool>()), 1..60),
        ) {
            let (mut fold, start) = (Fold::new(1), clock::now());
            let mut last: FxHashMap<i32, (usize, bool)> = FxHashMap::default();
            for (step, (partition, success)) in steps.into_iter().enumerate() {
                let now = start + Duration::from_millis(step as u64);
                let _ = if success { fold.succeeded(&lane(partition), now, 0) } else { fold.failed(&lane(partition), failure(false), now) };
                last.insert(partition, (step, success));
                let newest_success = last.values().filter(|(_, success)| *success).map(|(step, _)| *step).max();
                // A success that was followed by a failure of the same lane still happened.
                let remembered = fold.last_success.map(|at| (at - start).as_millis() as usize);
                prop_assert!(newest_success <= remembered);
                let down = last.values().any(|(step, success)| !success && remembered.is_none_or(|at| at < *step));
                prop_assert_eq!(fold.health(false).state == State::Down, down);
            }
        }
    }
}
