//! What a consumer group remembers of its targets: enough to keep a target's events while nobody can say
//! what has become of its manifest.
//!
//! Holds no secret and no address: nothing can be sent by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::compiled::{
    CompiledTarget, Endpoint, Format, Method, OnHeadFailing, OnReject, Retry, RetryAfterPolicy,
    Source, StartFrom, Tls, TransactionLimits,
};
use crate::secret::Secret;

/// A target as it was last seen by a worker of its group. Written when that changes, and again once a
/// day; a tombstone says that the target has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownTarget {
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// The topics that it reads, each with its filter.
    pub sources: Vec<Source>,
    /// Where it began.
    pub start_from: StartFrom,
    /// How long a parked event is kept before it becomes a dead letter, milliseconds.
    pub max_age: u64,
    /// Topic for its dead letters; none is the worker group's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<String>,
    /// Since when its manifest is missing, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<i64>,
}

impl KnownTarget {
    /// What is remembered of a target.
    pub fn of(target: &CompiledTarget, absent_since: Option<i64>) -> Self {
        Self {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            sources: target.sources.clone(),
            start_from: target.start_from,
            max_age: u64::try_from(target.retry.max_age.as_millis()).unwrap_or(u64::MAX),
            dead_letter_topic: target.dead_letter_topic.clone(),
            absent_since,
        }
    }

    /// A target by which its events are kept and nothing is sent.
    pub fn suspended(&self, uid: Uuid) -> CompiledTarget {
        CompiledTarget {
            uid,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            suspend: true,
            sources: self.sources.clone(),
            start_from: self.start_from,
            endpoint: nowhere(),
            authentication: None,
            signing_keys: Vec::new(),
            format: Format::default(),
            event_type: String::new(),
            transaction: TransactionLimits {
                max_events: 1,
                max_bytes: 1,
            },
            timeout: Duration::from_secs(1),
            retry: self.retry(),
            on_reject: OnReject::default(),
            on_head_failing: OnHeadFailing::default(),
            dead_letter_topic: self.dead_letter_topic.clone(),
            failure_threshold: 1,
            deleted: false,
            requests: Vec::new(),
        }
    }

    fn retry(&self) -> Retry {
        Retry {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(1),
            max_age: Duration::from_millis(self.max_age),
            retry_after: RetryAfterPolicy::default(),
            reject_attempts: 1,
            status_overrides: Vec::new(),
        }
    }

    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and fixed fields only: nothing in it can fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a value; none for what is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

fn nowhere() -> Endpoint {
    Endpoint {
        url: Secret::new(""),
        shown_url: String::new(),
        method: Method::default(),
        headers: Vec::new(),
        tls: Tls::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::{Filter, KeyMatch, SourceClass};

    fn known() -> KnownTarget {
        KnownTarget {
            namespace: "default".to_owned(),
            name: "shop".to_owned(),
            sources: vec![Source {
                topic: "orders".to_owned(),
                class: SourceClass::Persistent,
                filter: Some(Filter {
                    headers: Vec::new(),
                    keys: vec![KeyMatch::Exact("7".to_owned())],
                }),
            }],
            start_from: StartFrom::Timestamp(5),
            max_age: 60_000,
            dead_letter_topic: None,
            absent_since: Some(9),
        }
    }

    #[test]
    fn what_is_remembered_is_the_same_bytes_in_every_release() {
        let text = String::from_utf8(known().encode()).unwrap();
        insta::assert_snapshot!(text, @r#"{"namespace":"default","name":"shop","sources":[{"topic":"orders","class":"Persistent","filter":{"keys":[{"type":"Exact","value":"7"}]}}],"startFrom":{"timestamp":5},"maxAge":60000,"absentSince":9}"#);
    }

    #[test]
    fn a_target_comes_back_from_memory_as_far_as_its_events_are_concerned() {
        let known = KnownTarget::decode(&known().encode()).unwrap();
        let target = known.suspended(Uuid::from_u128(7));
        assert!(target.suspend && target.endpoint.url.expose().is_empty());
        assert_eq!(target.start_from, StartFrom::Timestamp(5));
        assert_eq!(target.retry.max_age, Duration::from_secs(60));
        assert_eq!(KnownTarget::of(&target, Some(9)), known);
    }
}
