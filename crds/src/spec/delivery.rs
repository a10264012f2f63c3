//! Bounds of requests.

/// An upper bound of requests over all workers of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per second.
    pub requests_per_second: u32,
    /// Requests that may go at once after a quiet time.
    pub burst: u32,
}
