//! Reading a lane's parked events back, and which of them are sent.
//!
//! Owns the events that were read and not yet delivered, oldest first, and the rules by which a record
//! of the bucket is taken, skipped or remembered. Bounded by [`ROOM_MOST`] and one record.

mod giving_up;

use std::collections::VecDeque;

use parcelhook_crds::lane::Incarnation;

use super::Event;
use super::letters::Letters;
use super::weak::{Weakness, weakened};

/// Bytes that the reader may send for the first attempt after a failure. Most lanes that are probed
/// stay DOWN, and what was read for them is thrown away.
pub const ROOM_FIRST: usize = 16 * 1024;

/// Bytes of a lane that drains well: two transactions of the default size.
pub(super) const ROOM_MOST: usize = 2 * 1024 * 1024;

/// A record of the bucket that belongs to this lane.
#[derive(Clone, Debug)]
pub struct DrainedRun<E> {
    /// Its offset in the bucket.
    pub offset: i64,
    /// When it was parked, milliseconds since the Unix epoch.
    pub parked_at: i64,
    /// The DOWN period.
    pub incarnation: Incarnation,
    /// Last source offset that was parked before it in its incarnation by its owner.
    pub prev: Option<i64>,
    /// Bytes that the reader counted for it.
    pub size: usize,
    /// Its events, in offset order.
    pub events: Vec<E>,
}

/// The events that the next transaction may have.
#[derive(Debug)]
pub struct Drainable<'a, E> {
    buffer: &'a VecDeque<Drained<E>>,
    /// When a transaction goes again as it was: how many events it has.
    pub again: Option<u32>,
}

impl<'a, E: Event> Drainable<'a, E> {
    /// The events, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &'a E> + Clone + use<'a, E> {
        let events = self.buffer.iter().map(|drained| &drained.event);
        let events = events.take_while(|event| !event.is_gone());
        let most = self.again.map_or(usize::MAX, |events| events as usize);
        events.take(most)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Drained<E> {
    /// Offset in the bucket.
    offset: i64,
    parked_at: i64,
    event: E,
}

/// One reading of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Drain<E> {
    /// Tells this reading from earlier ones.
    pub(super) number: u32,
    buffer: VecDeque<Drained<E>>,
    /// Last source offset that was delivered or is in the buffer.
    through: i64,
    /// All records of the lane below this offset of the bucket came. Where reading was asked to begin,
    /// until the reader tells: the log may not reach that far any more.
    scanned_to: i64,
    told: bool,
    /// What is read is another log than the one that is written: a [cut](Self::cut) will tell.
    astray: bool,
    /// Highest source offset of a record that was skipped because what it follows was missing.
    ahead: Option<i64>,
    /// Retention took records of this lane: the next one is taken whatever it follows.
    lost: bool,
    /// Bytes the reader may have on its way. Below zero when it sent a record that was larger than what
    /// was left: the reader counts the same, and sends nothing before it is given more than it owes.
    granted: i64,
    buffered: usize,
    /// Bytes that may be on their way or in the buffer. It grows with each delivery.
    room: usize,
    /// As many as that must have room, whatever else is drained: one transaction needs them.
    needed: usize,
    /// Events of the attempt in flight.
    attempting: Option<u32>,
    /// Of the oldest events, in their order.
    letters: Letters,
    /// No topic takes this event: its dead letter holds its place only.
    by_place: Option<i64>,
}

impl<E: Event> Drain<E> {
    /// Begins behind what was delivered.
    pub(super) fn new(number: u32, delivered_through: i64, from: i64) -> Self {
        Self {
            number,
            buffer: VecDeque::new(),
            through: delivered_through,
            scanned_to: from,
            told: false,
            astray: false,
            ahead: None,
            lost: false,
            granted: as_i64(ROOM_FIRST),
            buffered: 0,
            room: ROOM_FIRST,
            needed: 0,
            attempting: None,
            letters: Letters::default(),
            by_place: None,
        }
    }

    /// Takes what the reader sent. Returns how many source offsets retention took before it.
    pub(super) fn take(&mut self, incarnation: Incarnation, runs: Vec<DrainedRun<E>>) -> u64 {
        let mut skipped = 0;
        for run in runs {
            self.granted = self.granted.saturating_sub(as_i64(run.size));
            skipped += self.take_run(incarnation, run);
        }
        skipped
    }

    fn take_run(&mut self, incarnation: Incarnation, run: DrainedRun<E>) -> u64 {
        let ends = (run.events.first(), run.events.last());
        let (Some(first), Some(last)) = (ends.0.map(Event::offset), ends.1.map(Event::offset))
        else {
            return 0;
        };
        let any = weakened(Weakness::TakesAnyIncarnation);
        if (run.incarnation != incarnation && !any) || last <= self.through {
            return 0;
        }
        let lost = std::mem::take(&mut self.lost);
        let taken = lost || any || weakened(Weakness::TakesWithoutPredecessor);
        if !taken && run.prev.is_some_and(|prev| prev > self.through) {
            // A correct copy of what is missing follows, and of this one behind it.
            self.ahead = self.ahead.max(Some(last));
            return 0;
        }
        let through = self.through;
        let skipped = if lost { first - 1 - through } else { 0 };
        self.through = last;
        for event in run.events {
            if event.offset() > through {
                self.buffered += event.cost();
                self.buffer.push_back(Drained {
                    offset: run.offset,
                    parked_at: run.parked_at,
                    event,
                });
            }
        }
        u64::try_from(skipped).unwrap_or(0)
    }

    /// Whether retention took records of this lane, and none came since.
    pub(super) fn is_cut_short(&self) -> bool {
        self.lost
    }

    /// All records of the lane below this offset came.
    pub(super) fn scanned(&mut self, to: i64) {
        self.told = true;
        self.scanned_to = self.scanned_to.max(to);
    }

    /// The log begins at `log_start`, and all of it from there on comes: retention took what was before,
    /// or it is another log, which may well end below what was read.
    pub(super) fn cut(&mut self, log_start: i64, lost: bool) {
        self.told = true;
        self.astray = false;
        self.scanned_to = log_start;
        self.lost |= lost;
    }

    /// Something of the lane was written below the place where reading began.
    pub(super) fn is_astray(&mut self) {
        self.astray = true;
    }

    /// Whether all records of the lane below an offset came.
    pub(super) fn has_scanned(&self, end: i64) -> bool {
        self.told && !self.astray && self.scanned_to >= end
    }

    /// Bytes that may be on their way or in the buffer, when all lanes together leave it `most`.
    pub(super) fn room(&self, most: usize) -> usize {
        self.room.min(most).max(self.needed)
    }

    /// Bytes that are on their way or in the buffer.
    fn held(&self) -> i64 {
        self.granted.saturating_add(as_i64(self.buffered))
    }

    /// Bytes that the lane counts for: its room, or what it holds beyond that.
    pub(super) fn claim(&self, most: usize) -> usize {
        let held = usize::try_from(self.held()).unwrap_or(0);
        self.room(most).max(held)
    }

    /// Bytes that the reader may send on top of what is left, once that is worth a fetch: when more than
    /// half of the room is free, or when nothing can be sent before more comes.
    pub(super) fn wanted(&self, most: usize) -> Option<usize> {
        let room = self.room(most);
        let wanted = as_i64(room).saturating_sub(self.held());
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let stands = self.buffered == 0 || self.needed > self.buffered;
        let is_worth_it = wanted > room / 2 || (self.granted <= 0 && stands && wanted > 0);
        is_worth_it.then_some(wanted)
    }

    /// Lets the reader send that many bytes more.
    pub(super) fn grant(&mut self, bytes: usize) {
        self.granted = self.granted.saturating_add(as_i64(bytes));
    }

    /// A transaction has more bytes than the room: it must be read whole.
    pub(super) fn widen(&mut self) {
        self.needed = self.needed.max(self.buffered + ROOM_FIRST);
    }

    /// Whether the transaction that was attempted before is there, in part only, or cannot come any more.
    pub(super) fn again(&self, attempted: Option<(i64, i64)>) -> Again {
        let (Some((first, last)), Some(oldest)) = (attempted, self.buffer.front()) else {
            return Again::None;
        };
        if oldest.event.offset() != first {
            return Again::Broken;
        }
        let events = self
            .buffer
            .iter()
            .take_while(|drained| drained.event.offset() <= last);
        if events.clone().any(|drained| drained.event.is_gone()) {
            return Again::Broken;
        }
        let found = events.clone().last().map(|drained| drained.event.offset());
        match found {
            Some(found) if found == last => Again::Whole(events.count() as u32),
            Some(_) | None if self.through >= last => Again::Broken,
            Some(_) | None => Again::Part,
        }
    }

    /// What the next transaction may have.
    pub(super) fn drainable(&self, again: Option<u32>) -> Drainable<'_, E> {
        Drainable {
            buffer: &self.buffer,
            again,
        }
    }

    /// First and last offset of the attempt in flight.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let index = (self.attempting? as usize).checked_sub(1)?;
        let first = self.buffer.front()?.event.offset();
        Some((first, self.buffer.get(index)?.event.offset()))
    }

    /// Events that were read and are not delivered.
    pub(super) fn events(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Whether no event is left and none is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether the oldest event may be sent.
    pub(super) fn may_begin(&self) -> bool {
        let oldest = self.buffer.front();
        self.letters.is_empty() && oldest.is_some_and(|oldest| !oldest.event.is_gone())
    }

    /// Whether an attempt is in flight.
    pub(super) fn is_attempting(&self) -> bool {
        self.attempting.is_some()
    }

    /// An attempt with the oldest `events` starts. Returns their first and last offset.
    pub(super) fn start(&mut self, events: u32) -> Option<(i64, i64)> {
        let first = self.buffer.front()?.event.offset();
        let index = (events as usize).checked_sub(1)?;
        let last = self.buffer.get(index)?.event.offset();
        self.attempting = Some(events);
        Some((first, last))
    }

    /// The attempt came to nothing.
    pub(super) fn aborted(&mut self) {
        self.attempting = None;
    }

    /// The attempt was delivered. Returns the events and the last one's offset.
    pub(super) fn delivered(&mut self) -> Option<(u32, i64)> {
        let events = self.attempting.take()?;
        self.room = (self.room * 2).min(ROOM_MOST);
        self.needed = 0;
        let mut last = None;
        for _ in 0..events {
            let drained = self.buffer.pop_front()?;
            self.buffered = self.buffered.saturating_sub(drained.event.cost());
            last = Some(drained.event.offset());
        }
        Some((events, last?))
    }

    /// Offset of the bucket below which nothing of the lane is needed.
    pub(super) fn resume_offset(&self) -> i64 {
        let oldest = self.buffer.front().map(|drained| drained.offset);
        // What was read of a log that is gone says nothing about this one.
        oldest.map_or(self.scanned_to, |oldest| oldest.min(self.scanned_to))
    }

    /// When the oldest event that was read was parked, and whether by its place only.
    pub(super) fn oldest(&self) -> Option<(i64, bool)> {
        let oldest = self.buffer.front()?;
        Some((oldest.parked_at, oldest.event.is_elsewhere()))
    }

    /// The last source offset that came, or was delivered before.
    pub(super) fn through(&self) -> i64 {
        self.through
    }

    /// Whether a record was skipped for what it follows, and what it follows never came.
    pub(super) fn has_gap(&self) -> bool {
        self.ahead.is_some_and(|ahead| ahead > self.through)
    }
}

fn as_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What is there of a transaction that was attempted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// There is none, or nothing is there yet.
    None,
    /// All of its events, this many.
    Whole(u32),
    /// The rest is still to come.
    Part,
    /// Some of its events will not come any more: they were delivered, dead-lettered or skipped.
    Broken,
}
