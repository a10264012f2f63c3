//! How many lanes of one target may drain at once on one shard.
//!
//! Owns the allowance: few while the target is DOWN, so that probes cost little and a target that
//! hangs holds little; doubled with each delivery, so that recovery is no denial of service.

use super::LaneKey;
use super::line::Line;

/// Lanes that may probe a target that is DOWN.
const PROBES: u32 = 2;

/// Lanes that may drain to a target that takes everything.
const MOST: u32 = 64;

/// See the module.
#[derive(Debug)]
pub struct Recovering {
    draining: u32,
    allowance: u32,
    line: Line,
}

impl Default for Recovering {
    fn default() -> Self {
        Self {
            draining: 0,
            allowance: PROBES,
            line: Line::default(),
        }
    }
}

impl Recovering {
    /// Whether a lane may begin to drain; one that may not is kept and named later. One that may either
    /// [begins](Self::began) or is [held up](Self::held_up).
    pub fn admits(&mut self, lane: LaneKey) -> bool {
        self.line.admits(lane, self.free())
    }

    /// Whether lanes wait.
    pub fn is_waited_for(&self) -> bool {
        self.line.is_waited_for()
    }

    /// A lane that was admitted begins to drain.
    pub fn began(&mut self, lane: LaneKey) {
        self.line.take(lane);
        self.draining += 1;
    }

    /// A lane that was admitted must wait for something else: it keeps its turn.
    pub fn held_up(&mut self, lane: LaneKey) {
        self.line.hold_up(lane);
    }

    /// The lanes of a partition are no more.
    pub fn forget(&mut self, slot: u32) {
        self.line.forget(slot);
    }

    /// A lane drains no more. Returns the lanes that may ask again.
    #[must_use]
    pub fn ended(&mut self) -> Vec<LaneKey> {
        self.draining = self.draining.saturating_sub(1);
        self.next()
    }

    /// A drained transaction was delivered. Returns the lanes that may ask again.
    #[must_use]
    pub fn delivered(&mut self) -> Vec<LaneKey> {
        self.allowance = (self.allowance * 2).min(MOST);
        self.next()
    }

    /// A drained transaction failed.
    pub fn failed(&mut self) {
        self.allowance = PROBES;
    }

    /// Names others for the places of those that did not ask.
    #[must_use]
    pub fn name_others(&mut self) -> Vec<LaneKey> {
        self.line.forget_named();
        self.next()
    }

    fn next(&mut self) -> Vec<LaneKey> {
        self.line.next(self.free())
    }

    fn free(&self) -> usize {
        self.allowance.saturating_sub(self.draining) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(id: u64) -> LaneKey {
        LaneKey {
            slot: 0,
            index: 0,
            id,
        }
    }

    #[test]
    fn a_target_that_is_down_is_probed_by_few_and_recovers_by_doubling() {
        let mut recovering = Recovering::default();
        for id in 0..2 {
            assert!(recovering.admits(lane(id)));
            recovering.began(lane(id));
        }
        for id in 2..9 {
            assert!(!recovering.admits(lane(id)));
        }
        let woken = recovering.delivered();
        assert_eq!(woken, [lane(2), lane(3)]);
        for lane in woken {
            assert!(recovering.admits(lane));
            recovering.began(lane);
        }
        assert_eq!(recovering.delivered().len(), 4);
        recovering.failed();
        assert!(!recovering.admits(lane(9)));
    }

    #[test]
    fn a_lane_that_ends_makes_room_for_one_that_waits() {
        let mut recovering = Recovering::default();
        recovering.began(lane(8));
        recovering.began(lane(9));
        assert!(!recovering.admits(lane(1)) && !recovering.admits(lane(1)));
        assert_eq!(recovering.ended(), [lane(1)]);
        assert!(recovering.ended().is_empty());
    }
}
