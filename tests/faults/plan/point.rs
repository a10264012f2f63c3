//! Failpoints, as faults choose them: each once, in an order that is left to chance, then each again. So
//! none is missing from a run of some length.

use fastrand::Rng;
use parcelhook_worker::failpoint::Failpoint;

/// A failpoint that is compared and printed by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) Failpoint);

/// The points that are still to come before all come again.
#[derive(Debug, Default)]
pub(super) struct Points(Vec<Failpoint>);

impl Points {
    pub(super) fn next(&mut self, dice: &mut Rng) -> Point {
        if self.0.is_empty() {
            self.0.extend(Failpoint::ALL);
        }
        let drawn = dice.usize(..self.0.len());
        Point(self.0.swap_remove(drawn))
    }
}

impl Point {
    /// How often an armed worker comes to this point for certain, or nearly so.
    pub(super) fn often(self) -> u32 {
        match self.0 {
            Failpoint::SuccessBeforeCommit
            | Failpoint::SuccessBeforeRow
            | Failpoint::RowBeforePark
            | Failpoint::ParkAckedBeforeRowAcked
            | Failpoint::CutoverBeforeTombstone
            | Failpoint::CutoverAfterTombstone => 3,
            // Once a partition that has rows.
            Failpoint::TakeoverRowsWritten | Failpoint::TakeoverBeforeCommit => 1,
            // A worker is asked to end in order to reach it, which happens once.
            Failpoint::RevokeCallback => 1,
        }
    }
}
