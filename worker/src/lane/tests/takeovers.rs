//! Whatever happens to targets, manifests and workers: from where a target begins nothing is missing and
//! first deliveries come in order.

use proptest::prelude::*;

use super::*;

/// Targets 1 and 2 are there from the beginning, 3 comes later.
const TARGETS: u128 = 3;

#[derive(Clone, Debug)]
enum Step {
    Read(i64),
    End(prop::sample::Index, Outcome),
    Wait(u64),
    /// A manifest goes or comes back.
    Toggle(u128),
    /// The worker dies. Its successor has only the manifests that are there.
    Die,
    /// Commits that a new lane waits for are acknowledged, or are not.
    Commits(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcomes = prop_oneof![
        5 => Just(Outcome::Delivered),
        3 => Just(Outcome::Unavailable { retry_after: None }),
        1 => Just(Outcome::Gone),
    ];
    let step = prop_oneof![
        5 => (1..6_i64).prop_map(Step::Read),
        9 => (any::<prop::sample::Index>(), outcomes).prop_map(|(pick, outcome)| Step::End(pick, outcome)),
        2 => (0..60_u64).prop_map(Step::Wait),
        3 => (1..=TARGETS).prop_map(Step::Toggle),
        2 => Just(Step::Die),
        1 => any::<bool>().prop_map(Step::Commits),
    ];
    prop::collection::vec(step, 1..80)
}

struct Story {
    bench: Bench,
    /// Manifests that are there.
    present: [bool; TARGETS as usize],
    /// Targets that this worker knows, with since when their manifest is missing.
    known: BTreeMap<Uuid, Option<i64>>,
    /// Where the partition was when a target was first applied.
    begun: BTreeMap<Uuid, i64>,
    /// The end of the log.
    end: i64,
}

impl Story {
    fn new() -> Self {
        let mut story = Self {
            bench: Bench::new([]),
            present: [true, true, false],
            known: BTreeMap::new(),
            begun: BTreeMap::new(),
            end: 0,
        };
        story.apply();
        story.bench.assign(0, vec![]);
        story
    }

    /// As the worker does when the directory changes.
    fn apply(&mut self) {
        for number in 1..=TARGETS {
            let uid = Uuid::from_u128(number);
            if self.present[number as usize - 1] {
                self.known.insert(uid, None);
                self.begun.entry(uid).or_insert(self.end);
            } else if let Some(since) = self.known.get_mut(&uid) {
                since.get_or_insert(clock::unix_millis());
            }
        }
        let targets: Vec<_> = (1..=TARGETS)
            .filter(|number| self.known.contains_key(&Uuid::from_u128(*number)))
            .map(target)
            .collect();
        let known = self.known.clone();
        self.bench.configure(targets, |uid| known[&uid], &[]);
    }

    fn die(&mut self) {
        let committed = self.bench.frontier(0);
        // A target that was taken away before its first event could be sent has never begun.
        let partition = &self.bench.shard.partitions[&0];
        for (_, lane) in partition.lanes().filter(|(_, lane)| lane.gated) {
            if self.known[&lane.uid].is_some() {
                self.begun.remove(&lane.uid);
            }
        }
        self.known.clear();
        self.bench.targets.clear();
        self.bench.in_flight.clear();
        self.bench.shard = Shard::new(surroundings());
        self.apply();
        let commits = std::mem::replace(&mut self.bench.commits, true);
        self.bench.die_and_take_over(0, committed);
        self.bench.commits = commits;
        self.bench.read(0, committed..self.end);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Read(events) => {
                self.bench.read(0, self.end..self.end + events);
                self.end += events;
            }
            Step::End(pick, ended) if !self.bench.in_flight.is_empty() => {
                let index = pick.index(self.bench.in_flight.len());
                self.bench.end(index, outcome(ended));
            }
            Step::End(..) => {}
            Step::Wait(seconds) => self.bench.wait(seconds),
            Step::Toggle(number) => {
                let present = &mut self.present[number as usize - 1];
                *present = !*present;
                self.apply();
            }
            Step::Die => self.die(),
            Step::Commits(commits) => {
                self.bench.commits = commits;
                self.bench.settle();
            }
        }
    }

    /// Everything is well again, and everything is delivered.
    fn end_well(&mut self) {
        self.present = [true; TARGETS as usize];
        self.bench.commits = true;
        self.apply();
        for seconds in [1, 1, 1, 1_000, 1_000, 1_000, 1_000] {
            // A target that is gone is tried when a person asks.
            for number in 1..=TARGETS {
                self.bench
                    .shard
                    .retry(Uuid::from_u128(number), self.bench.now);
            }
            self.bench.wait(seconds);
            while !self.bench.in_flight.is_empty() {
                self.bench.end(0, delivered());
            }
        }
    }

    /// First deliveries are one unbroken run that begins where the target began, or before.
    fn check(&self) {
        for (uid, begun) in &self.begun {
            let all = self.bench.delivered.get(&(*uid, 0));
            let mut firsts: Vec<i64> = Vec::new();
            for offset in all.into_iter().flatten() {
                if !firsts.contains(offset) {
                    firsts.push(*offset);
                }
            }
            let first = firsts.first().copied().unwrap_or(self.end);
            assert!(first <= *begun, "{uid} begins at {first}, not {begun}");
            let expected: Vec<i64> = (first..self.end).collect();
            assert_eq!(firsts, expected, "{uid}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_nothing_is_missing_and_first_deliveries_are_in_order(steps in steps()) {
        let mut story = Story::new();
        for step in steps {
            story.run(step);
        }
        story.end_well();
        story.check();
        prop_assert_eq!(story.bench.frontier(0), story.end);
        prop_assert_eq!(story.bench.progress[&0].in_flight_bytes(), 0);
        prop_assert!(story.bench.topics.rows.is_empty());
    }
}
