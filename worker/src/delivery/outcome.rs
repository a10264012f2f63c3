//! What an attempt came to. The one place that reads a status code.

use std::time::Duration;

/// The classification of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Outcome {
    /// A 2xx head.
    Delivered,
    /// The target asks for less: 429, or 503 with Retry-After.
    Throttled {
        /// The wait it asked for, already bounded.
        retry_after: Option<Duration>,
    },
    /// The target cannot be reached or answers with a passing fault.
    Unavailable {
        /// The wait it asked for, already bounded.
        retry_after: Option<Duration>,
    },
    /// Somebody must change the configuration, here or there.
    Misconfigured,
    /// 410: the target wants no more.
    Gone,
    /// The events themselves are refused.
    Rejected,
}

/// Why an attempt failed: a closed set, used as REASON, as metric label and in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It did not fail.
    Delivered,
}

impl Reason {
    /// The word in tables, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered",
        }
    }
}
