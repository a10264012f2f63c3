//! Notices a consumer that does not hear its group any more.
//!
//! Some things make librdkafka tell of a rebalance for certain. When it does not, it believes that a
//! rebalance is still under way, skips every later one, and the group waits for this member until
//! `max.poll.interval.ms` has passed; the cure is a new consumer. Owns what is awaited and since when.
//! Pure.
//!
//! One way into it: the number of a topic's partitions changes while the callback of a revocation runs.
//! librdkafka joins again at once, and when the callback ends, the revocation does not end for it (2.12,
//! `rkcg_rebalance_incr_assignment`).

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Hearing {
    patience: Duration,
    awaited: Option<Awaited>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    since: Instant,
    rebalances: u8,
}

impl Hearing {
    /// A consumer that must be told within `patience` of what is awaited.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            awaited: None,
        }
    }

    /// The group has dropped this member, a refused commit says: the partitions are lost, which is told
    /// at the next heartbeat.
    pub(super) fn refused(&mut self, now: Instant) {
        self.awaited.get_or_insert(Awaited {
            since: now,
            rebalances: 1,
        });
    }

    /// Partitions went back in order, for others to have them. An assignment follows at once, an empty
    /// one too, and then the outcome of joining again (KIP-429).
    pub(super) fn gave_back(&mut self, now: Instant) {
        self.awaited = Some(Awaited {
            since: now,
            rebalances: 2,
        });
    }

    /// A rebalance was told.
    pub(super) fn rebalanced(&mut self, now: Instant) {
        self.awaited = self.awaited.and_then(|awaited| {
            let rebalances = awaited.rebalances.checked_sub(1).filter(|left| *left > 0)?;
            Some(Awaited {
                since: now,
                rebalances,
            })
        });
    }

    /// A new consumer was made, of which nothing is known.
    pub(super) fn renewed(&mut self) {
        self.awaited = None;
    }

    /// Whether a new consumer is needed. Says so once.
    pub(super) fn is_deaf(&mut self, now: Instant) -> bool {
        let too_long =
            |awaited: &mut Awaited| now.saturating_duration_since(awaited.since) >= self.patience;
        self.awaited.take_if(too_long).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_dropped_consumer_that_is_not_told_in_time_is_said_once() {
        let now = clock::now();
        let mut hearing = Hearing::new(PATIENCE);
        assert!(!hearing.is_deaf(now + PATIENCE));
        hearing.refused(now);
        hearing.refused(now + PATIENCE / 2);
        assert!(!hearing.is_deaf(now + PATIENCE / 2));
        assert!(hearing.is_deaf(now + PATIENCE));
        assert!(!hearing.is_deaf(now + PATIENCE * 9));
    }

    #[test]
    fn a_rebalance_is_the_news_that_a_dropped_consumer_waits_for() {
        let now = clock::now();
        let mut hearing = Hearing::new(PATIENCE);
        hearing.refused(now);
        hearing.rebalanced(now);
        assert!(!hearing.is_deaf(now + PATIENCE));
        hearing.refused(now + PATIENCE);
        assert!(hearing.is_deaf(now + PATIENCE * 2));
    }

    #[test]
    fn what_was_given_back_is_followed_by_two_rebalances_each_in_its_time() {
        let now = clock::now();
        let mut hearing = Hearing::new(PATIENCE);
        hearing.gave_back(now);
        hearing.rebalanced(now + PATIENCE / 2);
        assert!(!hearing.is_deaf(now + PATIENCE));
        assert!(hearing.is_deaf(now + PATIENCE * 3 / 2));
        hearing.gave_back(now);
        hearing.rebalanced(now);
        hearing.rebalanced(now);
        assert!(!hearing.is_deaf(now + PATIENCE * 9));
    }

    #[test]
    fn the_last_revocation_is_the_one_that_is_followed() {
        let now = clock::now();
        let mut hearing = Hearing::new(PATIENCE);
        hearing.gave_back(now);
        hearing.rebalanced(now);
        hearing.gave_back(now);
        hearing.rebalanced(now);
        assert!(hearing.is_deaf(now + PATIENCE));
    }
}
