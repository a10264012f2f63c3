//! What follows a failed attempt.

use std::time::Duration;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{self, GepDuration};

/// What follows a failed attempt. Waits double from initialBackoff to maxBackoff.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = duration::no_longer_than("initialBackoff", "maxBackoff"))]
pub struct Retry {
    /// initialBackoff is the wait before the second attempt.
    #[serde(default = "default_initial_backoff")]
    #[x_kube(validation = duration::within("100ms", "1h"))]
    pub initial_backoff: GepDuration,

    /// maxBackoff is the longest wait between attempts.
    #[serde(default = "default_max_backoff")]
    #[x_kube(validation = duration::within("1s", "24h"))]
    pub max_backoff: GepDuration,

    /// maxAge is how long an event waits for the webhook before it becomes a dead letter.
    #[serde(default = "default_max_age")]
    #[x_kube(validation = duration::within("1m", "8760h"))]
    pub max_age: GepDuration,

    /// retryAfter says whether a Retry-After response header is honored, up to maxBackoff.
    #[serde(default)]
    pub retry_after: RetryAfterPolicy,

    /// rejectAttempts is the number of attempts of a single event that the webhook rejects before
    /// onReject applies.
    #[serde(default = "default_reject_attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub reject_attempts: u16,

    /// statusOverrides move response status codes to another outcome for this webhook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["code".into()]))]
    pub status_overrides: Vec<StatusOverride>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial_backoff: default_initial_backoff(),
            max_backoff: default_max_backoff(),
            max_age: default_max_age(),
            retry_after: RetryAfterPolicy::default(),
            reject_attempts: default_reject_attempts(),
            status_overrides: Vec::new(),
        }
    }
}

fn default_initial_backoff() -> GepDuration {
    Duration::from_secs(2).into()
}

fn default_max_backoff() -> GepDuration {
    Duration::from_secs(512).into()
}

fn default_max_age() -> GepDuration {
    Duration::from_secs(144 * 60 * 60).into()
}

fn default_reject_attempts() -> u16 {
    3
}

/// Whether a Retry-After header is honoured.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryAfterPolicy {
    /// It is, up to the longest backoff.
    #[default]
    Honor,
    /// It is not.
    Ignore,
}

/// What happens to an event that is rejected by itself.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnReject {
    /// It becomes a dead letter.
    #[default]
    DeadLetter,
    /// The lane waits for a person.
    Block,
}

/// What happens to a lane whose head keeps failing while the target takes other events.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHeadFailing {
    /// It waits.
    #[default]
    Wait,
    /// The head becomes a dead letter.
    DeadLetter,
}

/// A status code that a target moves to another outcome.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusOverride {
    /// code is the response's status code.
    #[schemars(range(min = 300, max = 599))]
    pub code: u16,

    /// outcome is what it means for this webhook.
    pub outcome: OverrideOutcome,
}

/// The outcomes a status may be moved to.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
