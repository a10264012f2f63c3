//! The one place that reads the clocks. Everything else is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time: for waits, deadlines and durations.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the ban points to"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the machine was started, suspended or not: for comparing with what others have waited
/// for us. [`now`] stands still while the machine sleeps.
pub fn since_boot() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let clock = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock goes on while the machine sleeps.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let clock = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

/// Wall-clock time, milliseconds since the Unix epoch: for timestamps that leave the process.
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
