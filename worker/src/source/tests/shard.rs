//! A shard that keeps a log, and does with its records what a test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

use parcelhook_crds::lane::Epoch;
use tokio::sync::mpsc::Receiver;

use crate::source::record::Record;
use crate::source::{Assigned, Claim, Progress, ShardMessage, StartedBy};

/// What a shard does with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Everything is done at once.
    Deliver,
    /// Nothing is done.
    Hold,
    /// Nothing of one partition is done, everything of the others.
    HoldPartition(i32),
    /// Nothing is done until it is revoked.
    FinishWhenRevoked,
    /// Nothing is done, and revocations are not answered.
    NeverAnswer,
    /// Everything is done, but partitions are never claimed.
    NeverClaim,
    /// Partitions are claimed at once, and everything is done.
    ClaimNow,
    /// Partitions without a commit begin at an offset that was left elsewhere.
    BeginAt(i64),
}

/// What a shard has seen.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) records: Vec<((Arc<str>, i32), Record)>,
    /// Epochs found in the group's commits, by partition.
    pub(super) found: Vec<(i32, Option<Epoch>)>,
    /// Commits that were told: partition, epoch, offset.
    pub(super) told: Vec<(i32, Epoch, i64)>,
}

impl Log {
    pub(super) fn offsets(&self, topic: &str, partition: i32) -> Vec<i64> {
        self.records
            .iter()
            .filter(|((name, number), _)| &**name == topic && *number == partition)
            .map(|(_, record)| record.offset)
            .collect()
    }
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) log: Mutex<Log>,
    pub(super) grew: Condvar,
    pub(super) habit: Mutex<Habit>,
}

/// The other end of a shard's channel.
pub(super) struct Shard {
    seen: Arc<Seen>,
    slots: BTreeMap<u32, Slot>,
}

struct Slot {
    name: (Arc<str>, i32),
    progress: Arc<Progress>,
    next: i64,
    held: usize,
}

impl Shard {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        Self {
            seen,
            slots: BTreeMap::new(),
        }
    }

    pub(super) fn run(mut self, mut inbox: Receiver<ShardMessage>) {
        let mut unanswered = Vec::new();
        while let Some(message) = inbox.blocking_recv() {
            let habit = *self.seen.habit.lock().unwrap();
            match message {
                ShardMessage::Assigned(assigned) => self.assigned(assigned, habit),
                ShardMessage::Committed {
                    slot,
                    epoch,
                    offset,
                    ..
                } => self.committed(slot, epoch, offset),
                ShardMessage::Records(records) => {
                    for (slot, records) in records {
                        self.records(slot, records);
                    }
                    self.finish(habit);
                }
                ShardMessage::Position { slot, position } => {
                    self.slots.get_mut(&slot).unwrap().next = position;
                    self.finish(habit);
                }
                ShardMessage::Revoked(revoked) if habit == Habit::NeverAnswer => {
                    unanswered.push(revoked);
                }
                ShardMessage::Revoked(revoked) => {
                    if habit == Habit::FinishWhenRevoked {
                        self.finish(Habit::Deliver);
                    }
                    for slot in &revoked.slots {
                        self.slots.remove(slot).unwrap();
                    }
                    let _ = revoked.done.send(());
                }
                ShardMessage::Lost { slots } => {
                    for slot in &slots {
                        self.slots.remove(slot).unwrap();
                    }
                }
            }
        }
    }

    fn assigned(&mut self, assigned: Assigned, habit: Habit) {
        let mut log = self.seen.log.lock().unwrap();
        log.found
            .push((assigned.partition.partition, assigned.epoch));
        let epoch = Epoch {
            n: assigned.epoch.map_or(0, |epoch| epoch.n) + 1,
            random: u64::from(assigned.slot),
        };
        match habit {
            Habit::NeverClaim => {}
            Habit::ClaimNow => assigned.progress.own(epoch, assigned.cfg, Claim::Now),
            Habit::BeginAt(frontier) if assigned.started_by == StartedBy::StartFrom => {
                assigned.progress.begin_at(frontier);
            }
            Habit::Deliver
            | Habit::Hold
            | Habit::HoldPartition(_)
            | Habit::FinishWhenRevoked
            | Habit::BeginAt(_)
            | Habit::NeverAnswer => {
                assigned
                    .progress
                    .own(epoch, assigned.cfg, Claim::WithNextCommit)
            }
        }
        drop(log);
        let slot = Slot {
            name: (assigned.partition.topic, assigned.partition.partition),
            progress: assigned.progress,
            next: assigned.start,
            held: 0,
        };
        assert!(self.slots.insert(assigned.slot, slot).is_none());
    }

    fn committed(&mut self, slot: u32, epoch: Epoch, offset: i64) {
        let slot = self.slots.get(&slot).expect("a commit of a live slot");
        let mut log = self.seen.log.lock().unwrap();
        log.told.push((slot.name.1, epoch, offset));
        self.seen.grew.notify_all();
        // One question more than the first answer, which nobody asked for.
        if log.told.len() == 1 {
            slot.progress.tell_committed_from(offset + 5);
        }
    }

    fn records(&mut self, slot: u32, records: Vec<Record>) {
        let slot = self.slots.get_mut(&slot).expect("records of a live slot");
        let mut log = self.seen.log.lock().unwrap();
        for record in records {
            assert!(record.offset >= slot.next, "out of order");
            slot.next = record.offset + 1;
            slot.held += record.cost();
            log.records.push((slot.name.clone(), record));
        }
        self.seen.grew.notify_all();
    }

    fn finish(&mut self, habit: Habit) {
        for slot in self.slots.values_mut() {
            let done = match habit {
                Habit::Deliver | Habit::NeverClaim | Habit::ClaimNow | Habit::BeginAt(_) => true,
                Habit::HoldPartition(partition) => slot.name.1 != partition,
                Habit::Hold | Habit::FinishWhenRevoked | Habit::NeverAnswer => false,
            };
            if done {
                slot.progress.raise_frontier(slot.next);
                slot.progress.release(std::mem::take(&mut slot.held));
            }
        }
    }
}
