//! The one place that reads the clocks. Everything else is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time: for waits, deadlines and what is judged by its own age here.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the ban points to"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time, milliseconds since the Unix epoch: for times that leave the process.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the ban points to"
)]
pub fn unix_millis() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
