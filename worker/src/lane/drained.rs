//! How many bytes of parked events a shard has read back.
//!
//! Owns their sum over all lanes that drain, and the lanes that wait for room. What one lane needs for
//! one transaction it gets in any case; beyond that lanes share what there is.

use std::collections::VecDeque;

use super::LaneKey;
use super::machine::ROOM_FIRST;

/// See the module.
#[derive(Debug)]
pub(super) struct Drained {
    most: usize,
    used: usize,
    waiting: VecDeque<LaneKey>,
}

impl Drained {
    /// Nothing is read back; at least one lane may always be.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(ROOM_FIRST),
            used: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.used)
    }

    /// Whether another lane may begin; one that may not is kept and named later.
    pub(super) fn admits(&mut self, lane: LaneKey) -> bool {
        let admits = self.left() >= ROOM_FIRST;
        if !admits && !self.waiting.contains(&lane) {
            self.waiting.push_back(lane);
        }
        admits
    }

    /// A lane that had `from` bytes has `to`. Returns the lanes that may ask again: nobody names them
    /// a second time.
    #[must_use]
    pub(super) fn changed(&mut self, from: usize, to: usize) -> Vec<LaneKey> {
        self.used = self.used.saturating_sub(from) + to;
        let free = (self.left() / ROOM_FIRST).min(self.waiting.len());
        self.waiting.drain(..free).collect()
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
