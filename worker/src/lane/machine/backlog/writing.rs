//! What a lane that is not live writes: its row, its runs, its tombstone, and what became of them.

use std::time::Instant;

use parcelhook_crds::lane::{LaneRow, Mode, NotBefore, ParkReason, Wants};

use super::{Backlog, Header, Phase};
use crate::lane::machine::row::{Lacks, RowWrites};
use crate::lane::machine::weak::{Weakness, weakened};
use crate::lane::machine::{Event, Span, Written};

impl<E: Event> Backlog<E> {
    /// Why the lane parks and when it tries again, for whoever reads it later: while the target is
    /// suspended that is the reason, and nothing is due. A successor may find it suspended no longer.
    pub(super) fn told(&self) -> (ParkReason, NotBefore) {
        if self.suspended {
            (ParkReason::Suspended, NotBefore::Never)
        } else {
            (self.reason, self.due.not_before())
        }
    }

    /// The lane as a successor should find it.
    pub fn row(&self, bucket: i32) -> LaneRow {
        let (reason, not_before) = self.told();
        LaneRow {
            mode: match self.phase {
                Phase::Parking => Mode::Parking,
                Phase::Draining(_) | Phase::CuttingOver { .. } => Mode::Draining,
            },
            reason,
            incarnation: self.incarnation,
            delivered_through: self.delivered_through,
            attempted: self.attempted,
            bucket,
            resume_offset: self.resume_offset,
            attempts: self.attempts,
            not_before,
            since: self.since,
            oldest_parked_at: self.oldest_parked_at,
            last_failure: self.last_failure.clone(),
            parked: self.parked,
            parked_through: self.parked_through,
            last_request: self.last_request.clone(),
            wants: Wants::Everything,
            absent_since: None,
        }
    }

    pub(in crate::lane::machine) fn write_row(
        &mut self,
        number: u64,
        bucket: i32,
        now: Instant,
    ) -> LaneRow {
        self.row.produce(number, now);
        self.behind.row_produced();
        self.resume_told = self.resume_offset;
        self.row(bucket)
    }

    pub(in crate::lane::machine) fn row_for_new_epoch(&mut self, bucket: i32) -> LaneRow {
        self.row = RowWrites::written();
        self.behind.row_of_new_epoch();
        self.resume_told = self.resume_offset;
        self.row(bucket)
    }

    pub(in crate::lane::machine) fn park(&mut self, number: u64, span: Span) -> Header {
        let prev = self.parks.produce(number, span);
        let (reason, not_before) = self.told();
        Header {
            incarnation: self.incarnation,
            reason,
            prev,
            attempts: self.attempts,
            since: self.since,
            not_before,
            by_reference: self.oversize.reference == Some(span.first),
        }
    }

    /// With which event a run must end that begins at an offset: what a predecessor has parked as well is
    /// counted, and goes apart from what is not.
    pub fn run_end(&self, first: i64) -> Option<i64> {
        self.parked_through.filter(|through| first <= *through)
    }

    /// How many events the run that begins at an offset may have.
    pub fn run_limit(&self, first: i64, most: usize) -> usize {
        let alone = self.oversize.reference == Some(first);
        let singly = self
            .oversize
            .singly_through
            .is_some_and(|through| first <= through);
        if alone || singly { 1 } else { most }
    }

    pub(in crate::lane::machine) fn tombstone(&mut self, number: u64) {
        self.phase = Phase::CuttingOver {
            tombstone: Some(number),
        };
    }

    pub(in crate::lane::machine) fn written(
        &mut self,
        number: u64,
        offset: i64,
    ) -> Option<Written> {
        if let Phase::CuttingOver { tombstone } = self.phase
            && tombstone == Some(number)
        {
            return Some(Written::Tombstone);
        }
        if let Some(last) = self.parks.acked(number, offset) {
            self.parked_at(offset, last);
            return Some(Written::Park);
        }
        if let Some(why) = self.letter_written(number) {
            return Some(Written::DeadLetter(why));
        }
        let ours = self.row.acked(number);
        if ours {
            self.behind.row_written(true);
        }
        ours.then_some(Written::Row)
    }

    /// An event that is not delivered lies below the place to read from only in another log than the one
    /// that was read: the bucket lost its tail, or was made again.
    pub(super) fn parked_at(&mut self, offset: i64, last: i64) {
        if offset < self.resume_offset && last > self.delivered_through {
            self.resume_offset = offset;
            if let Phase::Draining(drain) = &mut self.phase {
                drain.is_astray();
            }
        }
    }

    pub(in crate::lane::machine) fn refused(&mut self, number: u64) {
        if let Phase::CuttingOver { tombstone } = &mut self.phase
            && *tombstone == Some(number)
        {
            *tombstone = None;
            return;
        }
        let others = self.parks.failed(number) || self.letter_refused(number);
        if !others && self.row.failed(number) {
            self.behind.row_written(false);
        }
    }

    /// The topic does not take this run as it is.
    pub(in crate::lane::machine) fn too_large(&mut self, number: u64) {
        match self.parks.find(number) {
            Some((1, last)) => self.oversize.reference = Some(last),
            Some((_, last)) => self.oversize.singly_through = Some(last),
            None => {
                if let Phase::Draining(drain) = &mut self.phase {
                    drain.letter_too_large(number);
                }
            }
        }
        self.refused(number);
    }

    pub(in crate::lane::machine) fn settle(&mut self, terminated: bool, unix: i64) -> u32 {
        self.insure_no_more();
        let is_known = terminated && self.row.is_known();
        if !is_known && !weakened(Weakness::SettlesBeforeRow) {
            return 0;
        }
        let mut settled = 0;
        while let Some((events, last)) = self.parks.settle() {
            let delivered = self.insured.min(events);
            self.insured -= delivered;
            // A successor parks again what its predecessor had not committed: that is counted once.
            if self.run_end(last).is_none() {
                self.parked += u64::from(events - delivered);
                self.parked_through = Some(last);
                self.row.changed(Lacks::Count);
            }
            if self.oldest_parked_at.is_none() {
                self.oldest_parked_at = Some(unix);
                self.oldest_is_elsewhere = self.oversize.reference == Some(last);
            }
            settled += events;
        }
        self.insure_no_more();
        settled
    }

    /// With nothing on its way, no copy is made any more of what was delivered: see [`Self::passed_by`].
    fn insure_no_more(&mut self) {
        if self.parks.is_empty() {
            self.insured = 0;
        }
    }

    /// The queue's events up to this offset were delivered, and no copy of any is on its way.
    pub(in crate::lane::machine) fn passed_by(&self) -> Option<i64> {
        self.parks.is_empty().then_some(self.delivered_through)
    }
}
