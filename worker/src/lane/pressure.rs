//! When the byte budget is short: which lanes are too slow to keep their events in memory.
//!
//! Owns the mark of a lane, which tells how long it takes to work through what waits, and the bounds.
//! A lane that keeps up is left alone however much it holds: then reading waits, and that costs nobody
//! else anything.

use std::time::{Duration, Instant};

use parcelhook_crds::lane::ParkReason;

use super::LaneKey;
use super::machine::Due;
use super::partition::Partition;
use super::shard::Shard;
use crate::clock;
use crate::source::ledger::Seq;

/// A lane that takes longer than this for what waits is slow.
const SLOW: Duration = Duration::from_secs(2);

/// Slow lanes leave live when this share of the worker's budget is in use, in percent.
pub(super) const SHARE_PERCENT: u64 = 70;

/// How often lanes are looked at while the budget is short.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A place in the lane's queue, and when it was the last.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    end: Seq,
    at: Option<Instant>,
}

impl Mark {
    /// A lane of which nothing is known.
    pub fn new() -> Self {
        Self { end: 0, at: None }
    }

    /// Looks at the lane: `front` is its oldest event, none when nothing waits; `end` is the seq that
    /// the ledger gives next. Says whether the lane is slow: what waited at the mark still does.
    pub fn is_slow(&mut self, front: Option<Seq>, end: Seq, now: Instant) -> bool {
        let Some(front) = front else {
            self.at = None;
            return false;
        };
        match self.at {
            Some(at) if front < self.end => now.saturating_duration_since(at) >= SLOW,
            Some(_) | None => {
                *self = Self { end, at: Some(now) };
                false
            }
        }
    }
}

impl Default for Mark {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Shard<P> {
    /// Looks for slow lanes where memory is short. Call when [`Shard::next_due`] says so.
    pub(super) fn relieve(&mut self, now: Instant) {
        if self.next_look.is_none_or(|look| now < look) {
            return;
        }
        let busy = self
            .partitions
            .values()
            .any(|partition| partition.progress().in_flight_bytes() > 0 && !partition.closing);
        self.next_look = busy.then(|| now + LOOK_INTERVAL);
        let budget = self.surroundings.budget_bytes;
        let mut slow = Vec::new();
        for partition in self.partitions.values_mut() {
            if partition.may_act() && is_short(partition, budget) {
                slow.extend(partition.slow_lanes(now));
            }
        }
        for key in slow {
            self.overflow(key, now);
        }
    }

    fn overflow(&mut self, key: LaneKey, now: Instant) {
        let due = Due::At(now, clock::unix_millis());
        self.leave(key, ParkReason::Overflow, due, now);
    }
}

/// Whether what waits in the partition keeps others from being read, or soon will.
pub(super) fn is_short(partition: &Partition, budget: u64) -> bool {
    let progress = partition.progress();
    progress.is_paused() || progress.spent_percent(budget) >= SHARE_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_lane_is_slow_when_what_waited_still_waits_after_two_seconds() {
        let now = clock::now();
        let mut mark = Mark::new();
        assert!(!mark.is_slow(Some(5), 10, now));
        assert!(!mark.is_slow(Some(9), 20, now + SLOW / 2));
        assert!(mark.is_slow(Some(9), 20, now + SLOW));
    }

    #[test]
    fn a_lane_that_keeps_up_is_never_slow_however_much_waits() {
        let mut mark = Mark::new();
        let start = clock::now();
        for step in 0..100_u64 {
            let now = start + SLOW * step as u32;
            assert!(!mark.is_slow(Some(step * 10), step * 10 + 10, now));
        }
        assert!(!mark.is_slow(None, 2_000, start + SLOW * 1_000));
    }
}
