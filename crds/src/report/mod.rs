//! What workers tell through the reports topic.
//!
//! ```text
//!   key    (group)           value   Claim
//!   key    (group, worker)   value   Heartbeat; a tombstone says that the worker has ended
//!   key    (group, target)   value   KnownTarget; a tombstone says that the target has ended
//! ```
//!
//! Keys are compact JSON with a fixed order of fields, so that compaction works. Fields that are not
//! known are skipped, so an older reader understands a newer writer. No I/O.

mod heartbeat;
mod known;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use heartbeat::{DeadLettered, EVERY, FailingLane, Heartbeat, Rejected, Success};
pub use known::KnownTarget;

/// Key of a record of the reports topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReportKey {
    /// The consumer group.
    pub group: String,
    /// The worker; none is what holds for the whole group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The target that the group remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Uuid>,
}

/// Whose a consumer group is, and how its members find what they write. Recorded by the first worker of
/// the group; all others go by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The installation that the group belongs to.
    pub installation: String,
    /// Over how many partitions of the retry topic targets are spread.
    pub retry_buckets: i32,
    /// Over how many partitions of the lanes topic rows are spread.
    pub lanes_partitions: i32,
}

impl ReportKey {
    /// The key of a group's claim.
    pub fn of_group(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            worker: None,
            target: None,
        }
    }

    /// The key of what a group remembers of a target.
    pub fn of_target(group: &str, target: Uuid) -> Self {
        Self {
            target: Some(target),
            ..Self::of_group(group)
        }
    }

    /// The key of what a worker tells of itself. `worker` is a name that no other worker has, and that a
    /// worker that is started again does not have again.
    pub fn of_worker(group: &str, worker: &str) -> Self {
        Self {
            worker: Some(worker.to_owned()),
            ..Self::of_group(group)
        }
    }

    /// The key's bytes: the same for the same key, always.
    pub fn encode(&self) -> Vec<u8> {
        // Strings only: nothing in it can fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a key; none for what is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Claim {
    /// The claim's bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a claim; none for what is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim {
            installation: "main".to_owned(),
            retry_buckets: 32,
            lanes_partitions: 16,
        }
    }

    #[test]
    fn claims_are_the_same_bytes_in_every_release() {
        let key = ReportKey::of_group("parcelhook.main.default").encode();
        assert_eq!(key, br#"{"group":"parcelhook.main.default"}"#);
        assert_eq!(
            claim().encode(),
            br#"{"installation":"main","retryBuckets":32,"lanesPartitions":16}"#
        );
    }

    #[test]
    fn claims_come_back_and_foreign_records_do_not() {
        assert_eq!(Claim::decode(&claim().encode()), Some(claim()));
        let key = ReportKey::of_group("g");
        assert_eq!(ReportKey::decode(&key.encode()), Some(key));
        assert_eq!(Claim::decode(b"{}"), None);
        assert_eq!(ReportKey::decode(b"g"), None);
        let of_worker = ReportKey::decode(br#"{"group":"g","worker":"w","later":1}"#).unwrap();
        assert_eq!(of_worker.worker.as_deref(), Some("w"));
        let of_target = ReportKey::of_target("g", Uuid::from_u128(7));
        assert_eq!(ReportKey::decode(&of_target.encode()), Some(of_target));
    }
}
