//! How many bytes of parked events a shard has read back.
//!
//! Owns their sum over all lanes that drain, and the lanes that wait for room. What one lane needs for
//! one transaction it gets in any case; beyond that all lanes, those that wait included, have equal
//! shares, and while others wait a lane gives way after its [turn](TURN).

use std::time::Duration;

use super::LaneKey;
use super::line::Line;
use super::machine::ROOM_FIRST;

/// How long a lane may drain while others wait for it to end: what it has read is thrown away then.
pub(super) const TURN: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Drained {
    most: usize,
    used: usize,
    /// Lanes that drain.
    lanes: usize,
    line: Line,
}

impl Drained {
    /// Nothing is read back; at least one lane may always be.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(ROOM_FIRST),
            used: 0,
            lanes: 0,
            line: Line::default(),
        }
    }

    /// Nothing more can be read back.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        Self {
            used: ROOM_FIRST,
            ..Self::new(0)
        }
    }

    /// Bytes that are left.
    fn left(&self) -> usize {
        self.most.saturating_sub(self.used)
    }

    /// Whether lanes wait.
    pub(super) fn is_waited_for(&self) -> bool {
        self.line.is_waited_for()
    }

    /// Bytes that a lane which has `room` may have, unless one transaction needs more.
    pub(super) fn most(&self, room: usize) -> usize {
        let lanes = self.lanes + self.line.waiting();
        let share = self.most / lanes.max(1);
        (room + self.left()).min(share).max(ROOM_FIRST)
    }

    /// Whether another lane may begin; one that may not is kept and named later. One that may
    /// [begins](Self::began).
    pub(super) fn admits(&mut self, lane: LaneKey) -> bool {
        self.line.admits(lane, self.left() / ROOM_FIRST)
    }

    /// A lane that was admitted begins.
    pub(super) fn began(&mut self, lane: LaneKey) {
        self.line.take(lane);
    }

    /// A lane must wait for something else before it can begin: it keeps its turn, if it has one.
    pub(super) fn held_up(&mut self, lane: LaneKey) {
        self.line.give_back(lane);
    }

    /// The lanes of a partition are no more.
    pub(super) fn forget(&mut self, slot: u32) {
        self.line.forget(slot);
    }

    /// A lane that had `from` bytes has `to`; one that drains has some, and no other. Returns the lanes
    /// that may ask again.
    #[must_use]
    pub(super) fn changed(&mut self, from: usize, to: usize) -> Vec<LaneKey> {
        let lanes = self.lanes + usize::from(from == 0 && to > 0);
        self.lanes = lanes.saturating_sub(usize::from(from > 0 && to == 0));
        self.used = self.used.saturating_sub(from) + to;
        self.line.next(self.left() / ROOM_FIRST)
    }

    /// Names others for the places of those that did not ask.
    #[must_use]
    pub(super) fn name_others(&mut self) -> Vec<LaneKey> {
        self.line.forget_named();
        self.changed(0, 0)
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

    fn begins(drained: &mut Drained, id: u64) -> bool {
        let admits = drained.admits(lane(id));
        if admits {
            drained.began(lane(id));
        }
        admits
    }

    #[test]
    fn lanes_share_the_bytes_and_wait_in_their_order() {
        let mut drained = Drained::new(2 * ROOM_FIRST);
        assert!(begins(&mut drained, 1));
        assert!(drained.changed(0, 2 * ROOM_FIRST).is_empty());
        for waits in [2, 3, 2] {
            assert!(!begins(&mut drained, waits));
        }
        assert_eq!(drained.changed(2 * ROOM_FIRST, ROOM_FIRST), [lane(2)]);
        assert_eq!(drained.changed(ROOM_FIRST, 0), [lane(3)]);
        assert_eq!(drained.left(), 2 * ROOM_FIRST);
    }

    #[test]
    fn shares_are_equal_and_those_that_wait_count() {
        let mut drained = Drained::new(64 * ROOM_FIRST);
        assert_eq!(drained.most(ROOM_FIRST), 64 * ROOM_FIRST);
        assert!(drained.changed(0, 64 * ROOM_FIRST).is_empty());
        assert!(!begins(&mut drained, 2));
        assert_eq!(drained.most(64 * ROOM_FIRST), 32 * ROOM_FIRST);
        assert_eq!(drained.changed(64 * ROOM_FIRST, 32 * ROOM_FIRST), [lane(2)]);
        assert!(begins(&mut drained, 2));
        assert!(drained.changed(0, ROOM_FIRST).is_empty());
        assert_eq!(drained.most(ROOM_FIRST), 32 * ROOM_FIRST);
        assert!(drained.changed(32 * ROOM_FIRST, 0).is_empty());
        assert_eq!(drained.most(ROOM_FIRST), 64 * ROOM_FIRST);
    }

    #[test]
    fn what_one_transaction_needs_is_never_refused_for_good() {
        let mut drained = Drained::new(0);
        assert!(begins(&mut drained, 1));
        assert!(drained.changed(0, 10 * ROOM_FIRST).is_empty());
        assert!(!begins(&mut drained, 2));
        assert_eq!(drained.changed(10 * ROOM_FIRST, 0), [lane(2)]);
    }
}
