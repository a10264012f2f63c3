//! How a lane that is not live takes what was read back, and what its attempts came to.

use super::{Backlog, Phase};
use crate::lane::machine::drain::{Again, Drain, Drainable, DrainedRun, ROOM_FIRST};
use crate::lane::machine::row::Lacks;
use crate::lane::machine::weak::{Weakness, weakened};
use crate::lane::machine::{Event, Failed};

/// A row tells how far a scan came without finding anything of the lane, once it is this far.
const SKIPPED_WORTH_A_ROW: i64 = 10_000;

impl<E: Event> Backlog<E> {
    pub(in crate::lane::machine) fn begin_drain(&mut self) -> (u32, i64, usize) {
        self.drains += 1;
        let from = self.resume_offset;
        let drain = Drain::new(self.drains, self.delivered_through, from);
        self.phase = Phase::Draining(drain);
        (self.drains, from, ROOM_FIRST)
    }

    pub(in crate::lane::machine) fn drained(
        &mut self,
        number: u32,
        runs: Vec<DrainedRun<E>>,
        scanned_to: i64,
    ) {
        let incarnation = self.incarnation;
        let Phase::Draining(drain) = &mut self.phase else {
            return;
        };
        if drain.number != number {
            return;
        }
        let through = drain.through();
        let skipped = drain.take(incarnation, runs);
        drain.scanned(scanned_to);
        if drain.again(self.attempted) == Again::Part {
            drain.widen();
        }
        if skipped > 0 {
            let last = through.saturating_add_unsigned(skipped);
            self.lost_to_retention(last, skipped);
        }
        self.lose_the_rest();
        self.follow();
        self.recount();
    }

    /// Nothing of the lane came since retention took records of it, and nothing comes any more: it took
    /// the last ones, too.
    fn lose_the_rest(&mut self) {
        let Phase::Draining(drain) = &self.phase else {
            return;
        };
        let is_over = drain.is_cut_short() && drain.is_empty() && self.has_read_all(drain);
        let end = self.parked_through.unwrap_or(self.delivered_through);
        if is_over && (self.parked > 0 || self.delivered_through < end) {
            self.lost_to_retention(end, u64::MAX);
        }
    }

    /// Retention took everything up to this offset: so many events, at most. Nobody waits for them any
    /// more, also not who reads what is left once more.
    fn lost_to_retention(&mut self, last: i64, events: u64) {
        self.count_lost(events);
        self.passed(last);
        self.behind.gave_up(last);
        self.row.changed(Lacks::State);
    }

    /// Once everything is read that was parked, what was read is what is left: also where a person gave
    /// events up, or a predecessor died before it told how many it had parked.
    fn recount(&mut self) {
        let Phase::Draining(drain) = &self.phase else {
            return;
        };
        let left = drain.events();
        let is_known = self.has_read_all(drain) && !drain.is_cut_short() && !self.lacks_some(drain);
        if is_known && self.parked != left {
            self.parked = left;
            self.row.changed(Lacks::Count);
        }
    }

    /// Takes over from the drain how far it came.
    pub(super) fn follow(&mut self) {
        let Phase::Draining(drain) = &self.phase else {
            return;
        };
        if let Some((parked_at, is_elsewhere)) = drain.oldest() {
            self.oldest_parked_at = Some(parked_at);
            self.oldest_is_elsewhere = is_elsewhere;
        }
        if drain.has_gap() {
            return;
        }
        self.resume_offset = self.resume_offset.max(drain.resume_offset());
        if self.resume_offset - self.resume_told >= SKIPPED_WORTH_A_ROW {
            self.row.changed(Lacks::Progress);
        }
    }

    pub(in crate::lane::machine) fn cut(&mut self, number: u32, log_start: i64, lost: bool) {
        if let Phase::Draining(drain) = &mut self.phase
            && drain.number == number
        {
            drain.cut(log_start, lost);
            self.resume_offset = log_start;
        }
    }

    pub(in crate::lane::machine) fn more(&mut self, most: usize) -> Option<(u32, usize)> {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let wanted = drain.wanted(most)?;
        drain.grant(wanted);
        Some((drain.number, wanted))
    }

    pub(in crate::lane::machine) fn drainable(&self) -> Option<Drainable<'_, E>> {
        let Phase::Draining(drain) = &self.phase else {
            return None;
        };
        if !drain.may_begin() {
            return None;
        }
        match drain.again(self.attempted) {
            Again::Whole(events) => Some(drain.drainable(Some(events))),
            Again::None | Again::Part | Again::Broken => Some(drain.drainable(None)),
        }
    }

    /// All that was ever parked has been read, and nothing is on its way.
    pub(super) fn has_read_all(&self, drain: &Drain<E>) -> bool {
        self.parks.is_empty() && drain.has_scanned(self.parked_end())
    }

    /// Whether something is missing of what was parked: in the middle, or at the end. What retention took
    /// is counted and not waited for.
    pub(super) fn lacks_some(&self, drain: &Drain<E>) -> bool {
        let through = drain.through().max(self.delivered_through);
        let forgets =
            weakened(Weakness::ForgetsOwnParks) || weakened(Weakness::ForgetsPredecessorsParks);
        let is_behind = !forgets && self.parked_through.is_some_and(|end| through < end);
        drain.has_gap() || (is_behind && !drain.is_cut_short() && self.has_read_all(drain))
    }

    /// Whether the next transaction can be formed. One that was attempted waits until all of it is there,
    /// or what is missing will not come: not from the bucket, and not from the source, where a successor
    /// may not have read it yet.
    pub(super) fn has_transaction(&self, drain: &Drain<E>, position: i64) -> bool {
        match drain.again(self.attempted) {
            Again::Whole(_) | Again::None | Again::Broken => !drain.is_empty(),
            Again::Part => {
                let parked = self.has_read_all(drain);
                let read = self.attempted.is_none_or(|(_, last)| last < position);
                parked && read
            }
        }
    }

    pub(in crate::lane::machine) fn start_drain(&mut self, events: u32) -> Option<u32> {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let span = drain.start(events)?;
        if self.attempted.is_some_and(|attempted| attempted != span) {
            self.attempted = None;
        }
        if weakened(Weakness::PassesWhatIsSent) {
            self.passed(span.1);
        }
        Some(self.attempts.saturating_add(1))
    }

    pub(in crate::lane::machine) fn drain_aborted(&mut self) {
        if let Phase::Draining(drain) = &mut self.phase {
            drain.aborted();
            self.stop_if_suspended();
        }
    }

    pub(in crate::lane::machine) fn drain_delivered(&mut self) -> bool {
        let Phase::Draining(drain) = &mut self.phase else {
            return false;
        };
        let Some((events, last)) = drain.delivered() else {
            return false;
        };
        let had_failed = self.attempts > 0;
        self.passed(last);
        self.parked = self.parked.saturating_sub(u64::from(events));
        self.attempts = 0;
        self.lose_the_rest();
        self.follow();
        self.row.changed(if had_failed {
            Lacks::State
        } else {
            Lacks::Progress
        });
        self.stop_if_suspended();
        had_failed
    }

    pub(super) fn stop_if_suspended(&mut self) {
        if self.suspended {
            self.stop_draining();
        }
    }

    pub(in crate::lane::machine) fn drain_failed(&mut self, failed: Failed) {
        let Phase::Draining(drain) = &mut self.phase else {
            return;
        };
        self.attempted = drain.span().or(self.attempted);
        self.stop_draining();
        self.has_failed(failed);
    }

    /// Back to waiting. What was read is thrown away; the bucket has it.
    pub(super) fn stop_draining(&mut self) {
        self.phase = Phase::Parking;
        self.row.changed(Lacks::State);
    }
}
