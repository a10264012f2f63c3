//! Whatever the order of events: nothing lost, order kept, budget back to zero.

use parcelhook_crds::compiled::Filter;
use parcelhook_crds::spec::source::KeyMatch;
use proptest::prelude::*;

use super::*;

const SLOTS: u32 = 2;
const TARGETS: u128 = 3;

#[derive(Clone, Debug)]
enum Step {
    Read {
        slot: u32,
        gaps: Vec<i64>,
    },
    End {
        pick: prop::sample::Index,
        outcome: Outcome,
    },
    Wait {
        seconds: u64,
    },
    Narrow {
        target: u128,
        narrow: bool,
    },
    Suspend {
        target: u128,
        suspend: bool,
    },
    /// A partition that is paused sends slow lanes away.
    Pause {
        slot: u32,
        paused: bool,
    },
    /// What is produced is written at once, or waits.
    Writes(bool),
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let wait = prop::option::of((0..100_u64).prop_map(Duration::from_secs));
    prop_oneof![
        6 => Just(Outcome::Delivered),
        2 => wait.clone().prop_map(|retry_after| Outcome::Unavailable { retry_after }),
        1 => wait.prop_map(|retry_after| Outcome::Throttled { retry_after }),
        1 => Just(Outcome::Misconfigured),
        1 => Just(Outcome::Gone),
        1 => Just(Outcome::Rejected),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..SLOTS, prop::collection::vec(0..3_i64, 1..8)).prop_map(|(slot, gaps)| Step::Read { slot, gaps }),
        8 => (any::<prop::sample::Index>(), outcomes()).prop_map(|(pick, outcome)| Step::End { pick, outcome }),
        2 => (0..600_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (1..=TARGETS, any::<bool>()).prop_map(|(target, narrow)| Step::Narrow { target, narrow }),
        1 => (1..=TARGETS, any::<bool>()).prop_map(|(target, suspend)| Step::Suspend { target, suspend }),
        1 => (0..SLOTS, any::<bool>()).prop_map(|(slot, paused)| Step::Pause { slot, paused }),
        1 => any::<bool>().prop_map(Step::Writes),
    ];
    prop::collection::vec(step, 1..120)
}

/// What each target should get, kept by the dumbest means.
struct Model {
    targets: Vec<CompiledTarget>,
    wanted: BTreeMap<(Uuid, u32), Vec<i64>>,
    position: [i64; SLOTS as usize],
}

impl Model {
    fn read(&mut self, slot: u32, offset: i64) {
        self.position[slot as usize] = offset + 1;
        for target in &self.targets {
            let filter = target
                .sources
                .first()
                .and_then(|source| source.filter.as_ref());
            if filter.is_none() || offset % 3 == 1 {
                self.wanted
                    .entry((target.uid, slot))
                    .or_default()
                    .push(offset);
            }
        }
    }

    fn target(&mut self, number: u128) -> &mut CompiledTarget {
        &mut self.targets[number as usize - 1]
    }
}

fn run(bench: &mut Bench, model: &mut Model, step: Step) {
    match step {
        Step::Read { slot, gaps } => {
            let mut next = model.position[slot as usize];
            let offsets: Vec<i64> = gaps
                .iter()
                .map(|gap| {
                    next += gap + 1;
                    next - 1
                })
                .collect();
            offsets.iter().for_each(|offset| model.read(slot, *offset));
            bench.read(slot, offsets);
        }
        Step::End {
            pick,
            outcome: ended,
        } if !bench.in_flight.is_empty() => {
            bench.end(pick.index(bench.in_flight.len()), outcome(ended));
        }
        Step::End { .. } => {}
        Step::Wait { seconds } => bench.wait(seconds),
        Step::Narrow { target, narrow } => {
            let keys = vec![KeyMatch::Exact("key-1".to_owned())];
            model.target(target).sources = vec![source(narrow.then(|| Filter {
                headers: Vec::new(),
                keys,
            }))];
            bench.apply(model.targets.clone());
        }
        Step::Suspend { target, suspend } => {
            model.target(target).suspend = suspend;
            bench.apply(model.targets.clone());
        }
        Step::Pause { slot, paused } => bench.pause(slot, paused),
        Step::Writes(writes) => {
            bench.writes = writes;
            bench.settle();
        }
    }
}

/// Every commit that could be made now passes only what was delivered to all that want it, or is parked
/// with the lane's row written.
fn assert_commits_are_safe(bench: &Bench, model: &Model) {
    for ((uid, slot), wanted) in &model.wanted {
        let done = bench
            .delivered
            .get(&(*uid, *slot))
            .map_or(&[][..], Vec::as_slice);
        assert_eq!(
            done,
            &wanted[..done.len()],
            "in order, nothing skipped, nothing twice"
        );
        let undone = wanted.iter().skip(done.len());
        for undone in undone.take_while(|offset| **offset < bench.frontier(*slot)) {
            assert!(
                bench.is_parked(*uid, *slot, *undone),
                "a commit at {} would lose {undone}",
                bench.frontier(*slot)
            );
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_schedule_nothing_is_lost_order_is_kept_and_the_budget_returns_to_zero(steps in steps()) {
        let targets: Vec<_> = (1..=TARGETS).map(target).collect();
        let mut bench = Bench::new(targets.clone());
        for slot in 0..SLOTS {
            bench.assign(slot, vec![]);
        }
        let mut model = Model { targets, wanted: BTreeMap::new(), position: [0; SLOTS as usize] };
        for step in steps {
            run(&mut bench, &mut model, step);
            assert_commits_are_safe(&bench, &model);
        }
        run(&mut bench, &mut model, Step::Writes(true));
        for number in 1..=TARGETS {
            run(&mut bench, &mut model, Step::Suspend { target: number, suspend: false });
            // A change of the target wakes lanes that wait for one.
            model.target(number).timeout = Duration::from_secs(1);
        }
        bench.apply(model.targets.clone());
        for _ in 0..10_000 {
            if bench.in_flight.is_empty() {
                bench.wait(1_000);
            }
            if bench.in_flight.is_empty() {
                break;
            }
            bench.end(0, delivered());
        }
        assert_commits_are_safe(&bench, &model);
        for (key, wanted) in &model.wanted {
            prop_assert_eq!(bench.delivered.get(key).map_or(&[][..], Vec::as_slice), &wanted[..]);
        }
        prop_assert_eq!(bench.topics.readers(), 0, "who reads no more has said so");
        for (slot, position) in model.position.into_iter().enumerate() {
            prop_assert_eq!(bench.frontier(slot as u32), position);
            prop_assert_eq!(bench.progress[&(slot as u32)].in_flight_bytes(), 0);
        }
    }
}
