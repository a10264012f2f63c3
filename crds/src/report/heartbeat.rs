//! What a worker tells of itself, again and again.
//!
//! Bounded: each list has its own bound, and what does not fit is told by a later report. Holds no body
//! and no secret. What a lane row tells is not told again here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Revision;
use crate::lane::LastFailure;

/// How often a worker tells of itself when nothing happens. What changes is told within a second.
pub const EVERY: Duration = Duration::from_secs(10);

/// One report. Times are milliseconds since the Unix epoch, by the worker's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// When the worker started.
    pub started_at: i64,
    /// When this was written.
    pub at: i64,
    /// The configuration that it runs; none until it has one, and with a plain directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Targets of that configuration that it cannot run as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
    /// Targets that took a delivery since the report before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successes: Vec<Success>,
    /// Lanes that fail and have no row, because their events are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingLane>,
    /// Targets of which events were given up lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_lettered: Vec<DeadLettered>,
    /// Topics that targets name and the cluster does not have, or does not show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_topics: Vec<String>,
}

/// A target that a worker cannot run as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The target.
    pub target: Uuid,
    /// The generation.
    pub generation: i64,
    /// What is wrong.
    pub message: String,
}

/// A target that takes deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Success {
    /// The target.
    pub target: Uuid,
    /// When the last one ended.
    pub at: i64,
}

/// A target of which events were given up: written to its dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLettered {
    /// The target.
    pub target: Uuid,
    /// When the last one was.
    pub at: i64,
    /// Why it was: one CamelCase word.
    pub reason: String,
}

/// A lane whose last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingLane {
    /// The target.
    pub target: Uuid,
    /// The source topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When it began to fail.
    pub since: i64,
    /// When it tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<i64>,
    /// The last failure.
    pub last_failure: LastFailure,
}

impl Heartbeat {
    /// The report's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and fixed fields only: nothing in it can fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a report; none for what is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_the_same_bytes_in_every_release_and_comes_back() {
        let target = Uuid::from_u128(7);
        let report = Heartbeat {
            started_at: 1_000,
            at: 2_000,
            revision: Some(Revision {
                lineage: 0xab,
                number: 3,
            }),
            rejected: vec![Rejected {
                target,
                generation: 2,
                message: "spec.endpoint.tls: x".to_owned(),
            }],
            successes: vec![Success { target, at: 1_900 }],
            failing: vec![FailingLane {
                target,
                topic: "orders".to_owned(),
                partition: 3,
                attempts: 2,
                since: 1_800,
                next_attempt: None,
                last_failure: LastFailure {
                    at: 1_850,
                    reason: "Timeout".to_owned(),
                    status: None,
                    message: None,
                },
            }],
            dead_lettered: vec![DeadLettered {
                target,
                at: 1_950,
                reason: "Expired".to_owned(),
            }],
            missing_topics: vec!["orders".to_owned()],
        };
        let text = String::from_utf8(report.encode()).unwrap();
        insta::assert_snapshot!(text, @r#"{"startedAt":1000,"at":2000,"revision":"ab:3","rejected":[{"target":"00000000-0000-0000-0000-000000000007","generation":2,"message":"spec.endpoint.tls: x"}],"successes":[{"target":"00000000-0000-0000-0000-000000000007","at":1900}],"failing":[{"target":"00000000-0000-0000-0000-000000000007","topic":"orders","partition":3,"attempts":2,"since":1800,"lastFailure":{"at":1850,"reason":"Timeout"}}],"deadLettered":[{"target":"00000000-0000-0000-0000-000000000007","at":1950,"reason":"Expired"}],"missingTopics":["orders"]}"#);
        assert_eq!(Heartbeat::decode(text.as_bytes()), Some(report));
        let idle = Heartbeat {
            started_at: 1,
            at: 2,
            ..Heartbeat::default()
        };
        assert_eq!(idle.encode(), br#"{"startedAt":1,"at":2}"#);
        assert_eq!(Heartbeat::decode(b"x"), None);
    }
}
