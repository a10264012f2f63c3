//! How many bytes of parked events a shard has read back.
//!
//! Owns their sum over all lanes that drain, and the lanes that wait for room. What one lane needs for
//! one transaction it gets in any case; beyond that lanes share what there is. While others wait a lane
//! that drains gets no more than it would get at first, and after a [turn](TURN) it gives way.

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
    line: Line,
}

impl Drained {
    /// Nothing is read back; at least one lane may always be.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(ROOM_FIRST),
            used: 0,
            line: Line::default(),
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
        if self.is_waited_for() {
            ROOM_FIRST
        } else {
            room + self.left()
        }
    }

    /// Whether another lane may begin; one that may not is kept and named later.
    pub(super) fn admits(&mut self, lane: LaneKey) -> bool {
        self.line.admits(lane, self.left() / ROOM_FIRST)
    }

    /// A lane that had `from` bytes has `to`. Returns the lanes that may ask again.
    #[must_use]
    pub(super) fn changed(&mut self, from: usize, to: usize) -> Vec<LaneKey> {
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

    #[test]
    fn lanes_share_the_bytes_and_wait_in_their_order() {
        let mut drained = Drained::new(2 * ROOM_FIRST);
        assert!(drained.admits(lane(1)));
        assert!(drained.changed(0, 2 * ROOM_FIRST).is_empty());
        assert!(!drained.admits(lane(2)) && !drained.admits(lane(3)) && !drained.admits(lane(2)));
        assert_eq!(drained.changed(2 * ROOM_FIRST, ROOM_FIRST), [lane(2)]);
        assert_eq!(drained.changed(ROOM_FIRST, 0), [lane(3)]);
        assert_eq!(drained.left(), 2 * ROOM_FIRST);
    }

    #[test]
    fn what_one_transaction_needs_is_never_refused_for_good() {
        let mut drained = Drained::new(0);
        assert!(drained.admits(lane(1)));
        assert!(drained.changed(0, 10 * ROOM_FIRST).is_empty());
        assert!(!drained.admits(lane(2)));
        assert_eq!(drained.changed(10 * ROOM_FIRST, 0), [lane(2)]);
    }
}
