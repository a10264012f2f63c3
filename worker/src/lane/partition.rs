//! One source partition on its shard: its ledger and its lanes.
//!
//! Owns the records that wait and who wants them. A record is offered to each lane once, when it
//! arrives; the lanes then share the ledger's one copy. Keeps the partition's [`Progress`] true: the
//! frontier only over what every lane is done with, the bytes down to the last one freed. Which of its
//! lanes have something to do is looked up in `looks`; what comes before it is owned waits in `early`.

mod early;
mod looks;

use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::compiled::{CompiledTarget, Source};
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::commits::Committed;
use super::gate::{Gates, Held};
use super::own::Own;
use super::stamp::{Stamp, Stamps};
use super::takeover::Predecessor;
use super::taking_over::UnderWay;
use super::{Lane, LaneKey};
use crate::source::ledger::{Ledger, Seq};
use crate::source::record::Record;
use crate::source::{Assigned, PartitionId, Progress, StartedBy, TopicId};
use crate::transaction::selection::Selection;
use early::Early;

/// See the module.
#[derive(Debug)]
pub struct Partition {
    /// Topic and partition.
    pub id: PartitionId,
    /// The topic's id, when the cluster tells it.
    pub topic_id: Option<TopicId>,
    /// How its lanes' transactions are named and written.
    stamps: Stamps,
    slot: u32,
    ledger: Ledger,
    progress: Arc<Progress>,
    lanes: Vec<Option<Lane>>,
    /// Places that lanes have left.
    free: Vec<u32>,
    /// Lanes that take every record: a number is all that routing needs of them.
    takes_everything: u32,
    /// Lanes that are asked about every record.
    asked: Vec<u32>,
    /// Nothing new starts: the partition is being let go.
    pub closing: bool,
    /// The present ownership. None while the partition is taken over: nothing of it is sent or parked.
    pub own: Option<Own>,
    /// The take-over that must end before the partition is owned.
    pub under_way: Option<UnderWay>,
    /// What decided where it starts.
    pub started_by: StartedBy,
    /// What the group's commit said when the partition was assigned.
    pub predecessor: Predecessor,
    /// A write was refused: nothing is written before that.
    pub write_again: Option<Instant>,
    /// Whether a lane may be one whose target is not known.
    pub has_orphans: bool,
    /// Whether it was owned before: its lanes may have sent something.
    pub has_run: bool,
    /// When all that is written of it is written again.
    pub renew_at: Option<Instant>,
    /// The group's commit as far as it was told.
    pub(super) committed: Committed,
    /// What a new configuration brings waits for a commit.
    pub gates: Gates,
    /// What came before the partition was owned.
    early: Early,
    orders: u64,
}

impl Partition {
    /// A partition as it was assigned, without lanes.
    pub fn new(assigned: Assigned) -> Self {
        Self {
            id: assigned.partition,
            topic_id: assigned.topic_id,
            stamps: Stamps::default(),
            slot: assigned.slot,
            ledger: Ledger::new(assigned.start),
            progress: assigned.progress,
            lanes: Vec::new(),
            free: Vec::new(),
            takes_everything: 0,
            asked: Vec::new(),
            closing: false,
            own: None,
            under_way: None,
            started_by: assigned.started_by,
            predecessor: Predecessor {
                epoch: assigned.epoch,
                cfg: assigned.cfg,
            },
            write_again: None,
            has_orphans: false,
            has_run: false,
            renew_at: None,
            committed: Committed::default(),
            gates: Gates::default(),
            early: Early::default(),
            orders: 0,
        }
    }

    /// How the transactions of a target's lane on this partition are named and written.
    pub fn stamp(&mut self, target: &CompiledTarget, source: &Source) -> Stamp {
        self.stamps.of(target, source, &self.id, self.topic_id)
    }

    /// The stamp of a lane whose target is not known. Nothing is sent under it.
    pub fn blank_stamp(&self, uid: Uuid, selection: &Selection) -> Stamp {
        Stamps::blank(uid, selection, &self.id, self.topic_id)
    }

    /// Its number in all messages.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What is shared with the consumer thread.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The configuration under which it runs on a worker that has this one: without any, its
    /// predecessor's is handed on.
    pub fn cfg(&self, revision: Option<Revision>) -> Option<Revision> {
        revision.max(self.predecessor.cfg)
    }

    /// Whether its lanes may send and park.
    pub fn may_act(&self) -> bool {
        !self.closing && self.own.is_some()
    }

    /// The number of the next order.
    pub fn number(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    /// Orders up to this number were given.
    pub(super) fn numbered_to(&mut self, number: u64) {
        self.orders = self.orders.max(number);
    }

    /// Everything below this offset is done.
    pub fn frontier(&self) -> i64 {
        self.ledger.frontier()
    }

    /// Keys of a target's lanes.
    pub fn keys_of(&self, uid: Uuid) -> Vec<LaneKey> {
        self.lanes()
            .filter(|(_, lane)| lane.uid == uid)
            .map(|(key, _)| key)
            .collect()
    }

    /// Whether more than that many bytes wait for a lane.
    pub fn holds_more_than(&self, lane: &Lane, bytes: usize) -> bool {
        let mut held = 0;
        self.records(lane).any(|record| {
            held += record.size();
            held > bytes
        })
    }

    /// Offers records to the lanes, in offset order. Before the partition is owned they only wait.
    pub fn take(&mut self, records: Vec<Record>) {
        if self.own.is_none() {
            return self.early.take(records);
        }
        let mut freed = 0;
        for record in records {
            let seq = self.ledger.next();
            let mut wanted_by = self.takes_everything;
            for index in &self.asked {
                let Some(lane) = self.lanes.get_mut(*index as usize).and_then(Option::as_mut)
                else {
                    continue;
                };
                if lane.wants(&record) {
                    lane.queue.push(seq);
                    wanted_by += 1;
                }
            }
            if wanted_by == 0 {
                freed += record.cost();
                self.ledger.pass(record.offset + 1);
            } else {
                self.ledger.push(record, wanted_by);
            }
        }
        self.publish(freed);
    }

    /// The log moved on without records that anybody could read.
    pub fn pass(&mut self, position: i64) {
        if self.own.is_none() {
            return self.early.pass(position);
        }
        self.ledger.pass(position);
        self.publish(0);
    }

    /// The partition is owned and its lanes are known: offers them what came before.
    pub fn take_early(&mut self) {
        let (records, position) = std::mem::take(&mut self.early).into_parts();
        self.take(records);
        if let Some(position) = position {
            self.pass(position);
        }
    }

    /// The lane is done with all that waits for it, and wants no more.
    pub fn discard(&mut self, index: u32) {
        let lane = self.lanes.get(index as usize).and_then(Option::as_ref);
        let pending = lane.map_or(0, |lane| self.pending(lane));
        self.done(index, u32::try_from(pending).unwrap_or(u32::MAX));
        self.sort_lanes();
    }

    /// The lane is done with its oldest `events`.
    pub fn done(&mut self, index: u32, events: u32) {
        let mut freed = 0;
        let end = self.ledger.next();
        if let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) {
            for _ in 0..events {
                if let Some(seq) = lane.queue.pop(end) {
                    freed += self.ledger.done(seq);
                }
            }
        }
        self.publish(freed);
    }

    /// Bytes of parked events that a lane counts for.
    pub fn room(&self, key: LaneKey) -> usize {
        let away = self.lane(key).and_then(|lane| lane.away.as_ref());
        away.map_or(0, |away| away.room)
    }

    /// Adds a lane for what is read from now on. [`Partition::sort_lanes`] must be called after it.
    pub fn add(&mut self, lane: Lane) {
        match self
            .free
            .pop()
            .and_then(|index| self.lanes.get_mut(index as usize))
        {
            Some(place) => *place = Some(lane),
            None => self.lanes.push(Some(lane)),
        }
    }

    /// Ends a lane. What it had not delivered counts as done.
    pub fn remove(&mut self, index: u32) -> Option<Lane> {
        let lane = self.lanes.get_mut(index as usize)?.take()?;
        self.free.push(index);
        let freed = lane
            .queue
            .iter(self.ledger.next())
            .map(|seq| self.ledger.done(seq))
            .sum();
        self.sort_lanes();
        self.publish(freed);
        Some(lane)
    }

    /// Must be called after a lane was added, or its filter, `from` or `ending` changed.
    pub fn sort_lanes(&mut self) {
        let (end, position) = (self.ledger.next(), self.ledger.position());
        self.takes_everything = 0;
        self.asked.clear();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some(lane) = lane else { continue };
            let all = !lane.ending && lane.filter.is_none() && lane.from <= position;
            if all && lane.queue.widen(end) {
                self.takes_everything += 1;
            } else {
                lane.queue.narrow(end);
                self.asked.push(index as u32);
            }
        }
    }

    /// The lane at a key, unless it has ended.
    pub fn lane(&self, key: LaneKey) -> Option<&Lane> {
        self.lanes
            .get(key.index as usize)?
            .as_ref()
            .filter(|lane| lane.id == key.id)
    }

    /// The lane at a key, unless it has ended.
    pub fn lane_mut(&mut self, key: LaneKey) -> Option<&mut Lane> {
        self.lanes
            .get_mut(key.index as usize)?
            .as_mut()
            .filter(|lane| lane.id == key.id)
    }

    /// All lanes.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneKey, &Lane)> {
        self.lanes.iter().enumerate().filter_map(|(index, lane)| {
            let lane = lane.as_ref()?;
            Some((
                LaneKey {
                    slot: self.slot,
                    index: index as u32,
                    id: lane.id,
                },
                lane,
            ))
        })
    }

    /// The lane is done with what waits behind its oldest `keep` events. Returns how many events that is.
    pub fn drop_behind(&mut self, index: u32, keep: u32) -> u64 {
        let end = self.ledger.next();
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else {
            return 0;
        };
        lane.queue.narrow(end);
        let dropped = lane.queue.truncate(keep as usize);
        let freed = dropped.iter().map(|seq| self.ledger.done(*seq)).sum();
        self.sort_lanes();
        self.publish(freed);
        dropped.len() as u64
    }

    /// Events of a lane that are not done.
    pub fn pending(&self, lane: &Lane) -> u64 {
        lane.queue.len(self.ledger.next())
    }

    /// Events of a lane that are not done and wait for no gate.
    pub fn waiting(&self, lane: &Lane) -> u64 {
        match lane.held {
            Held::Nothing => self.pending(lane),
            Held::Everything => 0,
            Held::Behind => self.waiting_seqs(lane).count() as u64,
        }
    }

    /// The records a lane is not done with and that wait for no gate, oldest first.
    pub fn records<'a>(&'a self, lane: &'a Lane) -> impl Iterator<Item = &'a Record> + Clone + 'a {
        self.waiting_seqs(lane)
            .filter_map(|seq| self.ledger.record(seq))
    }

    /// Offset of the oldest event that a lane is not done with; with none, the position.
    pub fn begins(&self, lane: &Lane) -> i64 {
        let oldest = lane.queue.front(self.ledger.next());
        let oldest = oldest.and_then(|seq| self.ledger.record(seq));
        oldest.map_or(self.position(), |record| record.offset)
    }

    fn waiting_seqs<'a>(&self, lane: &'a Lane) -> impl Iterator<Item = Seq> + Clone + 'a {
        let limit = self.limit(lane);
        let seqs = lane.queue.iter(self.ledger.next());
        seqs.take_while(move |seq| *seq < limit)
    }

    /// Seqs of the lane below this wait for no gate.
    fn limit(&self, lane: &Lane) -> Seq {
        match lane.held {
            Held::Nothing => Seq::MAX,
            Held::Everything => Seq::MIN,
            Held::Behind => self.gates.limit(lane.id).unwrap_or(Seq::MAX),
        }
    }

    /// Where reading stands: what a lane that begins now will see first.
    pub fn position(&self) -> i64 {
        self.ledger.position()
    }

    /// Where a queue of a new lane begins.
    pub fn end(&self) -> Seq {
        self.ledger.next()
    }

    fn publish(&self, freed: usize) {
        if freed > 0 {
            self.progress.release(freed);
        }
        self.progress.raise_frontier(self.ledger.frontier());
    }
}
