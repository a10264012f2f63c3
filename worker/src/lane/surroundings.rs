//! What a shard knows of the worker it is part of. Fixed while the worker runs.

use std::time::Duration;

use crate::park::reader::BucketEnds;

/// See the module.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The shard's number, from 0.
    pub shard: u32,
    /// The consumer group, which is part of every row's key.
    pub group: String,
    /// Partitions of the retry topic.
    pub buckets: i32,
    /// Where the buckets end at least.
    pub ends: BucketEnds,
    /// How long the retry topic keeps a record.
    pub retention: Duration,
    /// Bytes of records that the worker may hold.
    pub budget_bytes: u64,
    /// How long a target may be missing before it counts as deleted.
    pub absence: Duration,
}
