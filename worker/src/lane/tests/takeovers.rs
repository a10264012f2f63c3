//! Whatever happens to targets, manifests and workers: from where a target begins nothing is missing and
//! first deliveries come in order.

use parcelhook_crds::lane::RowKey;
use proptest::prelude::*;

use super::*;
use crate::lane::Lane;
use crate::lane::gate::Held;

/// Targets 1 and 2 are there from the beginning, 3 comes later.
const TARGETS: u128 = 3;

#[derive(Clone, Debug)]
enum Step {
    Read(i64),
    End(prop::sample::Index, Outcome),
    Wait(u64),
    /// A manifest goes or comes back.
    Toggle(u128),
    /// The worker dies. Its successor has only the manifests that are there, or were before the last
    /// change; the last commit arrives, or is lost.
    Die {
        behind: bool,
        lost: bool,
    },
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
        2 => any::<(bool, bool)>().prop_map(|(behind, lost)| Step::Die { behind, lost }),
        1 => any::<bool>().prop_map(Step::Commits),
    ];
    prop::collection::vec(step, 1..80)
}

#[derive(Clone, Copy)]
struct Manifests {
    present: [bool; TARGETS as usize],
    number: u64,
}

impl Manifests {
    fn revision(self) -> Option<Revision> {
        let number = self.number;
        Some(Revision { lineage: 1, number })
    }
}

struct Story {
    bench: Bench,
    /// Manifests that are there, and their revision.
    present: Manifests,
    /// Those that were there before.
    before: Manifests,
    /// Targets that this worker knows, with since when their manifest is missing.
    known: BTreeMap<Uuid, Option<i64>>,
    /// Where the partition was when a target was first applied.
    begun: BTreeMap<Uuid, i64>,
    /// The end of the log.
    end: i64,
}

impl Story {
    fn new() -> Self {
        let first = Manifests {
            present: [true, true, false],
            number: 1,
        };
        let mut story = Self {
            bench: Bench::new([]),
            present: first,
            before: first,
            known: BTreeMap::new(),
            begun: BTreeMap::new(),
            end: 0,
        };
        story.apply(first);
        story.bench.assign(0, vec![]);
        story
    }

    /// As the worker does when the directory changes.
    fn apply(&mut self, manifests: Manifests) {
        for number in 1..=TARGETS {
            let uid = Uuid::from_u128(number);
            if manifests.present[number as usize - 1] {
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
        self.bench.revision = manifests.revision();
        self.bench.configure(targets, |uid| known[&uid], &[]);
    }

    /// A target that vanishes while nobody knows it who runs the partition is not seen to vanish: without
    /// a row its history ends.
    fn vanishes_unseen(&mut self, uid: Uuid) {
        let is_its = |key: &RowKey| key.lane.is_some_and(|lane| lane.target == uid);
        if !self.bench.topics.rows.keys().any(is_its) {
            self.begun.remove(&uid);
            self.bench.delivered.remove(&(uid, 0));
        }
    }

    fn pass_over_all_but(&mut self, known: [bool; TARGETS as usize]) {
        let others = (1..=TARGETS).filter(|number| !known[*number as usize - 1]);
        others.for_each(|number| self.vanishes_unseen(Uuid::from_u128(number)));
    }

    fn change(&mut self, present: [bool; TARGETS as usize]) {
        let mut known = present;
        for uid in self.known.keys() {
            known[uid.as_u128() as usize - 1] = true;
        }
        self.pass_over_all_but(known);
        let number = self.present.number + 1;
        self.before = std::mem::replace(&mut self.present, Manifests { present, number });
        self.apply(self.present);
    }

    /// The worker dies. When `lost`, the group has no commit later than the last that it heard of.
    fn die(&mut self, manifests: Manifests, lost: bool) {
        let partition = &self.bench.shard.partitions[&0];
        let has_begun = |lane: &Lane| partition.own.is_some() && lane.held != Held::Everything;
        let lanes = partition.lanes().filter(|(_, lane)| !has_begun(lane));
        let not_begun: Vec<Uuid> = lanes.map(|(_, lane)| lane.uid).collect();
        for uid in not_begun {
            if self.known.get(&uid).is_some_and(Option::is_some) {
                self.vanishes_unseen(uid);
            }
        }
        let committed = self.bench.last_commit(0, lost);
        let (_, cfg) = self.bench.titles[&0].unzip();
        if cfg.flatten() <= manifests.revision() {
            // It runs at once, by what is there and by the rows.
            self.pass_over_all_but(manifests.present);
        }
        self.known.clear();
        self.bench.targets.clear();
        self.bench.in_flight.clear();
        self.bench.shard = Shard::new(surroundings());
        self.apply(manifests);
        let commits = std::mem::replace(&mut self.bench.commits, true);
        self.bench.take_over(0, committed);
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
                let mut present = self.present.present;
                present[number as usize - 1] ^= true;
                self.change(present);
            }
            Step::Die { behind, lost } => {
                let manifests = if behind { self.before } else { self.present };
                self.die(manifests, lost);
            }
            Step::Commits(commits) => {
                self.bench.commits = commits;
                self.bench.settle();
            }
        }
    }

    /// Everything is well again, and everything is delivered.
    fn end_well(&mut self) {
        self.bench.commits = true;
        self.change([true; TARGETS as usize]);
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
