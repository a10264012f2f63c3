//! The one wide log line of an attempt.
//!
//! A delivery is logged at `debug`, a receiver's failure at `warn`. The line says what was sent where
//! and what came of it, in fields; it holds no body, no response text, no URL and no credential.

use crate::delivery::{Attempt, Outcome};
use crate::report::{OUTCOME_LABELS, outcome_index};

/// What was attempted. Everything borrowed: building one costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// Namespace of the target.
    pub namespace: &'a str,
    /// Name of the target.
    pub target: &'a str,
    /// Transaction id.
    pub transaction: &'a str,
    /// Topic of the lane.
    pub topic: &'a str,
    /// Partition of the lane.
    pub partition: i32,
    /// First and last offset.
    pub offsets: (i64, i64),
    /// Number of events.
    pub events: usize,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

/// Logs what an attempt came to. `next_attempt_ms` is the wait before the next one, when there is
/// one.
pub fn log(attempted: &Attempted, result: &Attempt, next_attempt_ms: Option<u64>) {
    // The macro takes its level as a constant, so the fields stand in one macro of ours.
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                event = "delivery.attempted",
                namespace = attempted.namespace,
                target = attempted.target,
                transaction = attempted.transaction,
                topic = attempted.topic,
                partition = attempted.partition,
                first_offset = attempted.offsets.0,
                last_offset = attempted.offsets.1,
                events = attempted.events,
                attempt = attempted.attempt,
                outcome = OUTCOME_LABELS[outcome_index(result.outcome)],
                reason = result.reason.as_str(),
                status = result.status,
                duration_ms = result.duration.as_secs_f64() * 1000.0,
                next_attempt_ms,
                $message
            )
        };
    }
    match result.outcome {
        Outcome::Delivered => line!(debug, "delivered"),
        Outcome::Throttled { .. }
        | Outcome::Unavailable { .. }
        | Outcome::Misconfigured
        | Outcome::Gone
        | Outcome::Rejected => line!(warn, "delivery failed"),
    }
}
