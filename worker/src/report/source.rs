//! What the consumer thread tells, and what is told of the worker's own topics. Plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelhook_crds::revision::Revision;

/// What the consumer thread tells about itself.
#[derive(Clone, Debug, Default)]
pub struct SourceReport {
    /// Whether the group has answered with an assignment (possibly empty).
    pub joined: bool,
    /// Partitions owned now.
    pub partitions: Vec<PartitionReport>,
    /// Records read.
    pub records_read: u64,
    /// Bytes read (keys, values and headers).
    pub bytes_read: u64,
    /// Bytes read and not yet done with.
    pub bytes_in_flight: u64,
    /// Commits by result.
    pub commits_ok: u64,
    /// Commits that failed.
    pub commits_failed: u64,
    /// Assignments and revocations.
    pub rebalances: u64,
    /// Events lost before they were read, by cause (`retention`, `truncation`).
    pub events_lost: BTreeMap<&'static str, u64>,
    /// Times the stall watchdog made a new consumer.
    pub stalls: u64,
    /// Topics that targets name and the cluster does not have.
    pub missing_topics: Vec<String>,
}

/// One owned partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Next offset to be read.
    pub position: i64,
    /// Last committed offset.
    pub committed: Option<i64>,
    /// Records of the log that are not yet read, when known.
    pub lag: Option<i64>,
    /// Whether reading is paused because of the byte budget.
    pub paused: bool,
    /// The configuration that another worker has run it with and this one lacks: it waits for it.
    pub lacks: Option<Revision>,
}

/// What the worker tells of its work with its own topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnTopicsReport {
    /// How many of its Kafka producers have failed and were replaced.
    pub producers_replaced: u64,
    /// Bytes that were handed to the producer and are not answered.
    pub unanswered_bytes: u64,
    /// Records of the retry topic that could not be read, each time one was met.
    pub retry_unreadable: u64,
    /// Records of the lanes topic that could not be read.
    pub lanes_unreadable: u64,
}
