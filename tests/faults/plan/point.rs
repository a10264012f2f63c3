//! Failpoints, as faults choose them.

use parcelhook_worker::failpoint::Failpoint;

/// A failpoint that is compared and printed by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) Failpoint);

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
