//! Taking partitions over on a shard: carries out what [`super::takeover`] decides, and gives inherited
//! lanes back their state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::{Epoch, LaneRow, NotBefore, ParkReason, RowKey};

use super::absent::{Orphan, tell};
use super::machine::{Due, Machine};
use super::matching::{self, Targets};
use super::orders::write_terminator;
use super::outlet::Out;
use super::own::Own;
use super::partition::Partition;
use super::shard::Shard;
use super::takeover::{InheritedLane, Step, Subject, TakeOver, TakenOver};
use super::{Away, LaneKey};
use crate::clock;
use crate::delivery::Reason;
use crate::failpoint::{self, Failpoint};
use crate::park::{LaneAddress, Order, Refused, Scan, Ticket};
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
        let (take_over, step) = TakeOver::begin(subject, partition.predecessor);
        partition.under_way = Some(UnderWay {
            take_over,
            base: partition.number(),
        });
        self.perform(slot, vec![step], now);
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
        let random = random_bits();
        let (take_over, steps) = TakeOver::again(subject, own.epoch, lanes, random);
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

    /// A commit that carries the owner's epoch was acked.
    pub fn committed(&mut self, slot: u32, epoch: Epoch, now: Instant) {
        self.advance(slot, now, |take_over| take_over.committed(epoch));
        self.ask_for_stale(slot, epoch);
    }

    /// From now on the tail tells what earlier owners left.
    fn ask_for_stale(&mut self, slot: u32, epoch: Epoch) {
        let Some(partition) = self.partitions.get(&slot) else {
            return;
        };
        let ask = Ask::Sweep {
            shard: self.surroundings.shard,
            slot,
            place: place(partition),
            epoch,
        };
        self.out.push_back(Out::Ask(ask));
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

    /// Does what is a matter of time: refused writes of take-overs, terminators that tell of an old
    /// frontier, targets that ask for less and less.
    pub(super) fn keep_up(&mut self, now: Instant) {
        if self.next_upkeep.is_some_and(|due| now < due) {
            return;
        }
        self.next_upkeep = (!self.partitions.is_empty()).then(|| now + UPKEEP_INTERVAL);
        self.targets.values().for_each(|target| target.look(now));
        self.ask_waiting();
        let slots: Vec<u32> = self.partitions.keys().copied().collect();
        for slot in slots {
            self.advance(slot, now, |take_over| take_over.wake(now));
            self.end_orphans(slot, now);
            self.hasten_gate(slot, now);
            let Some(partition) = self.partitions.get_mut(&slot) else {
                continue;
            };
            let frontier = partition.frontier();
            if partition
                .own
                .is_some_and(|own| own.wants_again(frontier, now))
            {
                let terminator = write_terminator(partition, &self.surroundings, now);
                self.out.extend(terminator);
            }
        }
    }

    fn advance(&mut self, slot: u32, now: Instant, event: impl FnOnce(&mut TakeOver) -> Vec<Step>) {
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
                Step::Ask(epoch) => {
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
                Step::Own(epoch, claim) => {
                    if claim == Claim::Now {
                        failpoint::reached(Failpoint::TakeoverBeforeCommit);
                    }
                    partition.progress().own(epoch, claim);
                }
                Step::Run(taken) => self.run(slot, taken, now),
            }
        }
        if let Some(partition) = self.partitions.get_mut(&slot) {
            partition.follow_numbers();
        }
    }

    /// The partition is this shard's: its lanes go on.
    fn run(&mut self, slot: u32, taken: TakenOver, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        partition.follow_numbers();
        partition.under_way = None;
        partition.has_run = true;
        let frontier = partition.frontier();
        partition.own = Some(if taken.is_terminated() {
            Own::written(taken.epoch, frontier, now)
        } else {
            Own::unwritten(taken.epoch)
        });
        tracing::debug!(partition = %partition.id, epoch = %taken.epoch, lanes = taken.lanes.len(), "partition taken over");
        if taken.committed {
            self.ask_for_stale(slot, taken.epoch);
        }
        for lane in taken.lanes {
            self.inherit(slot, lane, now);
        }
        // What was parked under the epoch before counts under this one.
        self.settle_all(slot, now);
        if let Some(partition) = self.partitions.get_mut(&slot) {
            partition.take_early();
        }
        self.keep_absent(slot, now);
        self.wake_partition(slot, now);
    }

    /// Gives a lane what its predecessor left.
    fn inherit(&mut self, slot: u32, lane: InheritedLane, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let InheritedLane { name, row, need } = lane;
        let target = self.targets.get(&name.target);
        let next = &mut self.lanes_begun;
        let key = match target {
            Some(target) => matching::inherited(partition, target, next),
            None => matching::orphan(partition, name, &row.wants, next),
        };
        let Some(key) = key else {
            return;
        };
        let id = partition.id.clone();
        let topic_id = partition.topic_id;
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        if !lane.machine.is_live() {
            // Taken over from itself: it has more than its row.
            return;
        }
        let unix = clock::unix_millis();
        let mut orphan = None;
        let mut due_at = Due::Never;
        if let Some(target) = target {
            target.inherited(&id, &row, now);
            due_at = due(&row, target.of.compiled.retry.max_backoff, now, unix);
        } else {
            tracing::warn!(
                partition = %id, target = %name.target, parked = row.parked,
                "a lane's target is not known here: its events are parked until its manifest is back"
            );
            orphan = Some(Box::new(Orphan::new(&row, self.surroundings.absence, now)));
        }
        let suspended = target.is_none_or(|target| target.of.is_suspended());
        let bucket = row.bucket;
        lane.machine = Machine::resumed(row, need, due_at);
        lane.machine.suspend(suspended, now, unix);
        if orphan.is_some() {
            lane.machine.row_changed();
        }
        let address = LaneAddress {
            name,
            source: id,
            topic_id,
            bucket,
        };
        lane.away = Some(Box::new(Away {
            orphan,
            ..Away::new(address)
        }));
        self.tell_left(key);
        if self.ended.contains(&name.target) {
            self.end_lane(key);
        }
        self.act_on_requests(key, now);
        self.stir(key);
    }

    /// Takes away what earlier owners left.
    fn sweep(&mut self, slot: u32, keys: Vec<RowKey>) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        for key in keys {
            let ticket = Ticket {
                slot,
                lane: None,
                number: partition.number(),
            };
            let order = match key.lane {
                Some(_) => Order::Row(key, None),
                None => Order::Terminator(key, None),
            };
            self.out.push_back(Out::Produce(ticket, order));
        }
    }
}

/// How often a shard looks at what is a matter of time in its partitions.
pub(super) const UPKEEP_INTERVAL: Duration = Duration::from_millis(250);

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

/// When an inherited lane tries: as its row says, but no later than a target may be made to wait from
/// now, whatever the clocks did. What this worker decides by itself is tried at once: whoever wrote the
/// row may have been configured otherwise.
fn due(row: &LaneRow, max_backoff: Duration, now: Instant, unix: i64) -> Due {
    let reason = row.last_failure.as_ref().map(|failure| &*failure.reason);
    let ours = [Reason::InvalidConfiguration, Reason::EgressDenied].map(Reason::as_str);
    if row.reason == ParkReason::Suspended || reason.is_some_and(|reason| ours.contains(&reason)) {
        return Due::At(now, unix);
    }
    match row.not_before {
        NotBefore::Never => Due::Never,
        NotBefore::At(at) => {
            let wait = Duration::from_millis(u64::try_from(at.saturating_sub(unix)).unwrap_or(0));
            let wait = wait.min(max_backoff);
            let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Due::At(now + wait, unix.saturating_add(millis))
        }
    }
}

impl Partition {
    /// The orders of the take-over count as the partition's.
    fn follow_numbers(&mut self) {
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
