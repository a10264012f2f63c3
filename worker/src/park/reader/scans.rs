//! All buckets that are read, and the lanes that read them.
//!
//! Owns which lane reads which bucket, and what each shard is still to be told. Every bucket with a
//! lane that has room is read at the same time as the others: each fetch asks for all of them, with
//! the same limit of bytes each, so the brokers themselves go round, and no bucket waits for
//! another's round trip.
//!
//! What waits here is bounded by the lanes' rooms, also when a shard is busy: a lane's answers are
//! one answer until the shard takes it.
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::bucket::{Bucket, Move};
use super::fetch::{Found, Wanted};
use super::lane::Lane;
use crate::park::format::LaneOf;
use crate::park::{DrainKey, LaneAddress, ParkedBody, ParkedRun, Read, Ticket};

/// A lane that begins to read.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    pub(super) key: DrainKey,
    pub(super) lane: Arc<LaneAddress>,
    pub(super) from: i64,
    pub(super) room: usize,
}

/// Where a bucket ends, for somebody who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndAnswer {
    pub(super) ticket: Ticket,
    pub(super) shard: u32,
    pub(super) end: i64,
}

/// Buckets and lanes.
#[derive(Debug)]
pub(super) struct Scans {
    buckets: BTreeMap<i32, Bucket>,
    homes: FxHashMap<DrainKey, i32>,
    outboxes: Vec<Outbox>,
    /// Lanes that wait for events that were parked by their place, longest first.
    references: VecDeque<DrainKey>,
    unsettled: bool,
}

#[derive(Debug, Default)]
struct Outbox {
    ends: VecDeque<EndAnswer>,
    lanes: VecDeque<DrainKey>,
}

impl Scans {
    /// Nothing is read yet. Answers go to that many shards.
    pub(super) fn new(shards: usize) -> Self {
        Self {
            buckets: BTreeMap::new(),
            homes: FxHashMap::default(),
            outboxes: (0..shards).map(|_| Outbox::default()).collect(),
            references: VecDeque::new(),
            unsettled: false,
        }
    }

    /// A lane begins to read. Ends an earlier drain of the same lane.
    pub(super) fn begin(&mut self, begin: Begin, now: Instant) {
        let Begin {
            key,
            lane,
            from,
            room,
        } = begin;
        let bucket = lane.bucket;
        self.end(key);
        let earlier = self
            .buckets
            .entry(bucket)
            .or_default()
            .begin(key, Lane::new(lane, from, room, now));
        if let Some(earlier) = earlier {
            self.forget(earlier);
        }
        self.homes.insert(key, bucket);
    }

    /// A lane takes more.
    pub(super) fn more(&mut self, key: DrainKey, room: usize) {
        if let Some(lane) = self.home(key).and_then(|bucket| bucket.lane_mut(key)) {
            lane.more_room(room);
        }
    }

    /// A lane reads no more.
    pub(super) fn end(&mut self, key: DrainKey) {
        if let Some(bucket) = self.home(key) {
            bucket.end_lane(key);
        }
        self.forget(key);
    }

    fn forget(&mut self, key: DrainKey) {
        self.homes.remove(&key);
        if let Some(outbox) = self.outbox(key.shard) {
            outbox.lanes.retain(|listed| *listed != key);
        }
    }

    /// A shard is gone, and all its lanes with it.
    pub(super) fn shard_is_gone(&mut self, shard: u32) {
        let keys = self.homes.keys().copied();
        let gone: Vec<DrainKey> = keys.filter(|key| key.shard == shard).collect();
        for key in gone {
            self.end(key);
        }
        if let Some(outbox) = self.outbox(shard) {
            *outbox = Outbox::default();
        }
    }

    /// Where each bucket is to be read from now on; those that stay are left out. What is returned
    /// counts as done.
    pub(super) fn plan(&mut self) -> Vec<(i32, Move)> {
        self.unsettled = false;
        let buckets = self.buckets.iter_mut();
        buckets
            .map(|(number, bucket)| (*number, bucket.plan()))
            .filter(|(_, planned)| *planned != Move::Stay)
            .collect()
    }

    /// Whether somebody takes what comes.
    pub(super) fn want_records(&self) -> bool {
        self.buckets.values().any(Bucket::is_wanted)
    }

    /// Whether a lane will take its next record in a moment.
    pub(super) fn have_waiting(&self) -> bool {
        self.buckets.values().any(Bucket::has_waiting)
    }

    /// Whether plans must be made anew before more is read.
    pub(super) fn are_unsettled(&self) -> bool {
        self.unsettled
    }

    /// A record of a bucket came. Returns the lanes that it must be [handed](Self::hand) to now.
    pub(super) fn pass(
        &mut self,
        number: i32,
        (offset, bytes): (i64, usize),
        owner: Option<&LaneOf<'_>>,
    ) -> Vec<DrainKey> {
        let Some(bucket) = self.buckets.get_mut(&number) else {
            return Vec::new();
        };
        let takers = bucket.pass(offset, bytes, owner);
        self.unsettled |= bucket.turn_is_over();
        takers
    }

    /// Hands a record to a lane.
    pub(super) fn hand(&mut self, key: DrainKey, run: ParkedRun) {
        let is_reference = matches!(run.body, ParkedBody::Reference);
        if let Some(bucket) = self.home(key) {
            let rests = bucket.hand(key, run);
            self.unsettled |= rests;
        }
        if is_reference && !self.references.contains(&key) {
            self.references.push_back(key);
        }
    }

    /// Whether some lane may wait for an event that was parked by its place.
    pub(super) fn has_references(&self) -> bool {
        !self.references.is_empty()
    }

    /// The next event that was parked by its place and must be fetched, and the lane that waits for it.
    pub(super) fn next_reference(&mut self) -> Option<(DrainKey, Wanted)> {
        loop {
            let key = *self.references.front()?;
            let lane = self.home(key).and_then(|bucket| bucket.lane_mut(key));
            if let Some(wanted) = lane.and_then(|lane| lane.reference()) {
                return Some((key, wanted));
            }
            self.references.pop_front();
        }
    }

    /// What was found at the place of an event. While that is not known, other lanes come first.
    pub(super) fn fetched(&mut self, key: DrainKey, offset: i64, found: Found) {
        self.references.rotate_left(1.min(self.references.len()));
        let lane = self.home(key).and_then(|bucket| bucket.lane_mut(key));
        if let Some(lane) = lane {
            self.unsettled |= lane.fetched(offset, found);
        }
    }

    /// The buckets that are read, by number.
    pub(super) fn read(&mut self) -> impl Iterator<Item = (i32, &mut Bucket)> {
        let buckets = self.buckets.iter_mut();
        buckets
            .filter(|(_, bucket)| bucket.at().is_some())
            .map(|(number, bucket)| (*number, bucket))
    }

    /// Leaves all buckets that nobody takes records from. Returns them.
    pub(super) fn leave_unwanted(&mut self) -> Vec<i32> {
        let unwanted = self.read().filter(|(_, bucket)| !bucket.is_wanted());
        unwanted
            .map(|(number, bucket)| {
                bucket.leave();
                number
            })
            .collect()
    }

    /// Nothing is read any more, until it is planned anew.
    pub(super) fn leave_all(&mut self) {
        self.read().for_each(|(_, bucket)| bucket.leave());
    }

    /// The range of a bucket's log. Returns whether the bucket must be read anew.
    pub(super) fn has_range(&mut self, number: i32, log_start: i64, end: i64) -> bool {
        let bucket = self.buckets.get_mut(&number);
        bucket.is_some_and(|bucket| bucket.has_range(log_start, end))
    }

    /// Somebody asked where a bucket ends.
    pub(super) fn answer(&mut self, answer: EndAnswer) {
        if let Some(outbox) = self.outbox(answer.shard) {
            outbox.ends.push_back(answer);
        }
    }

    /// Notes which lanes have something to tell, and forgets buckets without lanes.
    pub(super) fn settle(&mut self, now: Instant) {
        for bucket in self.buckets.values_mut() {
            for key in bucket.list(now) {
                let index = usize::try_from(key.shard).unwrap_or(usize::MAX);
                if let Some(outbox) = self.outboxes.get_mut(index) {
                    outbox.lanes.push_back(key);
                }
            }
        }
        self.buckets.retain(|_, bucket| !bucket.is_empty());
    }

    /// Whether a shard has not taken all that it is to be told.
    pub(super) fn have_untold(&self) -> bool {
        let mut outboxes = self.outboxes.iter();
        outboxes.any(|outbox| !outbox.ends.is_empty() || !outbox.lanes.is_empty())
    }

    /// What a shard is told next.
    pub(super) fn tell(&mut self, shard: u32) -> Option<Read> {
        if let Some(answer) = self.outbox(shard)?.ends.pop_front() {
            return Some(Read::Bucket {
                ticket: answer.ticket,
                end: answer.end,
            });
        }
        loop {
            let key = *self.outbox(shard)?.lanes.front()?;
            if let Some(read) = self.home(key).and_then(|bucket| bucket.tell(key)) {
                return Some(read);
            }
            self.outbox(shard)?.lanes.pop_front();
        }
    }

    fn home(&mut self, key: DrainKey) -> Option<&mut Bucket> {
        let number = self.homes.get(&key)?;
        self.buckets.get_mut(number)
    }

    fn outbox(&mut self, shard: u32) -> Option<&mut Outbox> {
        self.outboxes.get_mut(usize::try_from(shard).ok()?)
    }
}
