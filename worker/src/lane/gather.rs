//! When a lane that parks produces its next run.
//!
//! Owns nothing: since when events wait stands with the lane. What gathers stays in memory and holds the
//! commit, so it is parked at once where memory is short.

use std::time::Instant;

use super::LaneKey;
use super::pressure::is_short;
use super::shard::Shard;
use crate::park::RUN_EVENTS;

impl<P> Shard<P> {
    /// Whether the lane's next run may be produced: when its bucket takes one, and when there is a whole
    /// one, or its first event has waited for others for long enough.
    pub(super) fn may_park(&mut self, key: LaneKey, now: Instant) -> bool {
        let gather = self.surroundings.gather;
        let budget = self.surroundings.budget_bytes;
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return false;
        };
        let is_short = is_short(partition, budget);
        let Some((waiting, behind)) = partition.lane(key).and_then(|lane| {
            let behind = lane.machine.backlog()?.gathers_behind();
            Some((partition.waiting(lane), behind))
        }) else {
            return false;
        };
        let Some(away) = partition.lane_mut(key).and_then(|lane| lane.away.as_mut()) else {
            return false;
        };
        let bucket = away.address.bucket;
        let gathered = waiting.saturating_sub(behind.unwrap_or(waiting));
        if gathered == 0 || gathered >= RUN_EVENTS as u64 || is_short || gather.is_zero() {
            away.gathers_since = None;
        } else {
            let until = *away.gathers_since.get_or_insert(now) + gather;
            if now < until {
                self.wake_at(key, until);
                return false;
            }
        }
        let has_room = self.unacked.has_room(bucket);
        if !has_room {
            self.unacked.wait(bucket, key);
        }
        has_room
    }
}
