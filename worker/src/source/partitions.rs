//! The partitions this worker owns, and what the shards are told about them.
//!
//! Owns the table of partitions: *running* ones have a slot, a shard and a place in the book of
//! commits; *waiting* ones are assigned, but where they start is not known yet, and their records are
//! thrown away. A change of ownership is complete, with all messages said, when a method returns.
//! Does not talk to Kafka.

mod commits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::sync::mpsc::Sender;

use super::budget::Usage;
use super::bytes::WorkerBytes;
use super::commit::FrontierBook;
use super::hearing::Hearing;
use super::inbox::{Assigned, PartitionId, Progress, ShardMessage};
use super::lease::Lease;
use super::note::CommitNote;
use super::resolve::Resolved;
use super::shards::Outboxes;
use super::start::{Loss, Start, TopicDemand};
use super::take::{Batch, Place};
use super::topics::TopicId;
use crate::report::{PartitionReport, SourceReport};

/// Everything that a rebalance changes.
#[derive(Debug)]
pub(super) struct Ownership {
    /// What the targets want, by topic.
    pub(super) demands: BTreeMap<String, TopicDemand>,
    /// Which frontiers are committed.
    pub(super) book: FrontierBook,
    /// The way to the shards.
    pub(super) outboxes: Outboxes,
    /// Counters of the report; its partitions are filled in when somebody asks.
    pub(super) counters: SourceReport,
    /// Whether the group is still heard.
    pub(super) hearing: Hearing,
    running: BTreeMap<u32, Running>,
    waiting: BTreeMap<PartitionId, Option<TopicId>>,
    slots: FxHashMap<Arc<str>, Vec<Option<u32>>>,
    next_slot: u32,
    bytes: Arc<WorkerBytes>,
    lease: Arc<Lease>,
    /// When the commit in flight was sent, since boot.
    sent_at: Duration,
}

/// A partition whose records go to a shard.
#[derive(Debug)]
pub(super) struct Running {
    /// Which one.
    pub(super) id: PartitionId,
    /// What its commits say, but for epoch and configuration: those are its predecessor's.
    pub(super) note: CommitNote,
    /// Where it started.
    pub(super) start: Start,
    /// The next offset to be read.
    pub(super) next: i64,
    /// The end of its log when it was assigned.
    pub(super) log_end: i64,
    /// Whether reading is paused.
    pub(super) paused: bool,
    shard: usize,
    charged: i64,
    progress: Arc<Progress>,
}

impl Running {
    /// Where its shard says that it should have started.
    pub(super) fn wanted_start(&self) -> Option<i64> {
        self.progress.wanted_start()
    }

    /// Whether a record was handed over since it was assigned.
    pub(super) fn has_read(&self) -> bool {
        self.charged > 0
    }
}

impl Ownership {
    pub(super) fn new(
        shards: Vec<Sender<ShardMessage>>,
        bytes: Arc<WorkerBytes>,
        lease: Lease,
        hearing: Hearing,
    ) -> Self {
        Self {
            demands: BTreeMap::new(),
            book: FrontierBook::default(),
            outboxes: Outboxes::new(shards),
            counters: SourceReport::default(),
            hearing,
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            slots: FxHashMap::default(),
            next_slot: 0,
            bytes,
            lease: Arc::new(lease),
            sent_at: Duration::ZERO,
        }
    }

    /// A partition's start is known: gives it a slot and a shard, and tells the shard.
    pub(super) fn run(&mut self, resolved: Resolved) {
        let Resolved {
            id,
            start,
            started_by,
            log_end,
            committed,
            note,
        } = resolved;
        self.waiting.remove(&id);
        if let Some(loss) = start.lost {
            self.count_loss(&id, loss);
        }
        let slot = self.next_slot;
        self.next_slot += 1;
        let shard = self.outboxes.place();
        let progress = Arc::new(Progress::new(
            start.offset,
            self.bytes.clone(),
            self.lease.clone(),
        ));
        self.book.begin(slot, committed);
        self.set_slot(&id, Some(slot));
        tracing::info!(partition = %id, offset = start.offset, "partition assigned");
        let assigned = Assigned {
            slot,
            partition: id.clone(),
            topic_id: note.topic_id,
            epoch: note.epoch,
            cfg: note.cfg,
            start: start.offset,
            started_by,
            lane_starts: start.lane_starts.clone(),
            progress: progress.clone(),
        };
        self.outboxes.say(shard, ShardMessage::Assigned(assigned));
        let running = Running {
            id,
            note,
            next: start.offset,
            start,
            log_end,
            paused: false,
            shard,
            charged: 0,
            progress,
        };
        self.running.insert(slot, running);
    }

    /// A partition is assigned, but where it starts is not known.
    pub(super) fn wait(&mut self, id: PartitionId, last_topic_id: Option<TopicId>) {
        self.waiting.insert(id, last_topic_id);
    }

    /// The partitions whose start is not known, with the topic's id when it was last read.
    pub(super) fn waiting(&self) -> &BTreeMap<PartitionId, Option<TopicId>> {
        &self.waiting
    }

    /// The running partitions by slot.
    pub(super) fn running(&self) -> &BTreeMap<u32, Running> {
        &self.running
    }

    /// The slots of those of the partitions that are running; forgets those that wait.
    pub(super) fn leave(&mut self, ids: &[PartitionId]) -> Vec<u32> {
        for id in ids {
            self.waiting.remove(id);
        }
        ids.iter()
            .filter_map(|id| self.slot_of(&id.topic, id.partition))
            .collect()
    }

    /// Every partition, running or waiting.
    pub(super) fn all(&self) -> Vec<PartitionId> {
        let running = self.running.values().map(|partition| &partition.id);
        running.chain(self.waiting.keys()).cloned().collect()
    }

    /// Asks the shards to let slots go and waits for them, until `deadline` at the latest.
    pub(super) fn ask_back(&mut self, slots: &[u32], grace: Instant, deadline: Instant) {
        let by_shard = self.by_shard(slots);
        if !self.outboxes.revoke(by_shard, grace, deadline) {
            tracing::warn!(
                partitions = slots.len(),
                "a shard did not let its partitions go in time; its last deliveries may be repeated"
            );
        }
    }

    /// Forgets slots that their shards have let go.
    pub(super) fn forget(&mut self, slots: &[u32]) {
        for slot in slots {
            self.book.end(*slot);
            if let Some(partition) = self.running.remove(slot) {
                tracing::info!(partition = %partition.id, "partition let go");
                self.outboxes.displace(partition.shard);
                self.set_slot(&partition.id, None);
            }
        }
    }

    /// Slots are gone already: tells their shards and forgets them.
    pub(super) fn lose(&mut self, slots: &[u32]) {
        for (shard, slots) in self.by_shard(slots) {
            self.outboxes.say(shard, ShardMessage::Lost { slots });
        }
        self.forget(slots);
    }

    /// Where a record of a partition goes; none when it is not wanted. `cap` is what a partition may
    /// hold.
    pub(super) fn place(
        &self,
        topic: &str,
        partition: i32,
        cap: impl FnOnce(u32) -> i64,
    ) -> Option<Place> {
        let slot = self.slot_of(topic, partition)?;
        let partition = self.running.get(&slot)?;
        Some(Place {
            slot,
            next: partition.next,
            room: cap(slot).saturating_sub(partition.progress.in_flight_bytes()),
        })
    }

    /// Hands records to their shards: one message a shard. Records of a slot that has gone since they
    /// were read are dropped; whoever owns the partition now reads them.
    pub(super) fn deliver(&mut self, batch: Batch) {
        let mut by_shard: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for run in batch.into_runs() {
            let Some(partition) = self.running.get_mut(&run.slot) else {
                continue;
            };
            partition.next = run.next;
            partition.progress.charge(run.cost);
            partition.charged += i64::try_from(run.cost).unwrap_or(i64::MAX);
            self.counters.records_read += run.records.len() as u64;
            self.counters.bytes_read += run.bytes as u64;
            by_shard
                .entry(partition.shard)
                .or_default()
                .push((run.slot, run.records.finish()));
        }
        for (shard, records) in by_shard {
            self.outboxes.say(shard, ShardMessage::Records(records));
        }
    }

    /// The log of a slot has moved on to `position` without records.
    pub(super) fn advance(&mut self, slot: u32, position: i64) {
        if let Some(partition) = self.running.get_mut(&slot)
            && position > partition.next
        {
            partition.next = position;
            let message = ShardMessage::Position { slot, position };
            self.outboxes.say(partition.shard, message);
        }
    }

    /// How much of the budget each running partition holds, in slot order. `log_end` tells what can
    /// be read.
    pub(super) fn usages(&self, log_end: impl Fn(&Running) -> i64) -> Vec<Usage> {
        self.running
            .iter()
            .map(|(slot, partition)| {
                let load = partition.progress.load();
                Usage {
                    slot: *slot,
                    load,
                    charged: partition.charged,
                    // The question is only asked of those without work: it takes a lock.
                    hungry: load.held == 0 && partition.next < log_end(partition),
                }
            })
            .collect()
    }

    /// What the consumer thread tells about itself. `log_end` is the end of a log, as far as it is
    /// known.
    pub(super) fn report(&self, log_end: impl Fn(&PartitionId) -> Option<i64>) -> SourceReport {
        let mut report = self.counters.clone();
        report.bytes_in_flight = u64::try_from(self.bytes.load().held).unwrap_or(0);
        report.partitions = self
            .running
            .iter()
            .map(|(slot, partition)| PartitionReport {
                topic: partition.id.topic.clone(),
                partition: partition.id.partition,
                position: partition.next,
                committed: self.book.committed(*slot),
                lag: log_end(&partition.id).map(|end| (end - partition.next).max(0)),
                paused: partition.paused,
                lacks: partition.progress.lacked(),
            })
            .collect();
        report.partitions.sort_by(|one, other| {
            (&one.topic, one.partition).cmp(&(&other.topic, other.partition))
        });
        report
    }

    /// Marks running partitions paused or not and returns them.
    pub(super) fn mark_paused(&mut self, slots: &[u32], paused: bool) -> Vec<PartitionId> {
        let mut changed = Vec::new();
        for slot in slots {
            if let Some(partition) = self.running.get_mut(slot) {
                partition.paused = paused;
                partition.progress.set_paused(paused);
                changed.push(partition.id.clone());
            }
        }
        changed
    }

    /// Events that are gone without having been read: counted, and never silent.
    pub(super) fn count_loss(&mut self, id: &PartitionId, loss: Loss) {
        tracing::error!(
            partition = %id,
            cause = loss.cause.as_str(),
            offsets = loss.offsets,
            "events were lost before they were read"
        );
        let lost = &mut self.counters.events_lost;
        *lost.entry(loss.cause.as_str()).or_default() += loss.offsets;
    }

    fn by_shard(&self, slots: &[u32]) -> Vec<(usize, Vec<u32>)> {
        let mut by_shard: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for slot in slots.iter().collect::<BTreeSet<_>>() {
            if let Some(partition) = self.running.get(slot) {
                by_shard.entry(partition.shard).or_default().push(*slot);
            }
        }
        by_shard.into_iter().collect()
    }

    fn slot_of(&self, topic: &str, partition: i32) -> Option<u32> {
        let index = usize::try_from(partition).ok()?;
        *self.slots.get(topic)?.get(index)?
    }

    fn set_slot(&mut self, id: &PartitionId, slot: Option<u32>) {
        let Ok(index) = usize::try_from(id.partition) else {
            return;
        };
        let slots = self.slots.entry(id.topic.clone()).or_default();
        if slots.len() <= index {
            slots.resize(index + 1, None);
        }
        if let Some(place) = slots.get_mut(index) {
            *place = slot;
        }
    }
}
