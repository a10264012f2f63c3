//! What follows a failed attempt.

/// Whether a Retry-After header is honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfterPolicy {
    /// It is, up to the longest backoff.
    #[default]
    Honor,
    /// It is not.
    Ignore,
}

/// What happens to an event that is rejected by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReject {
    /// It becomes a dead letter.
    #[default]
    DeadLetter,
    /// The lane waits for a person.
    Block,
}

/// What happens to a lane whose head keeps failing while the target takes other events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHeadFailing {
    /// It waits.
    #[default]
    Wait,
    /// The head becomes a dead letter.
    DeadLetter,
}

/// A status code that a target moves to another outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusOverride {
    /// Status code, 300 to 599.
    pub code: u16,
    /// What it means for this target.
    pub outcome: OverrideOutcome,
}

/// The outcomes a status may be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideOutcome {
    /// Counts as delivered.
    Delivered,
    /// Slow down.
    Throttled,
    /// Try again later.
    Unavailable,
    /// Configuration must change.
    Misconfigured,
    /// Stop.
    Gone,
    /// The events are refused.
    Rejected,
}
