//! The dead letters of one lane that are on their way.
//!
//! Owns what has become of each. They are produced in the order of their events, and count from the
//! front: one that is acked behind one that is not must wait. After a refusal the refused one and all
//! behind it go again, whatever their own reports say; a late report finds nothing.

use std::collections::VecDeque;

use super::WhyGivenUp;

/// Most dead letters of a lane on their way at once: a batch of the producer. More would only fill
/// the producer's queue.
pub(super) const LETTERS_IN_FLIGHT: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Letter {
    number: u64,
    why: WhyGivenUp,
    acked: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Letters {
    on_their_way: VecDeque<Letter>,
}

impl Letters {
    /// Letters on their way, those that wait for one before them included.
    pub(super) fn len(&self) -> usize {
        self.on_their_way.len()
    }

    /// Whether none is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Whether another may be produced.
    pub(super) fn has_room(&self) -> bool {
        self.len() < LETTERS_IN_FLIGHT
    }

    /// A letter is produced.
    pub(super) fn produce(&mut self, number: u64, why: WhyGivenUp) {
        self.on_their_way.push_back(Letter {
            number,
            why,
            acked: false,
        });
    }

    /// A letter was written. Says why its event was given up, when it is one of ours.
    pub(super) fn acked(&mut self, number: u64) -> Option<WhyGivenUp> {
        let mut letters = self.on_their_way.iter_mut();
        let letter = letters.find(|letter| letter.number == number)?;
        letter.acked = true;
        Some(letter.why)
    }

    /// Place of a letter, counted from the front.
    pub(super) fn place(&self, number: u64) -> Option<usize> {
        let mut letters = self.on_their_way.iter();
        letters.position(|letter| letter.number == number)
    }

    /// A letter failed: it and all behind it are to be produced again. Says whether it is one of ours.
    pub(super) fn failed(&mut self, number: u64) -> bool {
        let Some(index) = self.place(number) else {
            return false;
        };
        self.on_their_way.truncate(index);
        true
    }

    /// Takes the oldest, if it is acked.
    pub(super) fn settle(&mut self) -> bool {
        let oldest = self.on_their_way.pop_front_if(|letter| letter.acked);
        oldest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_from_the_front_and_a_refused_one_takes_those_behind_it_along() {
        let mut letters = Letters::default();
        for number in 1..=3 {
            letters.produce(number, WhyGivenUp::Expired);
        }
        assert_eq!(letters.acked(2), Some(WhyGivenUp::Expired));
        assert!(!letters.settle());
        assert_eq!(letters.acked(1), Some(WhyGivenUp::Expired));
        assert!(letters.settle() && letters.settle() && !letters.settle());
        letters.produce(4, WhyGivenUp::Expired);
        assert!(letters.failed(3) && letters.is_empty());
        assert!(letters.acked(4).is_none() && !letters.failed(4));
    }
}
