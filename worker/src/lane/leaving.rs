//! How a lane leaves live: what its machine must know for that, and the address that it parks to.
//!
//! Owns nothing: the machine has the DOWN period that begins, the lane its address.

use std::time::Instant;

use parcelhook_crds::lane::ParkReason;

use super::gate::Held;
use super::machine::{Due, Opening};
use super::orders::name;
use super::partition::Partition;
use super::shard::Shard;
use super::surroundings::Surroundings;
use super::{Away, LaneKey};
use crate::clock;
use crate::park::LaneAddress;
use crate::park::bucket::bucket;

impl<P> Shard<P> {
    /// The lane leaves live without a failure of its own.
    pub(super) fn leave(&mut self, key: LaneKey, reason: ParkReason, due: Due, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(opening) = opening(partition, key, &self.surroundings) else {
            return;
        };
        let suspended = reason == ParkReason::Suspended;
        match partition.lane(key) {
            Some(lane) if lane.held == Held::Everything => return,
            Some(lane) if lane.is_ephemeral() => return self.drop_behind(key),
            Some(_) | None => {}
        }
        if let Some(lane) = partition.lane_mut(key) {
            lane.machine.leave(reason, due, opening);
            lane.machine.suspend(suspended, now, opening.unix);
        }
        self.has_left(key);
    }

    /// The lane is not live from now on.
    pub(super) fn has_left(&mut self, key: LaneKey) {
        if let Some(partition) = self.partitions.get_mut(&key.slot)
            && ensure_away(partition, key, self.surroundings.buckets)
        {
            self.tell_left(key);
            self.take_requests_for_done(key);
        }
        self.stir(key);
    }
}

/// What the lane's machine must know to leave live. None before the partition is owned.
pub(super) fn opening(
    partition: &Partition,
    key: LaneKey,
    surroundings: &Surroundings,
) -> Option<Opening> {
    let lane = partition.lane(key)?;
    let bucket = bucket(lane.uid, surroundings.buckets);
    Some(Opening {
        epoch: partition.own?.epoch,
        bucket_end: surroundings.ends.at_least(bucket),
        unix: clock::unix_millis(),
        first: partition.begins(lane),
    })
}

/// Gives a lane that is not live its address. Says whether it had none.
fn ensure_away(partition: &mut Partition, key: LaneKey, buckets: i32) -> bool {
    let (source, topic_id) = (partition.id.clone(), partition.topic_id);
    let Some(lane) = partition.lane_mut(key) else {
        return false;
    };
    if lane.away.is_some() || lane.machine.is_live() {
        return false;
    }
    lane.away = Some(Box::new(Away::new(LaneAddress {
        name: name(lane),
        source,
        topic_id,
        bucket: bucket(lane.uid, buckets),
    })));
    true
}
