//! What a take-over promises, by example and against schedules of answers, refusals and crashes.

use std::collections::VecDeque;

use parcelhook_crds::lane::Entry;
use proptest::prelude::*;

use super::*;
use crate::clock;
use crate::state::sample::{epoch, lane, place, row};
use crate::state::table::Table;

const GROUP: &str = "g";

fn subject() -> Subject {
    Subject {
        group: GROUP.into(),
        place: place(0),
        frontier: 40,
    }
}

fn rows(count: u8) -> Vec<(LaneName, LaneRow)> {
    let row = |number: u8| LaneRow {
        bucket: i32::from(number % 2),
        ..row(i64::from(number))
    };
    (0..count)
        .map(|number| (lane(number), row(number)))
        .collect()
}

/// Steps without what does not matter here.
fn words(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Ask(epoch) => format!("ask {epoch:?}"),
        Step::Bucket { bucket, .. } => format!("bucket {bucket}"),
        Step::Write { order, .. } => match order {
            Order::Row(key, _) => format!("row of {}", key.scope.epoch.n),
            Order::Terminator(key, _) => format!("terminator of {}", key.scope.epoch.n),
            Order::Park(_) | Order::ParkReference(_) | Order::DeadLetter(_) => {
                "something else".to_owned()
            }
        },
        Step::Own(epoch, claim) => format!("own {} {claim:?}", epoch.n),
        Step::Run(taken) => format!("run {} with {}", taken.epoch.n, taken.lanes.len()),
    };
    steps.iter().map(word).collect()
}

fn numbers(steps: &[Step]) -> Vec<u64> {
    let number = |step: &Step| match step {
        Step::Bucket { number, .. } | Step::Write { number, .. } => Some(*number),
        Step::Ask(_) | Step::Own(..) | Step::Run(_) => None,
    };
    steps.iter().filter_map(number).collect()
}

#[test]
fn a_partition_without_rows_runs_at_once_and_its_epoch_goes_with_the_first_commit() {
    let (mut take_over, step) = TakeOver::begin(subject(), Some(epoch(3)));
    assert!(matches!(step, Step::Ask(Some(asked)) if asked == epoch(3)));
    let steps = take_over.told(Vec::new(), 3, 9);
    assert_eq!(words(&steps), ["own 4 WithNextCommit", "run 4 with 0"]);
    let Some(Step::Run(taken)) = steps.last() else {
        panic!("it runs");
    };
    assert_eq!((taken.epoch.random, taken.committed), (9, false));
    assert!(take_over.is_over());
    assert!(take_over.told(Vec::new(), 5, 9).is_empty(), "told twice");
}

#[test]
fn without_rows_but_with_a_later_epoch_it_commits_first_for_a_successor_may_have_swept_them() {
    let (mut take_over, _) = TakeOver::begin(subject(), Some(epoch(3)));
    let steps = take_over.told(Vec::new(), 5, 9);
    assert_eq!(words(&steps), ["own 6 Now"]);
    let steps = take_over.committed(Epoch { n: 6, random: 9 });
    assert_eq!(words(&steps), ["run 6 with 0"]);
}

#[test]
fn rows_are_written_then_the_terminator_then_the_commit_then_it_runs() {
    let (mut take_over, _) = TakeOver::begin(subject(), Some(epoch(3)));
    let now = clock::now();
    let steps = take_over.told(rows(2), 3, 9);
    assert_eq!(
        words(&steps),
        ["bucket 0", "bucket 1", "row of 4", "row of 4"]
    );
    let number = numbers(&steps);
    assert!(take_over.bucket_end(number[0], 100).is_empty());
    assert!(take_over.produced(number[3], Ok(0), now, 0).is_empty());
    let steps = take_over.produced(number[2], Ok(0), now, 0);
    assert_eq!(words(&steps), ["terminator of 4"]);
    let steps = take_over.produced(numbers(&steps)[0], Ok(0), now, 0);
    assert_eq!(words(&steps), ["own 4 Now"]);
    assert!(take_over.committed(epoch(3)).is_empty(), "not its own");
    let own = Epoch { n: 4, random: 9 };
    assert!(
        take_over.committed(own).is_empty(),
        "a bucket's end is missing"
    );
    let steps = take_over.bucket_end(number[1], 200);
    let Some(Step::Run(taken)) = steps.first() else {
        panic!("it runs");
    };
    let needs: Vec<i64> = taken.lanes.iter().map(|lane| lane.need).collect();
    assert_eq!((taken.committed, needs), (true, vec![100, 200]));
}

#[test]
fn a_refused_write_is_made_again_a_moment_later() {
    let (mut take_over, _) = TakeOver::begin(subject(), None);
    let now = clock::now();
    let steps = take_over.told(rows(1), 0, 9);
    let refused = take_over.produced(numbers(&steps)[1], Err(Refused::QueueFull), now, 0);
    assert!(refused.is_empty());
    assert_eq!(take_over.due(), Some(now + WRITE_AGAIN));
    assert!(take_over.wake(now).is_empty());
    let steps = take_over.wake(now + WRITE_AGAIN);
    assert_eq!(words(&steps), ["row of 1"]);
    assert_eq!(take_over.due(), None);
}

#[test]
fn a_replaced_producer_means_a_new_epoch_and_what_it_still_reports_means_nothing() {
    let (mut take_over, _) = TakeOver::begin(subject(), None);
    let now = clock::now();
    let steps = take_over.told(rows(2), 0, 9);
    let old = numbers(&steps);
    let replaced = Err(Refused::ProducerReplaced);
    let steps = take_over.produced(old[2], replaced, now, 8);
    assert_eq!(words(&steps), ["row of 2", "row of 2"]);
    assert!(take_over.produced(old[3], replaced, now, 7).is_empty());
    assert!(take_over.produced(old[3], Ok(0), now, 7).is_empty());
}

#[test]
fn an_owner_takes_over_from_itself_with_what_it_knows() {
    let lanes: Vec<InheritedLane> = rows(2)
        .into_iter()
        .map(|(name, row)| InheritedLane {
            name,
            row,
            need: 10,
        })
        .collect();
    let (mut take_over, steps) = TakeOver::again(subject(), epoch(4), lanes.clone(), 9);
    assert_eq!(words(&steps), ["row of 5", "row of 5"]);
    let now = clock::now();
    let mut last = Vec::new();
    for number in numbers(&steps) {
        last = take_over.produced(number, Ok(0), now, 0);
    }
    let own = take_over.produced(numbers(&last)[0], Ok(0), now, 0);
    assert_eq!(words(&own), ["own 5 Now"]);
    let steps = take_over.committed(Epoch { n: 5, random: 9 });
    let Some(Step::Run(taken)) = steps.first() else {
        panic!("it runs");
    };
    assert_eq!(taken.lanes, lanes);
}

/// What happens next: which of the things under way is answered, and how.
#[derive(Clone, Debug)]
enum Event {
    Answer {
        which: usize,
        how: How,
        /// The same answer comes once more.
        twice: bool,
    },
    Wait,
    /// A write of a producer that was replaced arrives after all.
    Stray(usize),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    /// Refused; and whether it was written all the same.
    Refused(bool),
    Replaced(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let how = prop_oneof![
        5 => Just(How::Well),
        2 => any::<bool>().prop_map(How::Refused),
        1 => any::<bool>().prop_map(How::Replaced),
    ];
    let answer = (0..8usize, how, any::<bool>()).prop_map(|(which, how, twice)| Event::Answer {
        which,
        how,
        twice,
    });
    let event = prop_oneof![
        8 => answer,
        2 => Just(Event::Wait),
        1 => (0..8usize).prop_map(Event::Stray),
    ];
    prop::collection::vec(event, 0..60)
}

/// Kafka, and a worker that takes one partition over.
struct World {
    take_over: TakeOver,
    under_way: Vec<Step>,
    table: Table,
    strays: VecDeque<Order>,
    /// The epoch in the group's commit.
    metadata: Option<Epoch>,
    /// What the predecessor has left.
    left: Vec<(LaneName, LaneRow)>,
    used: BTreeSet<u64>,
    ran: Option<TakenOver>,
    random: u64,
    now: Instant,
}

impl World {
    fn new(count: u8, with_metadata: bool) -> Self {
        let mut table = Table::new(GROUP);
        let left = rows(count);
        let scope = scope_of(GROUP, &place(0), epoch(3));
        let terminator = Terminator { frontier: 30 };
        let _ = table.apply(Entry::Terminator(scope.clone(), terminator));
        for (name, row) in &left {
            let row = Box::new(row.clone());
            let _ = table.apply(Entry::Lane(scope.clone(), *name, row));
        }
        let metadata = with_metadata.then(|| epoch(3));
        let (take_over, ask) = TakeOver::begin(subject(), metadata);
        Self {
            take_over,
            under_way: vec![ask],
            table,
            strays: VecDeque::new(),
            metadata,
            left,
            used: BTreeSet::new(),
            ran: None,
            random: 0,
            now: clock::now(),
        }
    }

    fn write(&mut self, order: &Order) {
        let entry = match order {
            Order::Row(key, Some(row)) => {
                Entry::Lane(key.scope.clone(), key.lane.unwrap(), row.clone())
            }
            Order::Terminator(key, Some(terminator)) => {
                Entry::Terminator(key.scope.clone(), terminator.clone())
            }
            Order::Row(_, None)
            | Order::Terminator(_, None)
            | Order::Park(_)
            | Order::ParkReference(_)
            | Order::DeadLetter(_) => panic!("a take-over writes no {order:?}"),
        };
        let _ = self.table.apply(entry);
    }

    fn begin(&mut self, steps: Vec<Step>) {
        for step in steps {
            for number in numbers(std::slice::from_ref(&step)) {
                assert!(self.used.insert(number), "a number twice");
            }
            match step {
                Step::Run(taken) => {
                    assert!(self.ran.replace(taken).is_none(), "it runs once");
                }
                step
                @ (Step::Ask(_) | Step::Bucket { .. } | Step::Write { .. } | Step::Own(..)) => {
                    self.under_way.push(step);
                }
            }
        }
    }

    fn answer(&mut self, which: usize, how: How, times: usize) {
        if self.under_way.is_empty() {
            return;
        }
        let step = self.under_way.remove(which % self.under_way.len());
        self.random += 1;
        let random = self.random;
        match step {
            Step::Ask(metadata) => {
                let inherited = self.table.inherited(&place(0), metadata);
                for _ in 0..times {
                    let (rows, highest) = (inherited.rows.clone(), inherited.highest);
                    let steps = self.take_over.told(rows, highest, random);
                    self.begin(steps);
                }
            }
            Step::Bucket { number, bucket } => {
                for _ in 0..times {
                    let end = i64::from(bucket) * 100 + 100;
                    let steps = self.take_over.bucket_end(number, end);
                    self.begin(steps);
                }
            }
            Step::Write { number, order } => self.answer_write(number, order, how, times),
            Step::Own(epoch, _) => {
                // A commit that is refused is made again by whoever commits.
                self.metadata = Some(epoch);
                for _ in 0..times {
                    let steps = self.take_over.committed(epoch);
                    self.begin(steps);
                }
            }
            Step::Run(_) => unreachable!("nothing answers it"),
        }
    }

    fn answer_write(&mut self, number: u64, order: Order, how: How, times: usize) {
        let (written, result) = match how {
            How::Well => (true, Ok(0)),
            How::Refused(written) => (written, Err(Refused::Failed)),
            How::Replaced(written) => (written, Err(Refused::ProducerReplaced)),
        };
        if written {
            self.write(&order);
        } else if let How::Replaced(_) = how {
            self.strays.push_back(order);
        }
        for _ in 0..times {
            self.random += 1;
            let steps = self
                .take_over
                .produced(number, result, self.now, self.random);
            self.begin(steps);
        }
    }

    fn step(&mut self, event: &Event) {
        match *event {
            Event::Answer { which, how, twice } => {
                self.answer(which, how, 1 + usize::from(twice));
            }
            Event::Wait => {
                self.now += WRITE_AGAIN;
                let steps = self.take_over.wake(self.now);
                self.begin(steps);
            }
            Event::Stray(which) => {
                if !self.strays.is_empty() {
                    let stray = self.strays.remove(which % self.strays.len()).unwrap();
                    self.write(&stray);
                }
            }
        }
    }

    /// Whatever a successor finds now must be what the predecessor has left.
    fn check_a_crash_now(&self) {
        for metadata in [self.metadata, None] {
            let found = self.table.inherited(&place(0), metadata).rows;
            // An epoch without rows was never written.
            if !self.left.is_empty() {
                assert_eq!(found, self.left, "with {metadata:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_successor_finds_the_rows_and_in_the_end_it_runs(
        count in 0..4u8,
        with_metadata: bool,
        events in events(),
    ) {
        let mut world = World::new(count, with_metadata);
        for event in &events {
            world.step(event);
            world.check_a_crash_now();
        }
        // From now on everything goes well.
        for _ in 0..40 {
            world.answer(0, How::Well, 1);
            world.step(&Event::Wait);
            world.check_a_crash_now();
        }
        let ran = world.ran.clone().expect("it runs");
        prop_assert!(world.take_over.is_over());
        prop_assert!(ran.epoch.n > 3);
        prop_assert_eq!(Some(ran.epoch), world.metadata);
        let lanes: Vec<_> = ran.lanes.iter().map(|lane| (lane.name, lane.row.clone())).collect();
        prop_assert_eq!(&lanes, &world.left);
        for lane in &ran.lanes {
            prop_assert_eq!(lane.need, i64::from(lane.row.bucket) * 100 + 100);
        }
    }
}
