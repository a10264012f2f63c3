//! What a lane that is not live is told: what became of the attempt with which it left live, and what
//! people and configuration ask for.

use std::time::Instant;

use parcelhook_crds::lane::ParkReason;

use super::{Backlog, Phase};
use crate::lane::machine::row::Lacks;
use crate::lane::machine::{Due, Event, Failed, Span};

impl<E: Event> Backlog<E> {
    pub(in crate::lane::machine) fn insured_delivered(&mut self, span: Span) {
        self.passed(span.last);
        // Copies are made of them first, and nothing is drained before the attempt has ended.
        let counted = u32::try_from(self.parked).unwrap_or(u32::MAX);
        let counted = counted.min(span.events);
        self.parked -= u64::from(counted);
        self.insured = span.events - counted;
        self.attempts = 0;
        self.row.changed(Lacks::State);
    }

    pub(in crate::lane::machine) fn insured_failed(&mut self, span: Span, failed: Failed) {
        self.reason = ParkReason::Failed;
        self.attempted = Some((span.first, span.last));
        self.has_failed(failed);
    }

    pub(super) fn passed(&mut self, last: i64) {
        self.delivered_through = self.delivered_through.max(last);
        if self.attempted.is_some_and(|(_, end)| end <= last) {
            self.attempted = None;
        }
    }

    pub(super) fn has_failed(&mut self, failed: Failed) {
        self.attempts = self.attempts.saturating_add(1);
        self.due = failed.due;
        self.last_failure = Some(failed.failure);
        self.row.changed(Lacks::State);
    }

    /// What the row says beside the machine's own state has changed.
    pub(in crate::lane::machine) fn changed(&mut self) {
        self.row.changed(Lacks::State);
    }

    /// The lane has stopped and a person gives up what is up to `offset`, which cannot be beyond what is
    /// parked. Returns how far it went; none in a lane that has not stopped.
    pub(in crate::lane::machine) fn skip_to(&mut self, offset: i64, due: Due) -> Option<i64> {
        if !self.has_gap() || self.drain_is_attempting() {
            return None;
        }
        let to = offset.min(self.parked_through.unwrap_or(offset));
        self.passed(to);
        self.stop_draining();
        self.due = due;
        Some(to)
    }

    pub(super) fn drain_is_attempting(&self) -> bool {
        matches!(&self.phase, Phase::Draining(drain) if drain.is_attempting())
    }

    /// Nothing of the lane is wanted any more: only its tombstone is left to write.
    pub(in crate::lane::machine) fn end(&mut self) {
        if !self.is_cut() {
            self.phase = Phase::CuttingOver { tombstone: None };
        }
    }

    pub(in crate::lane::machine) fn hurry(&mut self, now: Instant, unix: i64) {
        if !self.is_cut() && !self.suspended && !self.due.has_come(now) {
            self.due = Due::At(now, unix);
            self.row.changed(Lacks::State);
        }
    }

    pub(in crate::lane::machine) fn suspend(&mut self, suspended: bool, now: Instant, unix: i64) {
        if self.suspended == suspended {
            return;
        }
        self.suspended = suspended;
        if suspended {
            self.due = Due::Never;
            if let Phase::Draining(drain) = &self.phase
                && !drain.is_attempting()
                && !drain.is_giving_up()
            {
                self.stop_draining();
            }
        } else {
            self.attempts = 0;
            self.due = Due::At(now, unix);
        }
        self.row.changed(Lacks::State);
    }
}
