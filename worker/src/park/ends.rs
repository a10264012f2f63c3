//! Where the buckets of the retry topic end, as far as this worker has seen.
//!
//! Owns one number a bucket that only rises. It is never above the bucket's true end, so a lane that
//! leaves live may note it as the offset from which its parked events are to be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// See the module. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct BucketEnds(Arc<[AtomicI64]>);

impl BucketEnds {
    /// Nothing is known of `buckets` buckets.
    pub fn new(buckets: i32) -> Self {
        Self((0..buckets).map(|_| AtomicI64::new(0)).collect())
    }

    /// An offset that is not above the bucket's end.
    pub fn at_least(&self, bucket: i32) -> i64 {
        self.of(bucket).map_or(0, |end| end.load(Ordering::Relaxed))
    }

    /// The bucket was seen to reach up to `end`.
    pub fn seen(&self, bucket: i32, end: i64) {
        if let Some(known) = self.of(bucket) {
            known.fetch_max(end, Ordering::Relaxed);
        }
    }

    fn of(&self, bucket: i32) -> Option<&AtomicI64> {
        self.0.get(usize::try_from(bucket).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_only_rises_and_a_foreign_bucket_is_nothing() {
        let ends = BucketEnds::new(2);
        ends.seen(1, 5);
        ends.seen(1, 3);
        ends.seen(7, 9);
        assert_eq!(
            [ends.at_least(0), ends.at_least(1), ends.at_least(7)],
            [0, 5, 0]
        );
    }
}
