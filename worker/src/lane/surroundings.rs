//! What a shard knows of the worker it is part of. Fixed while the worker runs.

use std::time::{Duration, Instant};

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
    /// What the wall clock shows at a time, milliseconds since the Unix epoch: the age of what is parked
    /// counts from the broker's clock.
    pub unix_millis: fn(Instant) -> i64,
    /// Bytes of records that the worker may hold.
    pub budget_bytes: u64,
    /// How many shards share it.
    pub shards: u64,
    /// How long a target may be missing before it counts as deleted.
    pub absence: Duration,
    /// How long an event of a lane that parks may wait for others to share a record: to the next tick of a
    /// clock that ticks as often.
    pub gather: Duration,
}

impl Surroundings {
    /// Bytes of request bodies that the shard may have in flight: as much again as the records in them.
    pub fn body_bytes(&self) -> usize {
        let share = self.budget_bytes / self.shards.max(1);
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// Bytes of parked events that the shard may have read back. They are none of the budget: what is
    /// parked must not keep what is live from coming.
    pub fn drain_bytes(&self) -> usize {
        let share = self.budget_bytes / 2 / self.shards.max(1);
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}
