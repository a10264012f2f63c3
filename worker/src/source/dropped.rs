//! Notices a consumer that its group has dropped and that does not join again.
//!
//! A refused commit says that the group has dropped this member, and librdkafka tells it at the next
//! heartbeat. But a rebalance of librdkafka's that never ends, seen where brokers changed leaders all the
//! time, makes it skip every later one, a lost session too: then partitions stay here for ever that
//! others have. Owns since when that has been so. Pure.

use std::time::{Duration, Instant};

/// How long after the refusal a rebalance must have come. The session lasts less, and a new consumer
/// costs no more than the group's own hand-over.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// When the first commit was refused, and how many rebalances there had been.
    since: Option<(Instant, u64)>,
}

impl Dropped {
    /// A commit was refused because the group does not know this member.
    pub(super) fn refused(&mut self, now: Instant, rebalances: u64) {
        self.since.get_or_insert((now, rebalances));
    }

    /// Whether a new consumer is needed. Says so once.
    pub(super) fn is_deaf(&mut self, now: Instant, rebalances: u64) -> bool {
        let Some((since, before)) = self.since else {
            return false;
        };
        let waited = now.saturating_duration_since(since) >= TOLD_WITHIN;
        let told = rebalances != before;
        if told || waited {
            self.since = None;
        }
        waited && !told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_consumer_that_is_not_told_in_time_is_deaf_and_said_so_once() {
        let now = clock::now();
        let mut dropped = Dropped::default();
        assert!(!dropped.is_deaf(now + TOLD_WITHIN, 3));
        dropped.refused(now, 3);
        dropped.refused(now + TOLD_WITHIN / 2, 3);
        assert!(!dropped.is_deaf(now + TOLD_WITHIN / 2, 3));
        assert!(dropped.is_deaf(now + TOLD_WITHIN, 3));
        assert!(!dropped.is_deaf(now + TOLD_WITHIN * 9, 3));
    }

    #[test]
    fn a_rebalance_is_the_news_that_was_waited_for() {
        let now = clock::now();
        let mut dropped = Dropped::default();
        dropped.refused(now, 3);
        assert!(!dropped.is_deaf(now + TOLD_WITHIN, 4));
        dropped.refused(now + TOLD_WITHIN, 4);
        assert!(dropped.is_deaf(now + TOLD_WITHIN * 2, 4));
    }
}
