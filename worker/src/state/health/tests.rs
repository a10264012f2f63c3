//! What STATE and REASON say, in stories and over any schedule.

use parcelhook_crds::health::{
    HEAD_FAILING, HEAD_FAILURES, SOME_PARTITIONS_FAILING, THROTTLED_IS_DOWN_AFTER,
};
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
        in_a_row: 1,
        since: 1,
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
    let almost = now + THROTTLED_IS_DOWN_AFTER - Duration::from_millis(1);
    assert_eq!(fold.failed(&lane(0), failure(true), almost), None);
    // Also when nothing is tried meanwhile, because it asked to be left alone for so long.
    let lasting = now + THROTTLED_IS_DOWN_AFTER;
    assert_eq!(state(fold.look(lasting, 9)), Some(State::Down));
    assert_eq!(fold.health(false).since, Some(9));
}

#[test]
fn a_head_that_fails_while_other_lanes_are_delivered_is_named() {
    let (mut fold, mut now) = (Fold::new(1), clock::now());
    for _ in 0..HEAD_FAILURES {
        assert_ne!(fold.health(false).reason, HEAD_FAILING);
        now += Duration::from_secs(1);
        let _ = fold.failed(&lane(0), failure(false), now);
        now += Duration::from_secs(1);
        let _ = fold.succeeded(&lane(1), now, 0);
    }
    let health = fold.health(false);
    assert_eq!((health.state, health.reason), (State::Up, HEAD_FAILING));
    let _ = fold.succeeded(&lane(0), now + Duration::from_secs(1), 0);
    assert_eq!(fold.health(false).reason, "");
}

#[test]
fn a_lane_that_was_taken_over_goes_on_counting_and_keeps_its_time() {
    let (mut fold, now) = (Fold::new(3), clock::now());
    let inherited = LaneFailure {
        in_a_row: 12,
        since: -500,
        ..failure(false)
    };
    assert_eq!(
        state(fold.failed(&lane(0), inherited, now)),
        Some(State::Down)
    );
    assert_eq!(fold.health(false).since, Some(-500));
    let _ = fold.succeeded(&lane(1), now + Duration::from_secs(1), 0);
    assert_eq!(fold.health(false).reason, HEAD_FAILING);
}

#[test]
fn a_suspended_target_is_neither_up_nor_down() {
    let (mut fold, now) = (Fold::new(1), clock::now());
    let _ = fold.failed(&lane(0), failure(false), now);
    let health = fold.health(true);
    assert_eq!((health.state, health.reason), (State::Suspended, SUSPENDED));
}

#[test]
fn a_lane_that_moved_to_another_worker_no_longer_counts_here() {
    let (mut fold, now) = (Fold::new(1), clock::now());
    let _ = fold.failed(&lane(0), failure(false), now);
    assert_eq!(state(fold.forget(&lane(0), now, 3)), Some(State::Up));
    assert_eq!(fold.forget(&lane(0), now, 3), None);
}

/// One step of a schedule, and how many milliseconds after the one before it comes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Failed { throttled: bool },
    Succeeded,
    Forgotten,
    Looked,
}

fn step() -> impl Strategy<Value = (i32, Step, u64)> {
    let kind = prop_oneof![
        3 => any::<bool>().prop_map(|throttled| Step::Failed { throttled }),
        2 => Just(Step::Succeeded),
        1 => Just(Step::Forgotten),
        1 => Just(Step::Looked),
    ];
    (
        0..4_i32,
        kind,
        prop_oneof![1..2_000_u64, 20_000..70_000_u64],
    )
}

/// What the history of one lane says: its failures since it was last delivered or forgotten.
#[derive(Clone, Default)]
struct Told {
    failures: Vec<(Instant, bool)>,
}

impl Told {
    fn says_down(&self, success: Option<Instant>, now: Instant, threshold: usize) -> bool {
        let (Some((first, _)), Some((last, throttled))) =
            (self.failures.first(), self.failures.last())
        else {
            return false;
        };
        let briefly = *throttled && now - *first < Duration::from_secs(60);
        let overtaken = success.is_some_and(|success| success > *last);
        self.failures.len() >= threshold && !briefly && !overtaken
    }
}

proptest! {
    #[test]
    fn whatever_the_schedule_down_means_that_some_lane_failed_and_none_succeeded_after_it(
        steps in prop::collection::vec(step(), 1..60),
        threshold in 1..4_u32,
    ) {
        let (mut fold, mut now) = (Fold::new(threshold), clock::now());
        let mut lanes = vec![Told::default(); 4];
        let (mut success, mut shown) = (None, State::Up);
        for (partition, step, millis) in steps {
            now += Duration::from_millis(millis);
            let told = &mut lanes[usize::try_from(partition).unwrap()];
            let transition = match step {
                Step::Failed { throttled } => {
                    told.failures.push((now, throttled));
                    fold.failed(&lane(partition), failure(throttled), now)
                }
                Step::Succeeded => {
                    told.failures.clear();
                    success = Some(now);
                    fold.succeeded(&lane(partition), now, 0)
                }
                Step::Forgotten => {
                    told.failures.clear();
                    fold.forget(&lane(partition), now, 0)
                }
                Step::Looked => None,
            };
            // A change is told once, when it comes or when somebody looks.
            for change in transition.into_iter().chain(fold.look(now, 0)) {
                prop_assert_ne!(change.health.state, shown);
                shown = change.health.state;
            }
            let down = lanes.iter().any(|lane| lane.says_down(success, now, threshold as usize));
            let health = fold.health(false);
            prop_assert_eq!(health.state == State::Down, down);
            prop_assert_eq!(health.state, shown);
            let failing = lanes.iter().any(|lane| !lane.failures.is_empty());
            prop_assert_eq!(health.reason.is_empty(), !failing);
        }
    }
}
