//! A worker as the owner of the partition, or as one that was: the shipped machine of its one lane, and
//! as little as possible around it.
//!
//! Stands for the shard: asks the machine for work in the same order, until there is none, and performs
//! it. Stands for the ledger with two numbers, because every event is wanted by the one lane: the oldest
//! that is not done, which is the frontier, and the next to read. What it produces stays on its way until
//! the broker takes or refuses it, in order within a topic.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::{Epoch, Incarnation, LaneRow, LastFailure, NotBefore};

use super::Dot;
use super::outside::{Note, Outside, What};
use super::variant::{Variant, is};
use crate::clock;
use crate::lane::machine::{Due, Failed, Machine, Sight, Span, Work};

/// A record of the retry topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) incarnation: Incarnation,
    pub(super) prev: Option<i64>,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// Something that is on its way to a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent<T> {
    pub(super) number: u64,
    pub(super) what: T,
    /// Where the broker has it, when it does and we do not know it yet.
    pub(super) landed: Option<i64>,
}

/// Something whose fate is known, or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) number: u64,
    pub(super) landed: Option<i64>,
}

impl Way {
    pub(super) fn of<T>(sent: &Sent<T>) -> Self {
        Self {
            number: sent.number,
            landed: sent.landed,
        }
    }
}

/// How far a session is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// It was assigned, and knows the commit.
    Assigned { committed: Epoch },
    /// It knows that there is a row.
    Loaded { row: Rc<LaneRow> },
    /// Terminator and row are on their way; the commit follows.
    Claiming,
    /// It works.
    Running,
}

/// A terminator's or a row's way under a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Written {
    No,
    OnItsWay(u64),
    Yes,
}

/// What an attempt in flight came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    Queue,
    Drain,
}

/// The reading of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    pub(super) drain: u32,
    pub(super) cursor: i64,
    pub(super) told: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) stage: Stage,
    pub(super) epoch: Epoch,
    pub(super) machine: Machine<Dot>,
    /// Oldest event that is not done.
    pub(super) frontier: i64,
    /// Next event to read.
    pub(super) position: i64,
    pub(super) terminator: Written,
    /// The row under an epoch that was taken although there is one.
    pub(super) row: Written,
    /// A commit of the present epoch is acked.
    pub(super) counts: bool,
    pub(super) retry: VecDeque<Sent<Rc<Run>>>,
    pub(super) lanes: VecDeque<Sent<Note>>,
    /// Runs that are acked and not settled: number and last event. Their numbers are not free.
    pub(super) unsettled: Vec<(u64, i64)>,
    pub(super) attempt: Option<(Origin, i64, i64)>,
    pub(super) reading: Option<Reading>,
    /// So much waits that it must not be held.
    pub(super) full: bool,
    pub(super) suspended: bool,
}

/// Events of one record or transaction at most.
pub(super) const MOST: i64 = 2;

/// All that is due at once is due at this time.
pub(super) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(clock::now)
}

/// All that is due at all is due at this time.
pub(super) fn later() -> Instant {
    now() + Duration::from_secs(3600)
}

const LATER: i64 = 1;

fn due(not_before: NotBefore) -> Due {
    match not_before {
        NotBefore::At(LATER) => Due::At(later(), LATER),
        NotBefore::At(unix) => Due::At(now(), unix),
        NotBefore::Never => Due::Never,
    }
}

/// A failure after which the lane waits.
pub(super) fn failure() -> Failed {
    Failed {
        due: Due::At(later(), LATER),
        failure: LastFailure {
            at: 0,
            reason: String::new(),
            status: None,
            message: None,
        },
    }
}

impl Session {
    /// The partition is assigned: the commit says from where, and under which epoch.
    pub(super) fn assigned(outside: &Outside) -> Self {
        Self {
            stage: Stage::Assigned {
                committed: outside.epoch,
            },
            epoch: outside.epoch,
            machine: Machine::default(),
            frontier: outside.committed,
            position: outside.committed,
            terminator: Written::No,
            row: Written::Yes,
            counts: false,
            retry: VecDeque::new(),
            lanes: VecDeque::new(),
            unsettled: Vec::new(),
            attempt: None,
            reading: None,
            full: false,
            suspended: false,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Whether everything that was written before the epoch may count is acked.
    pub(super) fn may_commit(&self) -> bool {
        match self.stage {
            Stage::Assigned { .. } | Stage::Loaded { .. } => false,
            Stage::Claiming => self.terminator == Written::Yes && self.row == Written::Yes,
            Stage::Running => self.row == Written::Yes,
        }
    }

    /// Performs what the machine asks for, until it asks for nothing but an attempt.
    pub(super) fn drive(&mut self, now: Instant) {
        while self.is_running() {
            self.settle();
            let Some(work) = self.machine.work(now, self.sight()) else {
                break;
            };
            match work {
                Work::WriteRow => self.write_row(),
                Work::Park { skip } => {
                    let first = self.frontier + skip as i64 + self.behind_attempt();
                    if first == self.position {
                        break;
                    }
                    self.park(first);
                }
                Work::BeginDrain => self.begin_drain(),
                Work::More => drop(self.machine.more()),
                Work::Attempt => break,
                Work::Tombstone => {
                    let number = self.send_note(What::Tombstone);
                    self.machine.tombstone(number);
                }
            }
        }
        let drain = self.machine.backlog().and_then(|backlog| backlog.drain());
        self.reading = self.reading.filter(|reading| drain == Some(reading.drain));
    }

    pub(super) fn sight(&self) -> Sight {
        let waiting = (self.position - self.frontier) as u64;
        Sight {
            waiting,
            hold_is_full: self.full,
            may_park: true,
        }
    }

    fn settle(&mut self) {
        let terminated = self.terminator == Written::Yes && self.row == Written::Yes;
        self.frontier += i64::from(self.machine.settle(terminated, 0));
        self.full &= self.frontier < self.position;
        self.unsettled.retain(|(_, last)| *last >= self.frontier);
    }

    fn write_row(&mut self) {
        self.need_terminator();
        let number = self.free_number();
        if let Some(row) = self.machine.write_row(number, 0, now()) {
            self.send_note_as(number, What::Row(Rc::new(row)));
        }
    }

    fn park(&mut self, first: i64) {
        let most = self.machine.backlog().map_or(1, |backlog| backlog.run_limit(first, MOST as usize));
        let last = (self.position - 1).min(first + most as i64 - 1);
        let number = self.free_number();
        let Some(header) = self.machine.park(number, span(first, last)) else {
            return;
        };
        self.retry.push_back(Sent {
            number,
            what: Rc::new(Run {
                incarnation: header.incarnation,
                prev: header.prev,
                first,
                last,
            }),
            landed: None,
        });
    }

    fn behind_attempt(&self) -> i64 {
        match self.attempt {
            Some((Origin::Queue, first, last)) if is(Variant::ParksBehindAttempt) => last - first + 1,
            _ => 0,
        }
    }

    fn begin_drain(&mut self) {
        if let Some((drain, cursor, _)) = self.machine.begin_drain() {
            self.reading = Some(Reading {
                drain,
                cursor,
                told: false,
            });
        }
    }

    // Producing.

    /// Before the first row of an epoch its terminator is produced.
    fn need_terminator(&mut self) {
        if self.terminator == Written::No {
            self.terminator = Written::OnItsWay(self.send_note(What::Terminator));
        }
    }

    /// The lane's row under an epoch that was taken although there is one.
    fn write_epoch(&mut self) {
        self.need_terminator();
        self.row = match self.machine.row_for_new_epoch(0) {
            Some(row) => Written::OnItsWay(self.send_note(What::Row(Rc::new(row)))),
            None => Written::Yes,
        };
    }

    fn send_note(&mut self, what: What) -> u64 {
        let number = self.free_number();
        self.send_note_as(number, what);
        number
    }

    fn send_note_as(&mut self, number: u64, what: What) {
        self.lanes.push_back(Sent {
            number,
            what: Note {
                epoch: self.epoch,
                what,
            },
            landed: None,
        });
    }

    /// The lowest number that nothing on its way has: equal states stay equal.
    fn free_number(&self) -> u64 {
        let retry = self.retry.iter().map(|sent| sent.number);
        let lanes = self.lanes.iter().map(|sent| sent.number);
        let unsettled = self.unsettled.iter().map(|(number, _)| *number);
        let taken: u64 = retry
            .chain(lanes)
            .chain(unsettled)
            .fold(0, |taken, number| taken | 1 << number);
        u64::from(taken.trailing_ones())
    }

    /// Something was written, or not.
    pub(super) fn reported(&mut self, number: u64, result: Option<i64>) {
        let way = Written::OnItsWay(number);
        match result {
            Some(_) if self.terminator == way => self.terminator = Written::Yes,
            Some(_) if self.row == way => self.row = Written::Yes,
            Some(offset) => self.machine.written(number, offset),
            None if self.terminator == way => {
                self.terminator = Written::No;
                self.need_terminator();
            }
            None if self.row == way => self.write_epoch(),
            None => self.machine.refused(number),
        }
        self.drive(now());
    }

    // Taking over.

    /// The rows are there.
    pub(super) fn load(&mut self, outside: &mut Outside, is_owner: bool) {
        let Stage::Assigned { committed } = self.stage else {
            return;
        };
        self.epoch = outside.take_epoch(committed);
        if is_owner && is(Variant::CountsBeforeRows) {
            outside.epoch = self.epoch;
        }
        self.stage = match outside.row(committed) {
            Some(row) => Stage::Loaded {
                row: Rc::clone(row),
            },
            None => Stage::Running,
        };
    }

    /// The bucket's end is known.
    pub(super) fn resume(&mut self, need: i64) {
        let Stage::Loaded { row } = &self.stage else {
            return;
        };
        let row = LaneRow::clone(row);
        let due = due(row.not_before);
        self.machine = Machine::resumed(row, need, due);
        self.stage = Stage::Claiming;
        self.write_epoch();
    }

    /// The first commit of a claimed epoch is acked.
    pub(super) fn run(&mut self) {
        self.stage = Stage::Running;
        if self.machine.wake().is_none() {
            // The row says never, and the target is not suspended.
            self.machine.hurry(now(), 0);
        }
        self.drive(now());
    }

    /// The producer failed for good: what was on its way is refused, and a lane that has a row takes a
    /// new epoch. Returns what may arrive all the same.
    pub(super) fn replace_producer(&mut self, outside: &mut Outside) -> Lost {
        let (retry, lanes) = (std::mem::take(&mut self.retry), std::mem::take(&mut self.lanes));
        for number in retry.iter().map(|sent| sent.number).chain(lanes.iter().map(|sent| sent.number)) {
            self.machine.refused(number);
        }
        if self.terminator != Written::Yes {
            self.terminator = Written::No;
        }
        if !self.machine.is_live() && !is(Variant::KeepsEpoch) {
            self.epoch = outside.take_epoch(self.epoch);
            self.terminator = Written::No;
            self.counts = false;
        }
        if !self.machine.is_live() {
            self.write_epoch();
        }
        self.drive(now());
        Lost {
            retry: retry.into_iter().filter(|sent| sent.landed.is_none()).map(|sent| sent.what).collect(),
            lanes: lanes.into_iter().filter(|sent| sent.landed.is_none()).map(|sent| sent.what).collect(),
        }
    }
}

/// What a dead producer had on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lost {
    pub(super) retry: VecDeque<Rc<Run>>,
    pub(super) lanes: VecDeque<Note>,
}

/// Events without gaps.
pub(super) fn span(first: i64, last: i64) -> Span {
    Span {
        events: (last - first + 1) as u32,
        first,
        last,
    }
}
