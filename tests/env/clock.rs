//! The one place of the environment that reads a clock.

use std::time::Instant;

/// Monotonic time: for deadlines and for the order of what was seen.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the ban points to"
)]
pub fn now() -> Instant {
    Instant::now()
}
