//! Lanes that wait for a place, in their order.
//!
//! Owns who waits and who was named. A lane that was named has a place kept for it until it asks, so
//! that one which asks more often does not take it; one that has other things to do by then loses it. A
//! lane may need places of two lines: it takes none before both admit it, and one that the other line
//! holds up has its turn here all the same when it comes back. A lane asks with each event, and thousands
//! may wait: nothing here walks the line for that.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::LaneKey;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those that stand somewhere.
    lanes: FxHashMap<LaneKey, Place>,
    /// Those that wait, in their order.
    waiting: BTreeMap<u64, LaneKey>,
    /// Those that have a place kept.
    named: Vec<LaneKey>,
    turns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Lower ones come first.
    turn: u64,
    stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Waiting,
    Named,
    HeldUp,
}

impl Line {
    /// Whether the lane may have one of the `free` places, which it then [takes](Self::take). One that may
    /// not waits.
    pub(super) fn admits(&mut self, lane: LaneKey, free: usize) -> bool {
        let stands = self.lanes.get(&lane).map(|place| place.stands);
        let admits = match stands {
            Some(Stands::Named) => free > 0,
            Some(Stands::HeldUp) => free > self.named.len(),
            Some(Stands::Waiting) | None => {
                let first = self.waiting.values().next();
                free > self.named.len() && first.is_none_or(|first| *first == lane)
            }
        };
        if !admits && stands != Some(Stands::Waiting) {
            let turn = self.leave(lane);
            self.stand(lane, turn, Stands::Waiting);
            self.waiting.insert(turn, lane);
        }
        admits
    }

    /// The lane that was admitted takes its place.
    pub(super) fn take(&mut self, lane: LaneKey) {
        if self.lanes.contains_key(&lane) {
            self.leave(lane);
        }
    }

    /// The lane that was admitted must wait for another line.
    pub(super) fn hold_up(&mut self, lane: LaneKey) {
        let turn = self.leave(lane);
        self.stand(lane, turn, Stands::HeldUp);
    }

    /// Another line does not admit the lane. If a place is kept for it here, others may have it meanwhile.
    pub(super) fn give_back(&mut self, lane: LaneKey) {
        let place = self.lanes.get(&lane);
        if place.is_some_and(|place| place.stands == Stands::Named) {
            self.hold_up(lane);
        }
    }

    /// The lanes of a partition are no more.
    pub(super) fn forget(&mut self, slot: u32) {
        self.lanes.retain(|lane, _| lane.slot != slot);
        self.waiting.retain(|_, lane| lane.slot != slot);
        self.named.retain(|lane| lane.slot != slot);
    }

    /// Whether lanes wait.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Names those that may ask again, with so many places free. Nobody is named a second time.
    #[must_use]
    pub(super) fn next(&mut self, free: usize) -> Vec<LaneKey> {
        let mut next = Vec::new();
        while self.named.len() < free
            && let Some((turn, lane)) = self.waiting.pop_first()
        {
            self.stand(lane, turn, Stands::Named);
            self.named.push(lane);
            next.push(lane);
        }
        next
    }

    /// Who was named and has not asked had other things to do: the place goes to others.
    pub(super) fn forget_named(&mut self) {
        for lane in self.named.drain(..) {
            self.lanes.remove(&lane);
        }
    }

    fn stand(&mut self, lane: LaneKey, turn: u64, stands: Stands) {
        self.lanes.insert(lane, Place { turn, stands });
    }

    /// Takes the lane from where it stands. Returns its turn: a new one, when it stood nowhere.
    fn leave(&mut self, lane: LaneKey) -> u64 {
        let Some(Place { turn, stands }) = self.lanes.remove(&lane) else {
            self.turns += 1;
            return self.turns;
        };
        match stands {
            Stands::Waiting => {
                self.waiting.remove(&turn);
            }
            Stands::Named => self.named.retain(|named| *named != lane),
            Stands::HeldUp => {}
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(id: u64) -> LaneKey {
        LaneKey {
            slot: u32::try_from(id / 10).unwrap(),
            index: 0,
            id,
        }
    }

    /// Whether the lane gets a place and takes it.
    fn takes(line: &mut Line, id: u64, free: usize) -> bool {
        let admits = line.admits(lane(id), free);
        if admits {
            line.take(lane(id));
        }
        admits
    }

    #[test]
    fn places_go_to_those_that_wait_in_their_order() {
        let mut line = Line::default();
        assert!(takes(&mut line, 1, 1));
        assert!(!takes(&mut line, 2, 0) && !takes(&mut line, 3, 0) && !takes(&mut line, 2, 0));
        assert_eq!(line.next(1), [lane(2)]);
        assert!(!takes(&mut line, 1, 1), "the place is kept");
        assert!(takes(&mut line, 2, 1));
        assert_eq!(line.next(5), [lane(3), lane(1)]);
        assert!(!line.is_waited_for());
    }

    #[test]
    fn a_lane_that_does_not_come_loses_its_place() {
        let mut line = Line::default();
        assert!(!takes(&mut line, 1, 0) && !takes(&mut line, 2, 0));
        assert_eq!(line.next(1), [lane(1)]);
        assert!(line.next(1).is_empty());
        line.forget_named();
        assert_eq!(line.next(1), [lane(2)]);
    }

    #[test]
    fn a_lane_that_another_line_holds_up_keeps_its_turn() {
        let mut line = Line::default();
        for id in 1..=3 {
            assert!(!takes(&mut line, id, 0));
        }
        assert_eq!(line.next(2), [lane(1), lane(2)]);
        for id in [1, 2] {
            assert!(line.admits(lane(id), 2));
            line.hold_up(lane(id));
        }
        assert_eq!(line.next(1), [lane(3)], "nobody else waits for it");
        assert!(!takes(&mut line, 2, 1) && !takes(&mut line, 1, 1));
        assert!(takes(&mut line, 3, 1));
        assert_eq!(line.next(2), [lane(1), lane(2)], "each in its turn");
    }

    #[test]
    fn a_place_that_cannot_be_taken_yet_goes_to_others_and_the_turn_stays() {
        let mut line = Line::default();
        assert!(!takes(&mut line, 1, 0) && !takes(&mut line, 2, 0));
        line.give_back(lane(1));
        assert_eq!(line.next(1), [lane(1)]);
        line.give_back(lane(1));
        assert_eq!(line.next(1), [lane(2)]);
        assert!(takes(&mut line, 2, 1));
        assert!(!takes(&mut line, 3, 0));
        assert!(
            takes(&mut line, 1, 1),
            "it is held up, and its turn has come"
        );
    }

    #[test]
    fn nobody_waits_for_a_partition_that_is_gone() {
        let mut line = Line::default();
        for id in [1, 11, 2, 12] {
            assert!(!takes(&mut line, id, 0));
        }
        assert_eq!(line.next(2), [lane(1), lane(11)]);
        line.forget(1);
        assert_eq!((line.waiting(), line.next(9)), (1, vec![lane(2)]));
        line.forget(0);
        assert!(takes(&mut line, 3, 1));
    }
}
