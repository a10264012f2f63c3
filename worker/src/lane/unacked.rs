//! Runs that were produced and are not acked, by bucket.
//!
//! Owns how many bytes of them each bucket has, and the lanes that wait for room. Over its bound only
//! the lanes of that bucket wait: rows and the other buckets go on.

use rustc_hash::FxHashMap;

use super::LaneKey;
use crate::park::produce::{QUEUE_BYTES, RECORD_OVERHEAD_BYTES};

/// Bytes that all shards together may have unacked in one bucket: half of what the producer takes for
/// one. The other half is for the run with which each shard goes over its share. What the producer
/// refuses costs its partition a pause, and the runs behind it are made again.
const BUCKET_BYTES: usize = QUEUE_BYTES / 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Unacked {
    /// Bytes of a bucket from which on its lanes wait.
    share: usize,
    runs: FxHashMap<(u32, u64), (i32, usize)>,
    buckets: FxHashMap<i32, Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    bytes: usize,
    waiting: Vec<LaneKey>,
}

impl Unacked {
    /// Of one of so many shards.
    pub(super) fn new(shards: u64) -> Self {
        let shards = usize::try_from(shards).unwrap_or(usize::MAX);
        Self {
            share: (BUCKET_BYTES / shards.max(1)).max(1),
            runs: FxHashMap::default(),
            buckets: FxHashMap::default(),
        }
    }

    /// Whether a bucket takes another run. One that is empty takes any.
    pub(super) fn has_room(&self, bucket: i32) -> bool {
        self.buckets
            .get(&bucket)
            .is_none_or(|bucket| bucket.bytes < self.share)
    }

    /// The lane is to be looked at when the bucket takes another run.
    pub(super) fn wait(&mut self, bucket: i32, lane: LaneKey) {
        let bucket = self.buckets.entry(bucket).or_default();
        if !bucket.waiting.contains(&lane) {
            bucket.waiting.push(lane);
        }
    }

    /// A run was produced. It counts as the producer counts it.
    pub(super) fn began(&mut self, slot: u32, number: u64, bucket: i32, bytes: usize) {
        let bytes = bytes + RECORD_OVERHEAD_BYTES;
        self.runs.insert((slot, number), (bucket, bytes));
        self.buckets.entry(bucket).or_default().bytes += bytes;
    }

    /// What became of a run is known. Returns the lanes that may go on.
    pub(super) fn ended(&mut self, slot: u32, number: u64) -> Vec<LaneKey> {
        let Some((number, bytes)) = self.runs.remove(&(slot, number)) else {
            return Vec::new();
        };
        let Some(bucket) = self.buckets.get_mut(&number) else {
            return Vec::new();
        };
        bucket.bytes -= bytes;
        let freed = if bucket.bytes < self.share {
            std::mem::take(&mut bucket.waiting)
        } else {
            Vec::new()
        };
        if bucket.bytes == 0 {
            self.buckets.remove(&number);
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneKey = LaneKey {
        slot: 1,
        index: 2,
        id: 3,
    };

    #[test]
    fn a_bucket_that_does_not_ack_holds_back_its_own_lanes_only() {
        let mut unacked = Unacked::new(2);
        unacked.began(1, 1, 5, BUCKET_BYTES / 2);
        assert!(!unacked.has_room(5) && unacked.has_room(6));
        unacked.wait(5, LANE);
        unacked.wait(5, LANE);
        unacked.began(1, 2, 6, 10);
        assert_eq!(unacked.ended(1, 2), []);
        assert_eq!(unacked.ended(1, 1), [LANE]);
        assert!(unacked.has_room(5) && unacked.buckets.is_empty() && unacked.runs.is_empty());
    }

    #[test]
    fn shards_that_fill_their_shares_with_short_runs_are_never_refused() {
        let mut book = 0;
        for _ in 0..2 {
            let mut unacked = Unacked::new(2);
            for number in 0.. {
                if !unacked.has_room(5) {
                    break;
                }
                unacked.began(1, number, 5, 200);
            }
            book += unacked.buckets[&5].bytes;
        }
        assert!(book <= QUEUE_BYTES / 8, "{book}");
    }

    #[test]
    fn a_report_that_comes_twice_counts_once() {
        let mut unacked = Unacked::new(1);
        unacked.began(1, 1, 5, 10);
        unacked.began(1, 2, 5, 10);
        unacked.ended(1, 1);
        unacked.ended(1, 1);
        assert_eq!(unacked.buckets[&5].bytes, 10 + RECORD_OVERHEAD_BYTES);
    }
}
