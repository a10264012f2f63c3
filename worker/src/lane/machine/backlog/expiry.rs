//! Parked events that are given up: too old, or of which only the place is left.
//!
//! The lane reads its bucket for its oldest event when that is overdue, due or not, and writes a dead
//! letter for each event at the front that must be given up. Invariant: `delivered_through`, the place
//! where a successor resumes, and the cut-over pass an event only when its dead letter is acked.

use std::time::Instant;

use super::{Backlog, Drain, Lacks, Phase};
use crate::lane::machine::weak::{Weakness, weakened};
use crate::lane::machine::{Ages, Event, GivenUp, Machine, Sight, WhyGivenUp, Work};

impl<E: Event> Machine<E> {
    /// A dead letter is produced for the oldest drained event that must get one; its result comes back
    /// with `number`.
    pub fn give_up(&mut self, number: u64, ages: Ages) -> Option<GivenUp<E>>
    where
        E: Clone,
    {
        self.backlog.as_mut()?.give_up(number, ages)
    }

    /// Nothing that was read may be sent yet, and nothing of it must be given up: back to waiting.
    pub fn rest(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.rest();
        }
    }

    /// Events that retention took since the last call, at most: other targets' events between them
    /// cannot be told from ours.
    pub fn take_lost(&mut self) -> u64 {
        let backlog = self.backlog.as_mut();
        backlog.map_or(0, |backlog| std::mem::take(&mut backlog.lost))
    }
}

impl<E: Event> Backlog<E> {
    /// Whether the bucket must be read for the oldest event.
    pub fn is_overdue(&self, ages: Ages) -> bool {
        let overdue = match self.oldest_is_elsewhere {
            true => ages.elsewhere.max(ages.overdue),
            false => ages.overdue,
        };
        self.oldest_parked_at.is_some_and(|at| at < overdue)
    }

    /// Whether dead letters are on their way.
    pub(super) fn is_giving_up(&self) -> bool {
        match &self.phase {
            Phase::Draining(drain) => drain.is_giving_up(),
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    /// Whether an attempt may be made when there is something to send.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.due.has_come(now) && !self.suspended
    }

    /// What must be done with what was read before anything of it is sent. `Some(None)` says that it is
    /// being done.
    pub(super) fn giving_up_work(
        &self,
        drain: &Drain<E>,
        now: Instant,
        sight: Sight,
    ) -> Option<Option<Work>> {
        if drain.must_give_up(sight.ages) {
            return Some(Some(Work::GiveUp));
        }
        if drain.is_giving_up() {
            return Some(drain.wanted(sight.room_most).map(|_| Work::More));
        }
        let idle = !drain.is_attempting() && !self.may_send(now);
        let all_read = drain.is_empty() && self.has_read_all(drain) && !self.lacks_some(drain);
        // With nothing left a lane is live again, due or not, unless its target is suspended.
        let rests = !drain.is_empty() || self.suspended && all_read;
        (idle && rests).then_some(Some(Work::Rest))
    }

    fn give_up(&mut self, number: u64, ages: Ages) -> Option<GivenUp<E>>
    where
        E: Clone,
    {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let given_up = drain.give_up(number, ages);
        if weakened(Weakness::PassesUnwrittenLetters) {
            self.letter_written(number);
        }
        given_up
    }

    /// A dead letter was written: what has one at the front is done.
    pub(super) fn letter_written(&mut self, number: u64) -> Option<WhyGivenUp> {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let why = drain.letter_written(number)?;
        if let Some((events, last)) = drain.let_go() {
            self.passed(last);
            self.behind.gave_up(last);
            // A transaction that lost events is formed anew.
            self.attempted = self.attempted.filter(|(first, _)| *first > last);
            self.parked = self.parked.saturating_sub(u64::from(events));
            self.follow();
            self.row.changed(Lacks::Progress);
        }
        Some(why)
    }

    /// A dead letter was refused. Says whether it is one of ours.
    pub(super) fn letter_refused(&mut self, number: u64) -> bool {
        match &mut self.phase {
            Phase::Draining(drain) => drain.letter_refused(number),
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    fn rest(&mut self) {
        if let Phase::Draining(drain) = &self.phase {
            if drain.is_empty() {
                self.oldest_parked_at = None;
            }
            self.stop_draining();
        }
    }

    /// Retention took events: counts those that the drain went past.
    pub(super) fn count_lost(&mut self, skipped: u64) {
        let lost = skipped.min(self.parked);
        self.lost += lost;
        self.parked -= lost;
    }
}
