//! A take-over against schedules of answers, refusals, crashes and configurations.

use std::collections::{BTreeSet, VecDeque};

use parcelhook_crds::lane::Entry;
use proptest::prelude::*;

use super::*;
use crate::state::table::Table;

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
    /// The worker takes another configuration over.
    Configure,
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
        1 => Just(Event::Configure),
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
    /// The configuration of the worker.
    configured: Option<Revision>,
    /// The one in the group's commit.
    committed: Option<Revision>,
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
        let predecessor = Predecessor {
            epoch: metadata,
            cfg: None,
        };
        let (take_over, ask) = TakeOver::begin(subject(), predecessor, None);
        Self {
            take_over,
            under_way: ask,
            configured: None,
            committed: None,
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
                    assert_eq!(self.committed, self.configured, "what runs is committed");
                    assert!(self.ran.replace(taken).is_none(), "it runs once");
                }
                Step::Lack(cfg) => panic!("it lacks no {cfg}"),
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
            Step::Own(epoch, cfg, _) => {
                // A commit that is refused is made again by whoever commits.
                self.metadata = Some(epoch);
                self.committed = cfg;
                for _ in 0..times {
                    let steps = self.take_over.committed(epoch, cfg);
                    self.begin(steps);
                }
            }
            Step::Lack(_) | Step::Run(_) => unreachable!("nothing answers it"),
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
            Event::Configure if self.ran.is_none() => {
                let number = self.configured.map_or(1, |cfg| cfg.number + 1);
                self.configured = cfg(number);
                // A claim says what the worker runs, and the last one counts.
                let claims = |step: &Step| matches!(step, Step::Own(..));
                let steps = self.take_over.configured(self.configured);
                if steps.iter().any(claims) {
                    self.under_way.retain(|step| !claims(step));
                }
                self.begin(steps);
            }
            Event::Configure => {}
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
