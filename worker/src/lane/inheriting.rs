//! A partition that was taken over begins to run: its lanes get back what the predecessor left them.

use std::time::{Duration, Instant};

use parcelhook_crds::lane::{LaneRow, NotBefore, ParkReason};

use super::Away;
use super::absent::Orphan;
use super::machine::{Due, Machine};
use super::matching;
use super::own::Own;
use super::shard::Shard;
use super::takeover::{InheritedLane, TakenOver};
use super::upkeep::RENEW_INTERVAL;
use crate::clock;
use crate::delivery::Reason;
use crate::park::LaneAddress;

impl<P> Shard<P> {
    /// The partition is this shard's: its lanes go on.
    pub(super) fn run(&mut self, slot: u32, taken: TakenOver, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        partition.follow_numbers();
        partition.under_way = None;
        partition.has_run = true;
        partition.renew_at = Some(now + RENEW_INTERVAL);
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
