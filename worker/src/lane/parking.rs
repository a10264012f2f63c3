//! What a lane that is not live has to do on its shard: rows, runs, tombstones, and their answers.
//!
//! Asks the lane's machine for work and turns it into orders. Owns nothing: the machine knows what is
//! on its way, [`super::unacked`] how much of it there may be.

use std::time::{Duration, Instant};

use super::LaneKey;
use super::absent::tell;
use super::machine::{Ages, Sight, Work, Written};
use super::orders::{row_key, run, terminate, ticket};
use super::outlet::Out;
use super::partition::Partition;
use super::shard::Shard;
use crate::clock;
use crate::failpoint::{self, Failpoint};
use crate::park::{Order, Produced, Refused, Ticket};

/// How long a partition waits after a write was refused before it writes again.
const WRITE_AGAIN: Duration = Duration::from_millis(100);

/// Bytes that a lane may hold back for a cut-over. More, and it parks on.
const HOLD_BYTES: usize = 1 << 20;

impl<P> Shard<P> {
    /// Does what a lane that is not live has to do. Returns whether drained events may be sent.
    pub(super) fn work(&mut self, key: LaneKey, now: Instant) -> bool {
        // A change of its target may have stopped the reading.
        self.follow_drain(key);
        self.settle(key, (self.surroundings.unix_millis)(now));
        self.mind_age(key, now);
        self.tell_if_stopped(key);
        self.heed_stop(key, now);
        let ages = self.ages(key, now);
        self.hear_commit(key);
        loop {
            let Some(partition) = self.partitions.get_mut(&key.slot) else {
                return false;
            };
            if let Some(at) = partition.write_again.filter(|at| *at > now) {
                self.wake_at(key, at);
                return false;
            }
            let room = self.drained.most(partition.room(key));
            let may_park = self.may_park(key, now);
            let Some(partition) = self.partitions.get_mut(&key.slot) else {
                return false;
            };
            let Some(work) = next_work(partition, key, may_park, (room, now, ages)) else {
                self.ask_for_commit(key);
                self.wake_when_due(key, now);
                return false;
            };
            match work {
                Work::WriteRow => self.write_row(key, now),
                Work::Park { skip } => {
                    if !self.park(key, skip) {
                        return false;
                    }
                }
                Work::Tombstone => self.write_tombstone(key),
                Work::BeginDrain => {
                    if !self.begin_drain(key, now) {
                        return false;
                    }
                }
                Work::More => self.read_more(key),
                Work::GiveUp => {
                    if self.give_up(key, ages).is_none() {
                        return false;
                    }
                }
                Work::Rest => self.rest(key),
                Work::Attempt => return true,
            }
        }
    }

    fn write_row(&mut self, key: LaneKey, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        self.out
            .extend(terminate(partition, &self.surroundings, now));
        let number = partition.number();
        let row_key = row_key(partition, key, &self.surroundings);
        let Some((row_key, lane)) = row_key.zip(partition.lane_mut(key)) else {
            return;
        };
        let bucket = lane.away.as_ref().map_or(0, |away| away.address.bucket);
        if let Some(mut row) = lane.machine.write_row(number, bucket, now) {
            tell(&mut row, lane, &self.targets, &row_key.scope.topic);
            let order = Order::Row(row_key, Some(Box::new(row)));
            self.out.push_back(Out::Produce(ticket(key, number), order));
        }
    }

    /// The partitions are being let go: writes the rows that a successor should find, once nothing of
    /// their lanes is in flight.
    pub fn write_last_rows(&mut self, slots: &[u32], now: Instant) {
        for slot in slots {
            let Some(partition) = self.partitions.get(slot) else {
                continue;
            };
            if partition.own.is_none() || partition.write_again.is_some_and(|at| at > now) {
                continue;
            }
            let owing: Vec<LaneKey> = partition
                .lanes()
                .filter(|(_, lane)| lane.abort.is_none())
                .filter(|(_, lane)| lane.machine.backlog().is_some_and(|it| it.owes_row()))
                .map(|(key, _)| key)
                .collect();
            owing.into_iter().for_each(|key| self.write_row(key, now));
        }
    }

    fn park(&mut self, key: LaneKey, skip: u64) -> bool {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return false;
        };
        let number = partition.number();
        let Some((order, bucket, bytes)) = run(partition, key, skip, number) else {
            return false;
        };
        self.unacked.began(key.slot, number, bucket, bytes);
        if let Some(away) = partition.lane_mut(key).and_then(|lane| lane.away.as_mut()) {
            away.gathers_until = None;
        }
        self.out.push_back(Out::Produce(ticket(key, number), order));
        true
    }

    fn write_tombstone(&mut self, key: LaneKey) {
        failpoint::reached(Failpoint::CutoverBeforeTombstone);
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let number = partition.number();
        let row_key = row_key(partition, key, &self.surroundings);
        if let Some((row_key, lane)) = row_key.zip(partition.lane_mut(key)) {
            lane.machine.tombstone(number);
            let order = Order::Row(row_key, None);
            self.out.push_back(Out::Produce(ticket(key, number), order));
            self.count_lost(key);
            self.follow_drain(key);
        }
    }

    /// What became of an order is known.
    pub fn produced(&mut self, produced: Produced, now: Instant) {
        let Ticket { slot, lane, number } = produced.ticket;
        for waiting in self.unacked.ended(slot, number) {
            self.stir(waiting);
        }
        if let Err(refused) = produced.result {
            self.was_refused(slot, refused, now);
        }
        match lane {
            Some(seat) => self.lane_produced(LaneKey::at(slot, seat), number, produced.result, now),
            None => self.partition_produced(slot, number, produced.result, now),
        }
    }

    fn lane_produced(
        &mut self,
        key: LaneKey,
        number: u64,
        result: Result<i64, Refused>,
        now: Instant,
    ) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        match result {
            Ok(offset) => {
                let written = lane.machine.written(number, offset);
                self.was_written(key, written, offset, now);
            }
            Err(Refused::TooLarge) => lane.machine.too_large(number),
            Err(Refused::QueueFull | Refused::Failed | Refused::ProducerReplaced) => {
                lane.machine.refused(number);
            }
        }
        let unix = (self.surroundings.unix_millis)(now);
        self.settle(key, unix);
        self.stir(key);
    }

    /// Events that are parked for good, or need not be parked, leave the queue.
    pub(super) fn settle(&mut self, key: LaneKey, unix: i64) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        if let Some((uid, events)) = settle(partition, key, unix)
            && let Some(target) = self.targets.get_mut(&uid)
        {
            target.parked(events);
        }
    }

    fn was_written(&mut self, key: LaneKey, written: Option<Written>, offset: i64, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let id = partition.id.clone();
        let held = partition
            .lane(key)
            .map_or(0, |lane| partition.waiting(lane));
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        match (written, &lane.away) {
            (Some(Written::Park), Some(away)) => {
                if lane
                    .machine
                    .backlog()
                    .is_some_and(|backlog| !backlog.has_row())
                {
                    failpoint::reached(Failpoint::ParkAckedBeforeRowAcked);
                }
                self.surroundings
                    .ends
                    .raise(away.address.bucket, offset + 1);
            }
            (Some(Written::Tombstone), _) => {
                failpoint::reached(Failpoint::CutoverAfterTombstone);
                if held > 0 {
                    tracing::debug!(lane = %id, held, "a lane held events for its cut-over");
                }
                let away = lane.away.take();
                if let (Some(target), Some(count)) = (
                    self.targets.get(&lane.uid),
                    away.and_then(|away| away.count),
                ) {
                    target.lane_recovered(&id, count.ended(now, clock::unix_millis()));
                }
            }
            (Some(Written::DeadLetter(why)), _) => self.was_given_up(key, why),
            (Some(Written::Row), _) => failpoint::reached(Failpoint::RowBeforePark),
            (Some(Written::Park) | None, _) => {}
        }
    }

    /// Settles every lane of a partition, because its terminator was written.
    pub(super) fn settle_all(&mut self, slot: u32, now: Instant) {
        let unix = (self.surroundings.unix_millis)(now);
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let away: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| !lane.machine.is_live())
            .map(|(key, _)| key)
            .collect();
        for key in away {
            self.settle(key, unix);
            self.stir(key);
        }
    }

    /// A write of the partition was refused: nothing more is written for a moment.
    fn was_refused(&mut self, slot: u32, refused: Refused, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        match refused {
            Refused::TooLarge => {}
            Refused::QueueFull | Refused::Failed => {
                tracing::debug!(partition = %partition.id, %refused, "writing again");
                partition.write_again = Some(now + WRITE_AGAIN);
            }
            Refused::ProducerReplaced => {
                partition.write_again = Some(now + WRITE_AGAIN);
                self.take_new_epoch(slot, now);
            }
        }
    }

    /// A lane that is due already waits for something else, which stirs it.
    pub(super) fn wake_when_due(&mut self, key: LaneKey, now: Instant) {
        let wake = self.lane_mut(key).and_then(|lane| lane.machine.wake());
        if let Some(at) = wake.filter(|at| *at > now) {
            self.wake_at(key, at);
        }
    }
}

fn next_work(
    partition: &mut Partition,
    key: LaneKey,
    may_park: bool,
    (room_most, now, ages): (usize, Instant, Ages),
) -> Option<Work> {
    let lane = partition.lane(key)?;
    let sight = Sight {
        waiting: partition.waiting(lane),
        // The queue is walked, so only when it matters.
        hold_is_full: lane.machine.holds() && partition.holds_more_than(lane, HOLD_BYTES),
        may_park,
        room_most,
        position: partition.position(),
        ages,
        counts: partition.counts(),
    };
    lane.machine.work(now, sight)
}

/// Events that are parked for good, or were delivered, leave the queue. Returns whose and how many of
/// them are parked.
fn settle(partition: &mut Partition, key: LaneKey, unix: i64) -> Option<(uuid::Uuid, u32)> {
    let terminated = partition.own.is_some_and(|own| own.is_terminated());
    let lane = partition.lane_mut(key)?;
    let uid = lane.uid;
    let events = lane.machine.settle(terminated, unix);
    if events > 0 {
        partition.done(key.index, events);
    }
    let lane = partition.lane(key)?;
    if let Some(through) = lane.machine.passed_by() {
        let passed = partition.records(lane);
        let passed = passed.take_while(|record| record.offset <= through);
        let passed = u32::try_from(passed.count()).unwrap_or(u32::MAX);
        partition.done(key.index, passed);
    }
    (events > 0).then_some((uid, events))
}
