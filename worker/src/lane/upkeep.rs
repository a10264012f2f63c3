//! What is a matter of time in the partitions of a shard, and what earlier owners left in the lanes topic.

use std::time::{Duration, Instant};

use parcelhook_crds::lane::{Epoch, RowKey};

use super::LaneKey;
use super::orders::write_terminator;
use super::outlet::Out;
use super::shard::Shard;
use super::taking_over::place;
use crate::park::{Order, Ticket};
use crate::state::Ask;

/// How often a shard looks at what is a matter of time in its partitions.
pub(super) const UPKEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How often rows and terminators are written again that have nothing new to tell: the lanes topic keeps
/// what was written for 7 days at least, and a lane may stand for longer.
pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(24 * 3600);

impl<P> Shard<P> {
    /// Does what is a matter of time: refused writes of take-overs, rows that grow old, terminators that
    /// tell of an old frontier, targets that ask for less and less.
    pub(super) fn keep_up(&mut self, now: Instant) {
        if self.next_upkeep.is_some_and(|due| now < due) {
            return;
        }
        self.next_upkeep = (!self.partitions.is_empty()).then(|| now + UPKEEP_INTERVAL);
        self.targets.values().for_each(|target| target.look(now));
        self.ask_waiting();
        self.ask_waiting();
        let slots: Vec<u32> = self.partitions.keys().copied().collect();
        for slot in slots {
            self.advance(slot, now, |take_over| take_over.wake(now));
            self.end_orphans(slot, now);
            self.hasten_gate(slot, now);
            self.renew(slot, now);
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

    /// Writes everything again that is written of the partition, when that is due.
    fn renew(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        if partition.own.is_none() || partition.renew_at.is_none_or(|due| now < due) {
            return;
        }
        partition.renew_at = Some(now + RENEW_INTERVAL);
        // Before the rows, which count by it.
        if partition.own.is_some_and(|own| own.is_terminated()) {
            let terminator = write_terminator(partition, &self.surroundings, now);
            self.out.extend(terminator);
        }
        let away: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| !lane.machine.is_live())
            .map(|(key, _)| key)
            .collect();
        for key in away {
            if let Some(lane) = self.lane_mut(key) {
                lane.machine.row_changed();
            }
            self.stir(key);
        }
    }

    /// From now on the tail tells what earlier owners left.
    pub(super) fn ask_for_stale(&mut self, slot: u32, epoch: Epoch) {
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

    /// Takes away what earlier owners left.
    pub(super) fn sweep(&mut self, slot: u32, keys: Vec<RowKey>) {
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
