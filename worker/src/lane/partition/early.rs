//! What is read before a partition is owned.
//!
//! An earlier owner's rows may name lanes of targets that nobody here knows, and this worker's own
//! configuration may be too old to run the partition: until both are settled records are offered to
//! nobody. Bounded by the byte budget, in which they count.

use crate::source::record::Record;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Early {
    records: Vec<Record>,
    position: Option<i64>,
}

impl Early {
    /// Records come, in offset order.
    pub(super) fn take(&mut self, records: Vec<Record>) {
        self.records.extend(records);
    }

    /// The log moved on without records.
    pub(super) fn pass(&mut self, position: i64) {
        self.position = Some(position);
    }

    /// The records, and where the log stands behind them when it moved on.
    pub(super) fn into_parts(self) -> (Vec<Record>, Option<i64>) {
        (self.records, self.position)
    }
}
