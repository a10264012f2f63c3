//! Parked events on their way back: what a lane asks of the reader, and what the reader sends.
//!
//! Owns nothing: the machine has the events that were read, [`super::recovering`] says how many lanes
//! of a target may read at once.

use std::time::Instant;

use super::drained::TURN;
use super::machine::DrainedRun;
use super::outlet::Out;
use super::shard::Shard;
use super::{LaneKey, ReadBack};
use crate::park::{DrainKey, ParkedBody, ParkedRun, Read, Scan};

impl<P> Shard<P> {
    /// Begins to read the lane's bucket, unless too many lanes of the target do, or the target must be
    /// left alone. Returns whether it began.
    pub(super) fn begin_drain(&mut self, key: LaneKey, now: Instant) -> bool {
        let shard = self.surroundings.shard;
        let ages = self.ages(key, now);
        let Some(lane) = self
            .partitions
            .get_mut(&key.slot)
            .and_then(|partition| partition.lane_mut(key))
        else {
            return false;
        };
        let Some(target) = self.targets.get_mut(&lane.uid) else {
            return false;
        };
        let backlog = lane.machine.backlog();
        let is_overdue = backlog.is_some_and(|backlog| backlog.is_overdue(ages));
        // What is only given up does not trouble the target.
        if let Some(until) = target.of.shared.held(now).filter(|_| !is_overdue) {
            self.wake_at(key, until);
            return false;
        }
        if !target.recovering.admits(key) {
            self.drained.held_up(key);
            return false;
        }
        if !self.drained.admits(key) {
            target.recovering.held_up(key);
            return false;
        }
        let Some((away, (drain, from, room))) = lane.away.as_mut().zip(lane.machine.begin_drain())
        else {
            return false;
        };
        target.recovering.began(key);
        self.drained.began(key);
        away.drain = Some(drain);
        away.room = room;
        away.turn = Some(now);
        self.out.push_back(Out::Scan(Scan::Begin {
            key: drain_key(shard, key, drain),
            lane: away.address.clone(),
            from,
            room,
        }));
        self.share(0, room);
        true
    }

    /// Lets the reader send more.
    pub(super) fn read_more(&mut self, key: LaneKey) {
        let shard = self.surroundings.shard;
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let most = self.drained.most(partition.room(key));
        let lane = partition.lane_mut(key);
        if let Some((drain, room)) = lane.and_then(|lane| lane.machine.more(most)) {
            let key = drain_key(shard, key, drain);
            self.out.push_back(Out::Scan(Scan::More { key, room }));
        }
        self.count_room(key);
    }

    /// Counts what the lane holds of what was read back, or may hold.
    fn count_room(&mut self, key: LaneKey) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let had = partition.room(key);
        let most = self.drained.most(had);
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let room = lane.machine.backlog().map_or(0, |it| it.claim(most));
        if let Some(away) = lane.away.as_mut() {
            away.room = room;
            self.share(had, room);
        }
    }

    /// A drained transaction was delivered. A lane that has had its turn gives way to those that wait;
    /// its other events stay where they are.
    pub(super) fn give_way(&mut self, key: LaneKey, now: Instant) {
        let waited_for = self.drained.is_waited_for();
        let Some(lane) = self
            .partitions
            .get_mut(&key.slot)
            .and_then(|partition| partition.lane_mut(key))
        else {
            return;
        };
        let target = self.targets.get(&lane.uid);
        let siblings_wait = target.is_some_and(|target| target.recovering.is_waited_for());
        let turn = lane.away.as_ref().and_then(|away| away.turn);
        let had_its_turn = turn.is_some_and(|began| now >= began + TURN);
        if had_its_turn && (waited_for || siblings_wait) {
            lane.machine.rest();
            self.follow_drain(key);
        } else {
            self.count_room(key);
        }
    }

    /// Tells the reader when a lane has stopped reading.
    pub(super) fn follow_drain(&mut self, key: LaneKey) {
        let shard = self.surroundings.shard;
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        let uid = lane.uid;
        let reads = lane.machine.backlog().and_then(|backlog| backlog.drain());
        let Some(away) = lane.away.as_mut() else {
            return;
        };
        let Some(drain) = away.drain.filter(|drain| Some(*drain) != reads) else {
            return;
        };
        away.drain = reads;
        let room = std::mem::take(&mut away.room);
        let key = drain_key(shard, key, drain);
        self.out.push_back(Out::Scan(Scan::End { key }));
        self.drain_is_over(uid, room);
    }

    /// A lane of the target reads no more, and holds nothing of its `room`: others may.
    pub(super) fn drain_is_over(&mut self, uid: uuid::Uuid, room: usize) {
        if let Some(target) = self.targets.get_mut(&uid) {
            let waiting = target.recovering.ended();
            waiting.into_iter().for_each(|lane| self.stir(lane));
        }
        self.share(room, 0);
    }

    /// A lane that could hold `from` bytes of what is read back can hold `to`.
    fn share(&mut self, from: usize, to: usize) {
        for lane in self.drained.changed(from, to) {
            self.stir(lane);
        }
    }

    /// Asks those again that wait to drain, as far as there is room. A lane that was asked and had other
    /// things to do has not passed its place on.
    pub(super) fn ask_waiting(&mut self) {
        let targets = self.targets.values_mut();
        let mut waiting: Vec<LaneKey> =
            targets.flat_map(|it| it.recovering.name_others()).collect();
        waiting.extend(self.drained.name_others());
        waiting.into_iter().for_each(|lane| self.stir(lane));
    }

    /// The reader sent something.
    pub fn read(&mut self, read: Read, now: Instant) {
        match read {
            Read::Drained {
                key,
                runs,
                scanned_to,
            } => {
                let lane_key = LaneKey::at(key.slot, key.lane);
                let runs = runs.into_iter().map(drained).collect();
                if let Some(lane) = self.lane_mut(lane_key) {
                    lane.machine.drained(key.drain, runs, scanned_to);
                    self.count_room(lane_key);
                    self.count_lost(lane_key);
                    self.stir(lane_key);
                }
            }
            Read::Cut { key, log_start } => self.was_cut(key, log_start, now),
            Read::Bucket { ticket, end } => self.bucket_ends(ticket, end, now),
        }
    }

    /// Retention took the beginning of what a lane wanted to read. Usually that is what others had
    /// parked; it is loss when this lane's oldest event is older than what the topic keeps.
    fn was_cut(&mut self, key: DrainKey, log_start: i64, now: Instant) {
        let unix = (self.surroundings.unix_millis)(now);
        let retention = self.surroundings.retention;
        let lane_key = LaneKey::at(key.slot, key.lane);
        let Some(lane) = self.lane_mut(lane_key) else {
            return;
        };
        let oldest = lane
            .machine
            .backlog()
            .and_then(|backlog| backlog.oldest_parked_at);
        let age = oldest.map_or(0, |at| unix.saturating_sub(at));
        let lost = u128::try_from(age).is_ok_and(|age| age >= retention.as_millis());
        let uid = lane.uid;
        lane.machine.cut(key.drain, log_start, lost);
        if lost {
            tracing::error!(
                target = %uid,
                log_start,
                "parked events were lost: the retry topic's retention took them first"
            );
        }
        self.stir(lane_key);
    }
}

pub(super) fn drain_key(shard: u32, key: LaneKey, drain: u32) -> DrainKey {
    DrainKey {
        shard,
        slot: key.slot,
        lane: key.seat(),
        drain,
    }
}

fn drained(run: ParkedRun) -> DrainedRun<ReadBack> {
    let size = run.size();
    let events = match run.body {
        ParkedBody::Events(events) => events.into_iter().map(ReadBack::Event).collect(),
        ParkedBody::Fetched(event) => vec![ReadBack::Fetched(event)],
        // The reader has looked for what a reference names.
        ParkedBody::Gone | ParkedBody::Reference => vec![ReadBack::Gone(run.offsets.0)],
    };
    DrainedRun {
        offset: run.offset,
        parked_at: run.parked_at,
        incarnation: run.incarnation,
        prev: run.prev,
        size,
        events,
    }
}
