//! The clocks of Parcelhook, of which a test may set the wall clock wrong.

pub use parcelhook_kafka::clock::{now, since_boot};

use crate::failpoint;

/// Wall-clock time, milliseconds since the Unix epoch: for timestamps that leave the process.
pub fn unix_millis() -> i64 {
    parcelhook_kafka::clock::unix_millis().saturating_add(failpoint::clock_jumped_millis())
}
