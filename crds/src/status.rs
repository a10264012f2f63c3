//! `DeliveryTarget.status`: what the operator observed.
//!
//! Everything is bounded and nothing here changes with time alone: no heartbeats, worker counts or
//! rates. It never holds response bodies, header values or secrets.

#![expect(
    unreachable_pub,
    reason = "the KubeSchema derive makes a public twin of each type"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator observed of a target.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryTargetStatus {
    /// observedGeneration is the metadata.generation that this status describes. It is -1 until
    /// the operator has seen the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,

    // The derive takes the description of an optional choice from its type.
    /// state says whether the webhook takes deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,

    /// reason is one CamelCase word for the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub reason: Option<String>,

    /// since is when state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// nextAttempt is when the webhook is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,

    /// parked is the number of events that wait for the webhook. It is refreshed at most once a
    /// minute, and only while state is not UP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub parked: Option<i64>,

    /// oldestParked is when the oldest of the waiting events was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_parked: Option<Time>,

    /// lastFailure is the last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,

    /// conditions are Accepted, ResolvedRefs, Programmed, Ready (the three before) and Available
    /// (the webhook takes deliveries, which is no part of Ready). DataAtRisk is there only while
    /// it is True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Whether a webhook takes deliveries.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(description = "state says whether the webhook takes deliveries.")]
pub enum State {
    /// It does.
    Up,
    /// It does not; its events are parked.
    Down,
    /// The spec says to park instead of sending.
    Suspended,
    /// A rejected event waits for a person.
    Blocked,
    /// Nobody knows: there was no traffic, or no worker tells. So is a state of a later version: an object
    /// with one must stay readable.
    #[serde(other)]
    Unknown,
}

/// A failed attempt.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastFailure {
    /// time is when the attempt ended.
    pub time: Time,

    /// reason is one CamelCase word for the failure, such as Timeout or HTTPStatus.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub reason: String,

    /// statusCode is the response's status code, when there was a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status_code: Option<u16>,

    /// message says the same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_written_as_it_was_read() {
        let status = json!({
            "observedGeneration": 3,
            "state": "DOWN",
            "reason": "HTTPStatus",
            "since": "2026-01-31T12:00:00Z",
            "nextAttempt": "2026-01-31T12:08:32Z",
            "parked": 17,
            "oldestParked": "2026-01-31T12:00:00Z",
            "lastFailure": {
                "time": "2026-01-31T12:00:00Z",
                "reason": "HTTPStatus",
                "statusCode": 503,
                "message": "The webhook answered 503.",
            },
            "conditions": [{
                "type": "Available",
                "status": "False",
                "reason": "HTTPStatus",
                "message": "The webhook answered 503.",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-31T12:00:00Z",
            }],
        });
        let read: DeliveryTargetStatus = serde_json::from_value(status.clone()).unwrap();
        assert_eq!(read.state, Some(State::Down));
        assert_eq!(serde_json::to_value(&read).unwrap(), status);
    }

    #[test]
    fn a_state_of_a_later_version_is_unknown_and_not_unreadable() {
        let read: DeliveryTargetStatus =
            serde_json::from_value(json!({ "state": "LATER" })).unwrap();
        assert_eq!(read.state, Some(State::Unknown));
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            json!({ "state": "UNKNOWN" })
        );
    }

    #[test]
    fn an_empty_status_claims_nothing() {
        let status = DeliveryTargetStatus::default();
        assert_eq!(serde_json::to_value(&status).unwrap(), json!({}));
    }
}
