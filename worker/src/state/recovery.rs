//! The recovery of a target on this worker: from the first lane that leaves live to the last one that
//! is live again.
//!
//! Owns how many lanes of the target are not live, and what was delivered of their parked events. A lane
//! is counted by the [`NotLive`] that it holds, so that it is counted once, whichever way it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::TargetShared;
use crate::report::Recovered;

/// Parked events that were delivered, and since when.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    events: u64,
    began: Option<Instant>,
}

impl Tally {
    fn add(&mut self, events: u32, began: Instant) {
        self.events += u64::from(events);
        self.began.get_or_insert(began);
    }

    fn took(&self, now: Instant) -> Duration {
        self.began
            .map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }

    fn recovered(&self, now: Instant, unix_millis: i64) -> Recovered {
        Recovered {
            at: unix_millis,
            events: self.events,
            took: self.took(now),
        }
    }
}

/// What the lanes of a target share of it.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    not_live: u64,
    tally: Tally,
    last: Option<Recovered>,
}

impl Recovery {
    pub(super) fn last(&self) -> Option<Recovered> {
        self.last
    }

    /// A lane is live again. Tells of the recovery when it was the last.
    fn live(&mut self, now: Instant, unix_millis: i64) -> Option<Recovered> {
        self.not_live = self.not_live.saturating_sub(1);
        if self.not_live > 0 {
            return None;
        }
        let tally = std::mem::take(&mut self.tally);
        self.last = Some(tally.recovered(now, unix_millis));
        self.last
    }

    /// A lane went with its partition: whoever has it now tells of its recovery.
    fn gone(&mut self) {
        self.not_live = self.not_live.saturating_sub(1);
        if self.not_live == 0 {
            self.tally = Tally::default();
        }
    }
}

/// A lane that is not live, counted with its target until this is dropped.
#[derive(Debug)]
pub struct NotLive {
    shared: Arc<TargetShared>,
    tally: Tally,
    counts: bool,
}

/// A lane that is live again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveAgain {
    /// What was delivered of what it had parked.
    pub lane: Recovered,
    /// Lanes of the target that are not live on this worker.
    pub left: u64,
    /// What was delivered of what the target had parked, when none is left.
    pub target: Option<Recovered>,
}

impl NotLive {
    /// A lane leaves live, or was taken over so.
    pub fn new(shared: &Arc<TargetShared>) -> Self {
        shared.recovery(|recovery| recovery.not_live += 1);
        Self {
            shared: Arc::clone(shared),
            tally: Tally::default(),
            counts: true,
        }
    }

    /// Parked events were delivered by an attempt that began then.
    pub fn drained(&mut self, events: u32, began: Instant) {
        self.tally.add(events, began);
        self.shared
            .recovery(|recovery| recovery.tally.add(events, began));
    }

    /// The lane is live again.
    pub fn ended(mut self, now: Instant, unix_millis: i64) -> LiveAgain {
        self.counts = false;
        let lane = self.tally.recovered(now, unix_millis);
        self.shared.recovery(|recovery| {
            let target = recovery.live(now, unix_millis);
            LiveAgain {
                lane,
                left: recovery.not_live,
                target,
            }
        })
    }
}

impl Drop for NotLive {
    fn drop(&mut self) {
        if self.counts {
            self.shared.recovery(Recovery::gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn recovered(at: i64, events: u64, millis: u64) -> Recovered {
        Recovered {
            at,
            events,
            took: Duration::from_millis(millis),
        }
    }

    #[test]
    fn a_target_has_recovered_when_its_last_lane_is_live_again() {
        let now = clock::now();
        let later = |millis| now + Duration::from_millis(millis);
        let shared = Arc::new(TargetShared::new(1, now));
        let (mut one, mut other) = (NotLive::new(&shared), NotLive::new(&shared));
        one.drained(100, later(0));
        other.drained(14, later(100));
        one.drained(100, later(200));
        let first = one.ended(later(250), 7);
        assert_eq!(first.lane, recovered(7, 200, 250));
        assert_eq!((first.left, first.target), (1, None));
        assert_eq!(shared.last_recovery(), None);
        let last = other.ended(later(300), 8);
        assert_eq!(last.lane, recovered(8, 14, 200));
        assert_eq!((last.left, last.target), (0, Some(recovered(8, 214, 300))));
        assert_eq!(shared.last_recovery(), last.target);
    }

    #[test]
    fn a_lane_that_goes_to_another_worker_is_no_recovery() {
        let now = clock::now();
        let shared = Arc::new(TargetShared::new(1, now));
        let mut moved = NotLive::new(&shared);
        moved.drained(100, now);
        drop(moved);
        assert_eq!(shared.last_recovery(), None);
        let next = NotLive::new(&shared).ended(now, 9);
        assert_eq!(
            next.target,
            Some(recovered(9, 0, 0)),
            "nothing of the one before"
        );
    }
}
