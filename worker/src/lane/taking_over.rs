//! Taking partitions over on a shard: carries out what [`super::takeover`] decides. What a partition does
//! once it is taken over is in [`super::inheriting`].

use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::lane::Epoch;
use parcelhook_crds::revision::Revision;

use super::LaneKey;
use super::absent::tell;
use super::matching::Targets;
use super::orders::write_terminator;
use super::outlet::Out;
use super::partition::Partition;
use super::shard::Shard;
use super::takeover::{InheritedLane, Predecessor, Step, Subject, TakeOver};
use crate::failpoint::{self, Failpoint};
use crate::park::{Refused, Scan, Ticket};
use crate::source::{Claim, StartedBy, random_bits};
use crate::state::{Ask, RowPlace, Told};

/// A take-over under way. Its orders are numbered from `base`, so that they are none of an earlier one.
#[derive(Debug)]
pub struct UnderWay {
    take_over: TakeOver,
    base: u64,
}

impl<P> Shard<P> {
    /// Begins to take over a partition that was assigned.
    pub(super) fn take_over(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let subject = subject(partition, &self.surroundings.group);
        let (take_over, steps) = TakeOver::begin(subject, partition.predecessor, self.revision);
        partition.under_way = Some(UnderWay {
            take_over,
            base: partition.number(),
        });
        self.perform(slot, steps, now);
    }

    /// The worker runs another configuration.
    pub(super) fn configured(&mut self, slot: u32, now: Instant) {
        let revision = self.revision;
        self.advance(slot, now, |take_over| take_over.configured(revision));
    }

    /// The producer was replaced: what it still had on its way may come late, so a partition with rows
    /// is taken over from itself, under a new epoch.
    pub(super) fn take_new_epoch(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let Some(own) = partition.own.take() else {
            return;
        };
        let lanes = partition.rows_for_new_epoch(&self.targets);
        if lanes.is_empty() && own.wants_terminator() {
            partition.own = Some(own);
            return;
        }
        let subject = subject(partition, &self.surroundings.group);
        let own = Predecessor {
            epoch: Some(own.epoch),
            cfg: partition.cfg(self.revision),
        };
        let (take_over, steps) = TakeOver::again(subject, own, lanes, random_bits());
        partition.under_way = Some(UnderWay {
            take_over,
            base: partition.number(),
        });
        self.perform(slot, steps, now);
    }

    /// The tail of the lanes topic told something.
    pub fn told(&mut self, told: Told, now: Instant) {
        match told {
            Told::Rows {
                slot,
                rows,
                highest,
                frontier,
            } => {
                if !self.begins_elsewhere(slot, frontier) {
                    self.advance(slot, now, |take_over| {
                        take_over.told(rows, highest, random_bits())
                    });
                }
            }
            Told::Stale { slot, keys } => self.sweep(slot, keys),
            Told::Recovered { target } => self.hinted(target, now),
        }
    }

    /// A partition without a commit begins where its last owner's terminator says: it is lost, and
    /// assigned anew from there. Says whether it does.
    fn begins_elsewhere(&self, slot: u32, frontier: Option<i64>) -> bool {
        let Some(partition) = self.partitions.get(&slot) else {
            return false;
        };
        match (partition.started_by, frontier) {
            (StartedBy::StartFrom, Some(frontier)) if frontier != partition.frontier() => {
                partition.progress().begin_at(frontier);
                true
            }
            (StartedBy::StartFrom | StartedBy::Commit | StartedBy::Terminator, _) => false,
        }
    }

    /// The reader told where a bucket ends.
    pub(super) fn bucket_ends(&mut self, ticket: Ticket, end: i64, now: Instant) {
        let number = self.number_of(ticket.slot, ticket.number);
        self.advance(ticket.slot, now, |take_over| {
            take_over.bucket_end(number, end)
        });
    }

    /// A commit was acked that carries the owner's epoch and that configuration.
    pub fn committed(
        &mut self,
        slot: u32,
        (epoch, cfg): (Epoch, Option<Revision>),
        offset: i64,
        now: Instant,
    ) {
        self.advance(slot, now, |take_over| take_over.committed(epoch, cfg));
        self.ask_for_stale(slot, epoch);
        self.open_gate(slot, offset, cfg, now);
        self.commit_told(slot, epoch, offset);
    }

    /// What became of an order that concerns a whole partition.
    pub(super) fn partition_produced(
        &mut self,
        slot: u32,
        number: u64,
        result: Result<i64, Refused>,
        now: Instant,
    ) {
        if self
            .partitions
            .get(&slot)
            .is_some_and(|partition| partition.own.is_none())
        {
            failpoint::reached(Failpoint::TakeoverRowsWritten);
        }
        let in_take_over = self.number_of(slot, number);
        self.advance(slot, now, |take_over| {
            take_over.produced(in_take_over, result, now, random_bits())
        });
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let Some(own) = partition.own.as_mut() else {
            return;
        };
        match result {
            Ok(_) if own.written_number(number) => self.settle_all(slot, now),
            Ok(_) => {}
            Err(_) => {
                if own.refused(number) {
                    let again = write_terminator(partition, &self.surroundings, now);
                    self.out.extend(again);
                }
            }
        }
    }

    pub(super) fn advance(
        &mut self,
        slot: u32,
        now: Instant,
        event: impl FnOnce(&mut TakeOver) -> Vec<Step>,
    ) {
        let under_way = self
            .partitions
            .get_mut(&slot)
            .and_then(|partition| partition.under_way.as_mut());
        if let Some(under_way) = under_way {
            let steps = event(&mut under_way.take_over);
            self.perform(slot, steps, now);
        }
    }

    fn number_of(&self, slot: u32, number: u64) -> u64 {
        let under_way = self
            .partitions
            .get(&slot)
            .and_then(|partition| partition.under_way.as_ref());
        // 0 is the number of nothing.
        under_way.map_or(0, |under_way| number.saturating_sub(under_way.base))
    }

    fn perform(&mut self, slot: u32, steps: Vec<Step>, now: Instant) {
        let shard = self.surroundings.shard;
        for step in steps {
            let Some(partition) = self.partitions.get_mut(&slot) else {
                return;
            };
            let base = partition.under_way.as_ref().map_or(0, |way| way.base);
            let ticket = |number| Ticket {
                slot,
                lane: None,
                number: base + number,
            };
            match step {
                Step::Lack(cfg) => {
                    tracing::warn!(
                        event = "partition.behind", partition = %partition.id, needs = %cfg,
                        has = self.revision.map(tracing::field::display),
                        "the partition waits: it was run with a newer configuration than this worker has"
                    );
                    partition.progress().lack(Some(cfg));
                }
                Step::Ask(epoch) => {
                    partition.progress().lack(None);
                    let place = place(partition);
                    self.out.push_back(Out::Ask(Ask::TakeOver {
                        shard,
                        slot,
                        place,
                        epoch,
                    }));
                }
                Step::Bucket { number, bucket } => {
                    let ticket = ticket(number);
                    self.out.push_back(Out::Scan(Scan::Bucket {
                        ticket,
                        shard,
                        bucket,
                    }));
                }
                Step::Write { number, order } => {
                    self.out.push_back(Out::Produce(ticket(number), order));
                }
                Step::Own(epoch, cfg, claim) => {
                    if claim == Claim::Now {
                        failpoint::reached(Failpoint::TakeoverBeforeCommit);
                    }
                    partition.progress().own(epoch, cfg, claim);
                }
                Step::Run(taken) => self.run(slot, taken, now),
            }
        }
        if let Some(partition) = self.partitions.get_mut(&slot) {
            partition.follow_numbers();
        }
    }
}

fn subject(partition: &Partition, group: &str) -> Subject {
    Subject {
        group: group.into(),
        place: place(partition),
        frontier: partition.frontier(),
    }
}

pub(super) fn place(partition: &Partition) -> RowPlace {
    RowPlace {
        source: partition.id.clone(),
        topic_id: partition.topic_id,
    }
}

impl Partition {
    /// The orders of the take-over count as the partition's.
    pub(super) fn follow_numbers(&mut self) {
        if let Some(under_way) = &self.under_way {
            let last = under_way.base + under_way.take_over.last_number();
            self.numbered_to(last);
        }
    }

    /// The rows of the lanes that are not live, which are written under a new epoch by the take-over.
    fn rows_for_new_epoch<P>(&mut self, targets: &Targets<P>) -> Vec<InheritedLane> {
        let topic = Arc::clone(&self.id.topic);
        let keys: Vec<LaneKey> = self.lanes().map(|(key, _)| key).collect();
        let mut rows = Vec::new();
        for key in keys {
            let Some(lane) = self.lane_mut(key) else {
                continue;
            };
            let Some(address) = lane.away.as_ref().map(|away| Arc::clone(&away.address)) else {
                continue;
            };
            if let Some(mut row) = lane.machine.row_for_new_epoch(address.bucket) {
                tell(&mut row, lane, targets, &topic);
                rows.push(InheritedLane {
                    name: address.name,
                    row,
                    need: 0,
                });
            }
        }
        rows
    }
}
