//! The drained events that are given up instead of sent: those that waited too long, and those of
//! which only the place is known.

use super::{Drain, Drained, ROOM_MOST};
use crate::lane::machine::{Ages, Event, GivenUp, WhyGivenUp};

impl<E: Event> Drain<E> {
    /// The oldest event without a dead letter on its way, when it must get one.
    fn next_given_up(&self, ages: Ages) -> Option<(&Drained<E>, WhyGivenUp)> {
        let next = self.buffer.get(self.letters.len())?;
        if next.event.is_gone() {
            return Some((next, WhyGivenUp::SourceGone));
        }
        let too_old = match next.event.is_elsewhere() {
            true => ages.elsewhere.max(ages.too_old),
            false => ages.too_old,
        };
        (next.parked_at < too_old).then_some((next, WhyGivenUp::Expired))
    }

    /// Whether another dead letter must be written now.
    pub(in crate::lane::machine) fn must_give_up(&self, ages: Ages) -> bool {
        !self.is_attempting() && self.letters.has_room() && self.next_given_up(ages).is_some()
    }

    /// Whether dead letters are on their way.
    pub(in crate::lane::machine) fn is_giving_up(&self) -> bool {
        !self.letters.is_empty()
    }

    /// A dead letter is produced for the oldest event that must get one.
    pub(in crate::lane::machine) fn give_up(
        &mut self,
        number: u64,
        ages: Ages,
    ) -> Option<GivenUp<E>>
    where
        E: Clone,
    {
        let (next, why) = self.next_given_up(ages)?;
        let given_up = GivenUp {
            event: next.event.clone(),
            why,
            by_place: self.by_place == Some(next.event.offset()),
        };
        self.letters.produce(number, why);
        Some(given_up)
    }

    /// A dead letter was written. Says why, when it is one of ours.
    pub(in crate::lane::machine) fn letter_written(&mut self, number: u64) -> Option<WhyGivenUp> {
        self.letters.acked(number)
    }

    /// Lets the events go whose dead letters are written. Returns how many, and the last one's offset.
    pub(in crate::lane::machine) fn let_go(&mut self) -> Option<(u32, i64)> {
        let mut gone = None;
        while self.letters.settle() {
            let drained = self.buffer.pop_front()?;
            self.buffered = self.buffered.saturating_sub(drained.event.cost());
            let (events, _) = gone.unwrap_or((0, 0));
            gone = Some((events + 1, drained.event.offset()));
        }
        if gone.is_some() {
            self.room = (self.room * 2).min(ROOM_MOST);
        }
        gone
    }

    /// A dead letter was refused. Says whether it is one of ours.
    pub(in crate::lane::machine) fn letter_refused(&mut self, number: u64) -> bool {
        self.letters.failed(number)
    }

    /// The topic does not take a dead letter: it goes again with the event's place only.
    pub(in crate::lane::machine) fn letter_too_large(&mut self, number: u64) {
        let place = self.letters.place(number);
        let refused = place.and_then(|place| self.buffer.get(place));
        if let Some(refused) = refused {
            self.by_place = Some(refused.event.offset());
        }
    }
}
