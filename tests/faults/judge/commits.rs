//! What commits and rows say was delivered, held against what was.
//!
//! Owns nothing: what a commit passes and a lane has not got becomes a doubt in [`super::coverage`].

use super::{Invariant, Judge, Lane, RowSeen, WorkerNumber};
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
    pub(super) fn row(&mut self, at_ms: u64, lane: Lane, epoch: &str, row: Option<&RowSeen>) {
        self.coverage.row(lane, epoch, row);
        let Some(row) = row else {
            return;
        };
        self.counts.rows += 1;
        self.counts.insured += u64::from(row.insured);
        self.verdict.checked(Invariant::CommitSafety, 1);
        let through = row.delivered_through;
        if let Some(missing) = self.missing(lane, through + 1, 1).first() {
            let Lane { target, place } = lane;
            let what = format!(
                "the row of target {target} at {place} calls everything up to {through} delivered, \
                 but offset {missing} was not"
            );
            self.verdict.broken(Invariant::CommitSafety, at_ms, what);
        }
    }

    pub(super) fn committed(
        &mut self,
        look: u64,
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
                self.coverage.doubt(look, lane, (offset, epoch), missing);
            }
        }
    }
}
