//! One lane that reads: which records are its own, how far it has come, how much it takes.
//!
//! Owns a lane's cursor, its room, and what is to be told to its shard but is not yet. Everything of
//! the lane below the cursor was handed over, and what was handed over and not asked for again is
//! bounded by the room. Which record comes next is decided by the [bucket](super::bucket).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fetch::{Found, Wanted};
use crate::park::format::LaneOf;
use crate::park::{DrainKey, LaneAddress, ParkedBody, ParkedRun, Read};

/// Least time between two answers that only say how far a lane was scanned. They move
/// `resume_offset` over others' records; a bucket may have a thousand lanes.
const TELL_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes that a lane takes. The last record may be larger than what is left, or one that is larger than
/// the whole room would never come; what is too much is owed, and the lane that gives room counts it in.
/// To go back to a lane's place costs a fetch: whoever gives room gives enough to be worth it.
#[derive(Debug)]
struct Room {
    free: i64,
}

impl Room {
    fn new(bytes: usize) -> Self {
        let free = as_i64(bytes);
        Self { free }
    }

    fn add(&mut self, bytes: usize) {
        self.free = self.free.saturating_add(as_i64(bytes));
    }

    fn take(&mut self, bytes: usize) {
        self.free = self.free.saturating_sub(as_i64(bytes));
    }

    fn is_used_up(&self) -> bool {
        self.free <= 0
    }
}

/// A lane that reads.
#[derive(Debug)]
pub(super) struct Lane {
    address: Arc<LaneAddress>,
    cursor: i64,
    travels: bool,
    room: Room,
    /// The last turn of the bucket in which the lane could read.
    pub(super) served: u64,
    runs: Vec<ParkedRun>,
    cut: Option<i64>,
    told: Option<i64>,
    told_at_end: bool,
    tell_at: Instant,
    listed: bool,
}

impl Lane {
    pub(super) fn new(address: Arc<LaneAddress>, from: i64, room: usize, now: Instant) -> Self {
        Self {
            address,
            cursor: from.max(0),
            travels: false,
            room: Room::new(room),
            served: 0,
            runs: Vec::new(),
            cut: None,
            told: None,
            told_at_end: false,
            tell_at: now + TELL_INTERVAL,
            listed: false,
        }
    }

    /// Whether a record is this lane's. A topic's id counts when both sides know it.
    pub(super) fn owns(&self, owner: &LaneOf<'_>) -> bool {
        let LaneAddress {
            name,
            source,
            topic_id,
            bucket: _,
        } = &*self.address;
        *name == owner.name
            && source.partition == owner.partition
            && *source.topic == *owner.topic
            && topic_id
                .zip(owner.topic_id)
                .is_none_or(|(ours, its)| ours == its)
    }

    pub(super) fn address(&self) -> &LaneAddress {
        &self.address
    }

    pub(super) fn more_room(&mut self, bytes: usize) {
        self.room.add(bytes);
    }

    /// Whether the lane takes its next record.
    pub(super) fn is_ready(&self) -> bool {
        // What follows a cut must not be told before it.
        !self.room.is_used_up() && self.cut.is_none()
    }

    /// Everything of the lane below this offset was handed over. `at` is where its bucket is read.
    pub(super) fn position(&self, at: i64) -> i64 {
        if self.travels {
            self.cursor.max(at)
        } else {
            self.cursor
        }
    }

    /// The bucket is read from `at` on: the lane comes along if that is not beyond its cursor.
    pub(super) fn join(&mut self, at: i64) {
        self.travels = self.cursor >= at;
    }

    /// The bucket is not read from `at` on any more.
    pub(super) fn part(&mut self, at: i64) {
        self.cursor = self.position(at);
        self.travels = false;
    }

    /// Whether a record at `offset`, which the bucket has just come to, is still to be handed over.
    pub(super) fn meets(&self, offset: i64) -> bool {
        self.travels && self.cursor <= offset
    }

    /// The bucket goes on without the lane, whose next record is at `offset`.
    pub(super) fn stays_behind(&mut self, offset: i64) {
        self.cursor = offset;
        self.travels = false;
    }

    /// The lane's next record. Returns whether its room is used up now.
    pub(super) fn take(&mut self, run: ParkedRun) -> bool {
        self.room.take(run.size());
        self.runs.push(run);
        self.room.is_used_up()
    }

    /// The first event that must be fetched before anything from it on is told.
    pub(super) fn reference(&self) -> Option<Wanted> {
        let run = self.runs.get(self.complete())?;
        Some(Wanted {
            lane: Arc::clone(&self.address),
            offset: run.offsets.0,
        })
    }

    /// What was found at the place of an event. Returns whether the lane's room is used up now.
    pub(super) fn fetched(&mut self, offset: i64, found: Found) -> bool {
        let first = self.complete();
        let run = self.runs.get_mut(first);
        let Some(run) = run.filter(|run| run.offsets.0 == offset) else {
            return false;
        };
        let before = run.size();
        run.body = match found {
            Found::Event(event) => ParkedBody::Fetched(event),
            Found::Gone => ParkedBody::Gone,
            Found::Unknown => ParkedBody::Reference,
        };
        self.room.take(run.size() - before);
        self.room.is_used_up()
    }

    /// Runs at the front that have all that they need.
    fn complete(&self) -> usize {
        let is_reference = |run: &ParkedRun| matches!(run.body, ParkedBody::Reference);
        let reference = self.runs.iter().position(is_reference);
        reference.unwrap_or(self.runs.len())
    }

    /// The log that the lane reads begins at `log_start`, and nothing that was read counts.
    pub(super) fn cut(&mut self, log_start: i64) {
        self.cursor = log_start;
        self.travels = false;
        self.cut = Some(log_start);
        self.told = None;
    }

    /// Whether there is something to tell by now. Not asked again until it was [told](Self::tell).
    pub(super) fn must_be_listed(&mut self, sight: Sight, now: Instant) -> bool {
        if self.listed {
            return false;
        }
        self.told_at_end &= self.travels;
        let at_end = sight.caught_up && self.travels;
        let due = now >= self.tell_at || (at_end && !self.told_at_end) || sight.parting;
        let moved = self.told.is_none_or(|told| self.position(sight.at) > told);
        self.listed = match (self.complete(), self.runs.is_empty()) {
            (0, false) => false,
            (0, true) => self.cut.is_some() || (due && moved),
            (1.., _) => true,
        };
        if self.listed {
            self.told_at_end |= at_end;
            self.tell_at = now + TELL_INTERVAL;
        }
        self.listed
    }

    /// What is to be told next; asked again until there is nothing.
    pub(super) fn tell(&mut self, key: DrainKey, at: i64) -> Option<Read> {
        match (self.complete(), self.runs.is_empty()) {
            (0, true) => {}
            (0, false) => {
                self.listed = false;
                return None;
            }
            (1.., _) => return Some(self.tell_progress(key, at)),
        }
        if let Some(log_start) = self.cut.take() {
            return Some(Read::Cut { key, log_start });
        }
        if self.told == Some(self.position(at)) {
            self.listed = false;
            return None;
        }
        Some(self.tell_progress(key, at))
    }

    fn tell_progress(&mut self, key: DrainKey, at: i64) -> Read {
        let waiting = self.runs.split_off(self.complete());
        let runs = std::mem::replace(&mut self.runs, waiting);
        // Only what is told counts, not what waits for an event. Before a cut only what was read counts,
        // not where the lane goes on.
        let scanned_to = match (self.runs.first(), self.cut, runs.last()) {
            (Some(next), _, _) => next.offset,
            (None, Some(_), Some(last)) => last.offset + 1,
            (None, Some(_) | None, _) => self.position(at),
        };
        self.told = Some(scanned_to);
        Read::Drained {
            key,
            runs,
            scanned_to,
        }
    }
}

/// What a lane sees of its bucket when it is asked whether it has something to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// Where the bucket is read.
    pub(super) at: i64,
    /// There is nothing more to read.
    pub(super) caught_up: bool,
    /// The bucket is not read any more.
    pub(super) parting: bool,
}

fn as_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
