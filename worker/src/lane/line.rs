//! Lanes that wait for a place, in their order.
//!
//! Owns who waits and who was named. A lane that was named has a place kept for it until it asks, so
//! that one which asks more often does not take it; one that has other things to do by then loses it.

use std::collections::VecDeque;

use super::LaneKey;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<LaneKey>,
    named: Vec<LaneKey>,
}

impl Line {
    /// Whether the lane may have one of the `free` places. One that may not waits.
    pub(super) fn admits(&mut self, lane: LaneKey, free: usize) -> bool {
        let was_named = self.named.iter().position(|named| *named == lane);
        let admits = match was_named {
            Some(index) => {
                self.named.swap_remove(index);
                free > 0
            }
            None => free > self.named.len() && self.waiting.is_empty(),
        };
        if !admits && !self.waiting.contains(&lane) {
            self.waiting.push_back(lane);
        }
        admits
    }

    /// Whether lanes wait.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Names those that may ask again, with so many places free. Nobody is named a second time.
    #[must_use]
    pub(super) fn next(&mut self, free: usize) -> Vec<LaneKey> {
        let free = free.saturating_sub(self.named.len());
        let free = free.min(self.waiting.len());
        let next: Vec<LaneKey> = self.waiting.drain(..free).collect();
        self.named.extend(&next);
        next
    }

    /// Who was named and has not asked had other things to do: the place goes to others.
    pub(super) fn forget_named(&mut self) {
        self.named.clear();
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
    fn places_go_to_those_that_wait_in_their_order() {
        let mut line = Line::default();
        assert!(line.admits(lane(1), 1));
        assert!(!line.admits(lane(2), 0) && !line.admits(lane(3), 0) && !line.admits(lane(2), 0));
        assert_eq!(line.next(1), [lane(2)]);
        assert!(!line.admits(lane(1), 1), "the place is kept");
        assert!(line.admits(lane(2), 1));
        assert_eq!(line.next(5), [lane(3), lane(1)]);
        assert!(!line.is_waited_for());
    }

    #[test]
    fn a_lane_that_does_not_come_loses_its_place() {
        let mut line = Line::default();
        assert!(!line.admits(lane(1), 0) && !line.admits(lane(2), 0));
        assert_eq!(line.next(1), [lane(1)]);
        assert!(line.next(1).is_empty());
        line.forget_named();
        assert_eq!(line.next(1), [lane(2)]);
    }
}
