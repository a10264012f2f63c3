//! Schedules of the byte budget.

use proptest::prelude::*;

use super::*;
use crate::clock;

const MIB: i64 = 1 << 20;
const B: i64 = 16 * MIB;

/// All of it waits.
fn held(bytes: i64) -> Load {
    Load {
        held: bytes,
        on_way: 0,
    }
}

/// All of it is on its way.
fn on_way(bytes: i64) -> Load {
    Load {
        held: bytes,
        on_way: bytes,
    }
}

fn usage(slot: u32, in_flight: i64, charged: i64) -> Usage {
    Usage {
        slot,
        load: held(in_flight),
        charged,
        hungry: false,
    }
}

fn budget() -> Budget {
    Budget::new(B as u64)
}

#[test]
fn the_gate_shuts_at_the_budget_and_opens_when_a_quarter_has_drained() {
    let mut budget = budget();
    let now = clock::now();
    assert!(budget.gate_is_open(now, on_way(B - 1)));
    assert!(!budget.gate_is_open(now, on_way(B)));
    assert!(!budget.gate_is_open(now, on_way(B * 3 / 4)));
    assert!(budget.gate_is_open(now, on_way(B * 3 / 4 - 1)));
}

#[test]
fn half_of_the_budget_may_wait_while_events_drain_quickly() {
    let mut budget = budget();
    let now = clock::now();
    assert_eq!(budget.room(held(MIB)), B / 2 - MIB);
    assert!(budget.gate_is_open(now, held(B / 2 - 1)));
    assert!(!budget.gate_is_open(now, held(B / 2)));
    assert!(!budget.gate_is_open(now, held(B / 5)));
    assert!(budget.gate_is_open(now, held(B / 5 - 1)));
    let both = Load {
        held: B * 3 / 4,
        on_way: B / 4,
    };
    assert!(
        budget.gate_is_open(now, both),
        "the other half is for what is on its way"
    );
}

/// Reviews of three windows in which 62 partitions hold half of the budget together and drain so much
/// each, while two have nothing.
fn windows(budget: &mut Budget, drains: i64) -> Vec<Review> {
    let start = clock::now();
    let reviews = (0..3).map(|window| {
        let now = start + PATIENCE * window;
        let drained = drains * i64::from(window);
        let full = (0..62).map(|slot| usage(slot, EACH, EACH + drained));
        let hungry = (62..64).map(|slot| Usage {
            hungry: true,
            ..usage(slot, 0, 0)
        });
        let usages: Vec<Usage> = full.chain(hungry).collect();
        budget.gate_is_open(now, usages.iter().map(|usage| usage.load).sum());
        budget.review(now, &usages)
    });
    reviews.collect()
}

const EACH: i64 = B / 2 / 62 + 1;

#[test]
fn where_events_drain_slowly_all_of_the_budget_may_wait_and_nobody_is_set_apart() {
    let mut budget = budget();
    assert_eq!(windows(&mut budget, 100), vec![Review::default(); 3]);
    assert_eq!(budget.most_ahead(), B);
    assert!(budget.gate_is_open(clock::now(), held(B * 3 / 4 - 1)));
}

#[test]
fn where_nothing_drains_partitions_are_set_apart_until_the_gate_opens() {
    let mut budget = budget();
    let reviews = windows(&mut budget, 0);
    let paused: usize = reviews.iter().map(|review| review.pause.len()).sum();
    assert_eq!(budget.most_ahead(), B / 2);
    assert!((1..62).contains(&paused), "{paused}");
    assert!(budget.gate_is_open(clock::now(), held(62 * EACH)));
}

#[test]
fn a_partition_that_holds_its_share_and_does_not_drain_is_paused_alone() {
    let mut budget = budget();
    let now = clock::now();
    let slow = usage(1, 2 * MIB, 2 * MIB);
    let brisk = usage(2, 2 * MIB, 2 * MIB);
    assert_eq!(budget.review(now, &[slow, brisk]), Review::default());
    let brisk = usage(2, 2 * MIB, 4 * MIB);
    let review = budget.review(now + PATIENCE, &[slow, brisk]);
    assert_eq!((review.pause, review.resume), (vec![1], vec![]));
}

#[test]
fn a_partition_over_twice_its_share_is_paused_at_once() {
    let mut budget = budget();
    let review = budget.review(clock::now(), &[usage(1, 4 * MIB, 4 * MIB)]);
    assert_eq!(review.pause, [1]);
}

#[test]
fn a_steady_partition_is_left_to_the_gate_although_others_are_paused() {
    let mut budget = budget();
    let now = clock::now();
    let hung: Vec<Usage> = (0..3).map(|slot| usage(slot, 4 * MIB, 4 * MIB)).collect();
    let with = |steady: Usage| [&hung[..], &[steady]].concat();
    budget.review(now, &with(usage(9, 0, 0)));
    let later = now + PATIENCE;
    let review = budget.review(later, &with(usage(9, MIB, 3 * MIB)));
    assert!(!review.pause.contains(&9));
    assert_eq!(budget.cap(8), 2 * FLOOR, "one that nothing is known of");
    let review = budget.review(later, &with(usage(9, 2 * MIB, 4 * MIB)));
    assert!(
        !review.pause.contains(&9),
        "although it is far over its share"
    );
    let review = budget.review(later + PATIENCE, &with(usage(9, 2 * MIB, 4 * MIB)));
    assert_eq!(review.pause, [9], "it stands still");
}

#[test]
fn a_paused_partition_goes_on_when_it_has_drained_and_only_once() {
    let mut budget = budget();
    let now = clock::now();
    budget.review(now, &[usage(1, 4 * MIB, 4 * MIB)]);
    for (in_flight, resume) in [(3 * MIB, vec![]), (MIB, vec![1]), (0, vec![])] {
        let review = budget.review(now, &[usage(1, in_flight, 4 * MIB)]);
        assert_eq!(review.resume, resume, "{in_flight}");
        assert!(review.pause.is_empty(), "{in_flight}");
    }
}

#[test]
fn paused_bytes_leave_at_least_half_of_the_budget_to_the_others() {
    let mut budget = budget();
    let now = clock::now();
    let stuck: Vec<Usage> = (0..40).map(|slot| usage(slot, 4 * MIB, 4 * MIB)).collect();
    assert_eq!(budget.review(now, &stuck).pause.len(), 40);
    assert!(budget.gate_is_open(now, on_way(160 * MIB + B / 2 - 1)));
    assert!(!budget.gate_is_open(now, on_way(160 * MIB + B / 2)));
    assert_eq!(budget.cap(9), 2 * FLOOR);
}

#[test]
fn when_slow_partitions_hold_the_gate_shut_a_hungry_one_is_let_through() {
    let mut budget = budget();
    let now = clock::now();
    let slow: Vec<Usage> = (0..16).map(|slot| usage(slot, MIB, MIB)).collect();
    budget.review(now, &slow);
    assert!(!budget.gate_is_open(now, held(B)));
    assert_eq!(
        budget.review(now + PATIENCE, &slow),
        Review::default(),
        "nobody is hungry: all are equally busy"
    );
    let hungry = Usage {
        hungry: true,
        ..usage(99, 0, 0)
    };
    let all: Vec<Usage> = slow.into_iter().chain([hungry]).collect();
    let review = budget.review(now + PATIENCE * 2, &all);
    assert!(!review.pause.is_empty() && !review.pause.contains(&99));
    assert!(budget.gate_is_open(now + PATIENCE * 2, held(B)));
}

#[test]
fn a_partition_that_went_away_is_forgotten() {
    let mut budget = budget();
    let now = clock::now();
    budget.review(now, &[usage(1, 9 * MIB, 9 * MIB)]);
    budget.review(now, &[]);
    assert!(!budget.any_paused());
    let room = Room {
        held_below: B * 3 / 4,
        ahead_below: B / 5,
    };
    assert_eq!(budget.reopens_with(), room);
}

const PARTITIONS: u32 = 12;
const LARGEST: i64 = 300 * 1024;

#[derive(Clone, Debug)]
enum Step {
    /// Records of a partition, as many as the gate, its cap and the number let through.
    Read(u32, i64, u32),
    /// A share of a partition's bytes, in quarters, is released.
    Release(u32, i64),
    /// A share of them, in quarters, is on its way.
    SetOut(u32, i64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..PARTITIONS, 1..LARGEST, 1..200u32).prop_map(|(p, size, n)| Step::Read(p, size, n)),
        2 => (0..PARTITIONS, 1..5i64).prop_map(|(p, quarters)| Step::Release(p, quarters)),
        2 => (0..PARTITIONS, 0..5i64).prop_map(|(p, quarters)| Step::SetOut(p, quarters)),
        2 => (0..300u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

fn apply(review: &Review, paused: &mut [bool]) {
    for slot in &review.pause {
        assert!(!paused[*slot as usize], "paused twice");
        paused[*slot as usize] = true;
    }
    for slot in &review.resume {
        assert!(paused[*slot as usize], "resumed but not paused");
        paused[*slot as usize] = false;
    }
}

proptest! {
    #[test]
    fn whatever_the_schedule_memory_is_bounded_and_nothing_waits_for_ever(steps in steps()) {
        let total = 2 * MIB;
        let mut budget = Budget::new(total as u64);
        let mut now = clock::now();
        let mut usages: Vec<Usage> = (0..PARTITIONS).map(|slot| usage(slot, 0, 0)).collect();
        let mut paused = vec![false; PARTITIONS as usize];
        for step in steps {
            match step {
                Step::Read(slot, size, records) => {
                    for _ in 0..records {
                        let load = usages.iter().map(|usage| usage.load).sum();
                        let here = usages[slot as usize].load.held;
                        let open = budget.gate_is_open(now, load);
                        if !open || paused[slot as usize] || here >= budget.cap(slot) {
                            break;
                        }
                        usages[slot as usize].load.held += size;
                        usages[slot as usize].charged += size;
                    }
                }
                Step::Release(slot, quarters) => {
                    let load = &mut usages[slot as usize].load;
                    load.held -= load.held * quarters / 4;
                    load.on_way = load.on_way.min(load.held);
                }
                Step::SetOut(slot, quarters) => {
                    let load = &mut usages[slot as usize].load;
                    load.on_way = load.held * quarters / 4;
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
            }
            for usage in &mut usages {
                usage.hungry = usage.load.held == 0;
            }
            apply(&budget.review(now, &usages), &mut paused);
            let held: i64 = usages.iter().map(|usage| usage.load.held).sum();
            let bound = 2 * total + i64::from(PARTITIONS) * (2 * FLOOR + LARGEST);
            prop_assert!(held <= bound, "{held} > {bound}");
        }
        for usage in &mut usages {
            usage.load = Load::default();
        }
        apply(&budget.review(now, &usages), &mut paused);
        prop_assert!(budget.gate_is_open(now, Load::default()));
        prop_assert_eq!(paused, vec![false; PARTITIONS as usize]);
    }
}
