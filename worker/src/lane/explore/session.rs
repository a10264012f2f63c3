//! A worker as the owner of the partition, or as one that was: the shipped machine of its one lane, the
//! shipped take-over and ownership, and as little as possible around them.
//!
//! Stands for the shard: asks the machine for work in the same order, until there is none, and performs
//! it. Stands for the ledger with few numbers, because every event is wanted by the one lane: the oldest
//! that is not done, which is the frontier, and the next to read; of the other target, which only worlds
//! with several configurations have, the oldest that it does not have. What it produces stays on its way until
//! the broker takes or refuses it, in order within a topic.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Epoch;

use super::Dot;
use super::configuration::Knows;
use super::outside::{GROUP, Letter, Note, Outside, Run, What, place};
use super::variant::{Variant, is};
use crate::clock;
use crate::lane::gate::Gate;
use crate::lane::machine::{Ages, Backlog, Machine, Opening, Sight, Span, Work};
use crate::lane::own::Own;
use crate::lane::takeover::{Subject, TakeOver};

/// Who ordered a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Lane,
    Partition,
    TakeOver,
}

/// An order, as its report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Order {
    pub(super) whose: Whose,
    pub(super) number: u64,
}

impl Order {
    fn of_lane(number: u64) -> Self {
        let whose = Whose::Lane;
        Self { whose, number }
    }
}

/// Something that is on its way to a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent<T> {
    pub(super) order: Order,
    pub(super) what: T,
    /// Where the broker has it, when it does and we do not know it yet.
    pub(super) landed: Option<i64>,
}

/// Where an attempt has its events from.
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
    /// Bytes that may come.
    pub(super) room: usize,
    pub(super) told: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    /// The take-over that must end before anything is done.
    pub(super) take_over: Option<TakeOver>,
    /// The rows were asked for, and not told yet.
    pub(super) asks_rows: Option<Epoch>,
    /// The end of the bucket was asked for.
    pub(super) asks_end: Option<u64>,
    /// What may be committed is committed under this epoch.
    pub(super) claimed: Option<Epoch>,
    /// A commit of it is acked.
    pub(super) counts: bool,
    /// A commit that the group has and that this owner has not heard of: offset and configuration.
    pub(super) unheard: Option<(i64, Knows)>,
    /// What its configuration knows.
    pub(super) knows: Knows,
    /// The offset of the last commit of ours that we have heard of.
    pub(super) heard: i64,
    /// The lane is new, and waits for a commit.
    pub(super) gate: Option<Gate>,
    pub(super) own: Option<Own>,
    pub(super) machine: Machine<Dot>,
    /// Oldest event that is not done.
    pub(super) frontier: i64,
    /// Next event to read.
    pub(super) position: i64,
    /// Oldest event that the other target does not have.
    pub(super) other: i64,
    pub(super) retry: VecDeque<Sent<Rc<Run>>>,
    pub(super) lanes: VecDeque<Sent<Note>>,
    pub(super) letters: VecDeque<Sent<Letter>>,
    /// Runs that are acked and not settled: number and last event. Their numbers are not free.
    pub(super) unsettled: Vec<(u64, i64)>,
    pub(super) attempt: Option<(Origin, i64, i64)>,
    pub(super) reading: Option<Reading>,
    /// So much waits that it must not be held.
    pub(super) full: bool,
    pub(super) suspended: bool,
    /// What was parked before is too old.
    pub(super) clock: i64,
    pub(super) sizes: Sizes,
}

/// How large the pieces are in which a session works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sizes {
    /// Most events of a record or a transaction.
    pub(super) most: u32,
    /// Bytes of parked events that the lane may have in memory, besides what it needs.
    pub(super) room: usize,
}

/// All that is due at once is due at this time.
pub(super) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(clock::now)
}

/// All that is due at all is due at this time.
pub(super) fn later() -> Instant {
    now() + Duration::from_secs(3600)
}

/// Events without gaps.
pub(super) fn span(first: i64, last: i64) -> Span {
    Span {
        events: (last - first + 1) as u32,
        first,
        last,
    }
}

impl Session {
    /// The partition is assigned: the commit says from where, and under which epoch and configuration.
    pub(super) fn assigned(outside: &Outside, sizes: Sizes, knows: Knows) -> Self {
        let subject = Subject {
            group: GROUP.into(),
            place: place(),
            frontier: outside.committed,
        };
        let predecessor = outside.predecessor(knows);
        let (take_over, steps) = TakeOver::begin(subject, predecessor, knows.cfg());
        let mut session = Self {
            take_over: Some(take_over),
            asks_rows: None,
            asks_end: None,
            claimed: None,
            counts: false,
            unheard: None,
            heard: 0,
            knows,
            gate: None,
            own: None,
            machine: Machine::default(),
            frontier: outside.committed,
            position: outside.committed,
            other: outside.committed,
            retry: VecDeque::new(),
            lanes: VecDeque::new(),
            letters: VecDeque::new(),
            unsettled: Vec::new(),
            attempt: None,
            reading: None,
            full: false,
            suspended: false,
            clock: outside.clock,
            sizes,
        };
        session.perform(steps);
        session
    }

    /// Whether its lane may send and park.
    pub(super) fn may_act(&self) -> bool {
        self.own.is_some()
    }

    /// Whether too much may wait to be held for a cut-over.
    pub(super) fn may_fill(&self) -> bool {
        let waits = self.frontier < self.visible();
        self.may_act() && !self.machine.is_live() && !self.full && waits
    }

    /// Whether something is on its way.
    pub(super) fn writes(&self) -> bool {
        !(self.retry.is_empty() && self.lanes.is_empty() && self.letters.is_empty())
    }

    /// The epoch that it has, or is about to have.
    pub(super) fn newest_epoch(&self) -> Option<Epoch> {
        let written = self.lanes.back().map(|sent| sent.what.epoch);
        self.claimed.or(written)
    }

    /// Performs what the machine asks for, until it asks for nothing but an attempt.
    pub(super) fn drive(&mut self, now: Instant) {
        let now = now.max(self.now());
        self.machine.committed(self.heard);
        while self.may_act()
            && let Some(work) = self.machine.work(now, self.sight())
        {
            match work {
                Work::WriteRow => self.write_row(),
                Work::Park { skip } => {
                    let first = self.frontier + skip as i64 + self.behind_attempt();
                    if first == self.visible() {
                        break;
                    }
                    self.park(first);
                }
                Work::BeginDrain => self.begin_drain(),
                Work::More => self.read_more(),
                Work::Attempt => break,
                Work::Rest => self.machine.rest(),
                Work::GiveUp => self.give_up(),
                Work::Tombstone => {
                    let number = self.free_number();
                    self.machine.tombstone(number);
                    self.send(Whose::Lane, number, What::Tombstone);
                }
            }
        }
        let drain = self.machine.backlog().and_then(|backlog| backlog.drain());
        self.reading = self.reading.filter(|reading| drain == Some(reading.drain));
    }

    /// The time at least: what was due once stays due while the lane drains.
    pub(super) fn now(&self) -> Instant {
        let drains = self.machine.backlog().is_some_and(Backlog::is_draining);
        if drains { later() } else { now() }
    }

    pub(super) fn sight(&self) -> Sight {
        Sight {
            waiting: (self.visible() - self.frontier) as u64,
            hold_is_full: self.full,
            may_park: true,
            room_most: self.sizes.room,
            ages: self.ages(),
            counts: self.counts,
            position: self.position,
        }
    }

    fn ages(&self) -> Ages {
        Ages {
            too_old: self.clock,
            overdue: self.clock,
            elsewhere: i64::MIN,
        }
    }

    fn give_up(&mut self) {
        let number = self.free_number();
        if let Some(given_up) = self.machine.give_up(number, self.ages()) {
            self.letters.push_back(Sent {
                order: Order::of_lane(number),
                what: Letter {
                    event: given_up.event.0,
                    by_place: given_up.by_place,
                },
                landed: None,
            });
        }
    }

    /// Events that are parked for good leave the queue. Asked where the shard asks.
    pub(super) fn settle(&mut self) {
        let terminated = self.own.is_some_and(|own| own.is_terminated());
        self.frontier += i64::from(self.machine.settle(terminated, self.clock));
        if let Some(through) = self.machine.passed_by() {
            self.frontier = self.frontier.max(self.visible().min(through + 1));
        }
        self.full &= self.frontier < self.visible();
        self.unsettled.retain(|(_, last)| *last >= self.frontier);
    }

    fn write_row(&mut self) {
        if self.own.is_some_and(|own| own.wants_terminator()) {
            self.write_terminator();
        }
        let number = self.free_number();
        if let Some(row) = self.machine.write_row(number, 0, now()) {
            self.send(Whose::Lane, number, What::Row(Rc::new(row)));
        }
    }

    pub(super) fn write_terminator(&mut self) {
        let number = self.free_number();
        if let Some(own) = &mut self.own {
            own.produced(number, self.frontier, now());
            self.send(Whose::Partition, number, What::Terminator(self.done()));
        }
    }

    fn park(&mut self, first: i64) {
        let Some(backlog) = self.machine.backlog() else {
            return;
        };
        let limit = backlog.run_limit(first, self.sizes.most as usize) as i64;
        let last = (self.visible() - 1).min(first + limit - 1);
        let number = self.free_number();
        let Some(header) = self.machine.park(number, span(first, last)) else {
            return;
        };
        self.retry.push_back(Sent {
            order: Order::of_lane(number),
            what: Rc::new(Run {
                incarnation: header.incarnation,
                prev: header.prev,
                first,
                last,
                by_reference: header.by_reference,
            }),
            landed: None,
        });
    }

    fn behind_attempt(&self) -> i64 {
        match self.attempt {
            Some((Origin::Queue, first, last)) if is(Variant::ParksBehindAttempt) => {
                last - first + 1
            }
            Some(_) | None => 0,
        }
    }

    fn begin_drain(&mut self) {
        if let Some((drain, cursor, room)) = self.machine.begin_drain() {
            self.reading = Some(Reading {
                drain,
                cursor,
                room,
                told: false,
            });
        }
    }

    fn read_more(&mut self) {
        if let Some((_, room)) = self.machine.more(self.sizes.room)
            && let Some(reading) = &mut self.reading
        {
            reading.room += room;
        }
    }

    /// Something goes to the lanes topic.
    pub(super) fn send(&mut self, whose: Whose, number: u64, what: What) {
        if let Some(own) = self.own {
            let epoch = own.epoch;
            self.send_under(whose, number, Note { epoch, what });
        }
    }

    pub(super) fn send_under(&mut self, whose: Whose, number: u64, note: Note) {
        self.lanes.push_back(Sent {
            order: Order { whose, number },
            what: note,
            landed: None,
        });
    }

    /// The lowest number that nothing on its way has: equal sessions stay equal.
    fn free_number(&self) -> u64 {
        let retry = self.retry.iter().map(|sent| sent.order.number);
        let lanes = self.lanes.iter().map(|sent| sent.order.number);
        let letters = self.letters.iter().map(|sent| sent.order.number);
        let unsettled = self.unsettled.iter().map(|(number, _)| *number);
        let sent = retry.chain(lanes).chain(letters);
        let taken: Vec<u64> = sent.chain(unsettled).collect();
        (0..).find(|number| !taken.contains(number)).unwrap_or(0)
    }

    /// What the machine must know to leave live. None while the partition is taken over.
    pub(super) fn opening(&self, outside: &Outside) -> Option<Opening> {
        Some(Opening {
            epoch: self.own?.epoch,
            bucket_end: outside.end(),
            unix: 0,
            first: self.frontier,
        })
    }
}
