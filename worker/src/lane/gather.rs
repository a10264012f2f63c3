//! When a lane that parks produces its next run.
//!
//! Owns nothing: until when events wait stands with the lane. What gathers stays in memory and holds the
//! commit, so it is parked at once where memory is short. The runs of all lanes leave at the same ticks of
//! the wall clock, so that they share batches, requests and wake-ups.

use std::time::{Duration, Instant};

use super::LaneKey;
use super::pressure::is_short;
use super::shard::Shard;
use crate::park::RUN_EVENTS;

impl<P> Shard<P> {
    /// Whether the lane's next run may be produced: when its bucket takes one, and when there is a whole
    /// one, or its first event has waited for the next tick.
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
            away.gathers_until = None;
        } else {
            let unix_millis = self.surroundings.unix_millis;
            let tick = || next_tick(gather, unix_millis(now));
            let until = *away.gathers_until.get_or_insert_with(|| now + tick());
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

/// How long it is to the next tick of a clock that ticks every `period`.
fn next_tick(period: Duration, unix_millis: i64) -> Duration {
    let period_millis = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
    let over = unix_millis.rem_euclid(period_millis).unsigned_abs();
    period.saturating_sub(Duration::from_millis(over))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_that_begin_to_wait_at_different_times_leave_together() {
        let leaves = |at: i64| {
            let wait = next_tick(Duration::from_secs(2), at).as_millis();
            at + i64::try_from(wait).unwrap()
        };
        assert_eq!(leaves(10_000), 12_000);
        assert_eq!([10_001, 10_700, 11_999].map(leaves), [12_000; 3]);
        assert_eq!(leaves(-500), 0);
    }
}
