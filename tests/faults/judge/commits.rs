//! What commits and the workers' own topics say, held against what was delivered.
//!
//! Owns nothing: what a commit passes and a lane has not got becomes a doubt in [`super::coverage`].

use super::{
    Invariant, Judge, Lane, RowSeen, Seen, WorkerNumber, letters::Passed, next_wanted, paths,
};
use crate::{roster, source::Place};

/// A worker that sends events of a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) worker: WorkerNumber,
    /// How far the partition could be committed when it began to send: the first event that some
    /// target had not accepted then.
    pub(super) committable: i64,
    /// How far it was committed then, as far as was seen.
    pub(super) committed: i64,
}

impl Judge {
    /// A row must not pass over what was not delivered: a successor would not send it.
    pub(super) fn row(
        &mut self,
        (at_ms, written_ms): (u64, u64),
        lane: Lane,
        epoch: &str,
        row: Option<&RowSeen>,
    ) {
        self.coverage.row(lane, epoch, row);
        let Some(row) = row else {
            return;
        };
        self.counts.rows += 1;
        self.counts.insured += u64::from(row.insured);
        self.counts.overflowed += u64::from(row.overflowed);
        self.counts.suspended += u64::from(row.suspended);
        self.paths.row(lane, epoch, row, &mut self.counts);
        self.verdict.checked(Invariant::CommitSafety, 1);
        let through = row.delivered_through;
        let missing = self.missing(lane, through + 1, usize::MAX);
        let Some(first) = missing.first() else {
            return;
        };
        let Lane { target, place } = lane;
        let what = format!(
            "the row of target {target} at {place} calls everything up to {through} delivered, but \
             offset {first} was not"
        );
        self.passed(Passed {
            seen_ms: at_ms,
            by_ms: written_ms,
            lane,
            offsets: missing,
            invariant: Invariant::CommitSafety,
            what,
        });
    }

    /// Something passed what a lane had not got: wrong, unless that was given up before.
    pub(super) fn passed(&mut self, passed: Passed) {
        let target = roster::TARGETS[usize::from(passed.lane.target) % roster::TARGETS.len()];
        match target.expires {
            true => self.letters.doubt(passed),
            false => self
                .verdict
                .broken(passed.invariant, passed.seen_ms, passed.what),
        }
    }

    pub(super) fn committed(
        &mut self,
        (look, at_ms): (u64, u64),
        place: Place,
        (offset, epoch): (i64, Option<&str>),
    ) {
        match epoch {
            Some(epoch) => self.epochs.insert(place, epoch.to_owned()),
            None => self.epochs.remove(&place),
        };
        let before = self.committed.insert(place, offset);
        self.counts.commits_back += u64::from(before.is_some_and(|before| offset < before));
        self.verdict.checked(Invariant::CommitSafety, 1);
        for (target, _) in roster::all() {
            let lane = Lane { target, place };
            let missing = self.missing(lane, offset, usize::MAX);
            if !missing.is_empty() {
                self.counts.commits_over_parked += 1;
                self.coverage
                    .doubt((look, at_ms), lane, (offset, epoch), missing);
            }
        }
    }

    pub(super) fn parked(&mut self, seen: &Seen) {
        let Seen::Parked {
            lane,
            first,
            last,
            incarnation,
            prev,
            bucket,
            at,
            reference,
        } = seen
        else {
            return;
        };
        self.counts.parked_runs += 1;
        self.counts.references += u64::from(*reference);
        let is_there = |prev| self.coverage.is_parked(*lane, incarnation, prev);
        self.counts.gaps += u64::from(prev.is_some_and(|prev| !is_there(prev)));
        let up_to_the_next = next_wanted(self.source, *lane)(last + 1) - 1;
        self.coverage
            .parked(*lane, incarnation, *first, up_to_the_next);
        let place = paths::Place {
            bucket: *bucket,
            at: *at,
        };
        self.paths
            .parked(*lane, incarnation, (*first, *last), place);
    }

    pub(super) fn letter(&mut self, lane: Lane, offset: i64, written_ms: u64) {
        if !self.letters.written(lane, offset, written_ms) {
            self.counts.letters_again += 1;
            return;
        }
        self.counts.letters += 1;
        let next_wanted = next_wanted(self.source, lane);
        let record = self.lanes.entry(lane).or_default();
        record.accepted.take(offset, next_wanted);
    }

    pub(super) fn tailed(&mut self, at_ms: u64, look: u64, asked_ms: u64) {
        for wrong in self.coverage.tailed(look, &self.letters) {
            self.verdict.broken(Invariant::CommitSafety, at_ms, wrong);
        }
        for (invariant, wrong) in self.letters.tailed(asked_ms) {
            self.verdict.broken(invariant, at_ms, wrong);
        }
    }
}
