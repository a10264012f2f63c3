//! How long attempts may begin without a word from the group.
//!
//! A worker that was stopped, suspended or cut off may have lost its partitions and not know it. It
//! must not send then: another worker may be sending already. Owns the moment until which the group
//! cannot have given the partitions away, as far as this worker knows. The consumer thread moves it,
//! shards read it before each attempt. It narrows the window in which two workers send; the epoch
//! is what makes that window harmless.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is kept of a session for an attempt to travel, and for the coordinator's clock.
const MARGIN: Duration = Duration::from_secs(2);

/// See the module. Times are [`crate::clock::since_boot`].
#[derive(Debug)]
pub struct Lease {
    term: Duration,
    /// Milliseconds since boot; 0 before the first word of the group.
    until: AtomicU64,
}

impl Lease {
    /// When to ask again after a refusal: nobody calls a shard when the lease goes on.
    pub const LOOK_AGAIN: Duration = Duration::from_millis(100);

    /// A lease that has not begun.
    pub(super) fn new(session_timeout: Duration) -> Self {
        Self {
            // A session that is hardly longer than the margin is halved instead.
            term: session_timeout
                .saturating_sub(MARGIN)
                .max(session_timeout / 2),
            until: AtomicU64::new(0),
        }
    }

    /// A lease that nothing ends, where there is no group.
    pub(super) fn endless() -> Self {
        Self {
            term: Duration::ZERO,
            until: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether an attempt may begin.
    pub fn allows(&self, since_boot: Duration) -> bool {
        millis(since_boot) < self.until.load(Ordering::Relaxed)
    }

    /// The group knew this member at that moment or later. Never shortens the lease.
    pub(super) fn renew(&self, since_boot: Duration) {
        let until = millis(since_boot.saturating_add(self.term));
        self.until.fetch_max(until, Ordering::Relaxed);
    }

    /// The group does not know this member any more.
    pub(super) fn end(&self) {
        self.until.store(0, Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(10);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_begins_before_the_group_has_spoken() {
        assert!(!Lease::new(SESSION).allows(Duration::ZERO));
    }

    #[test]
    fn attempts_end_two_seconds_before_the_session_does() {
        let lease = Lease::new(SESSION);
        lease.renew(seconds(100));
        assert!(lease.allows(seconds(107)));
        assert!(!lease.allows(seconds(108)));
    }

    #[test]
    fn an_old_word_does_not_shorten_the_lease_and_a_refusal_ends_it() {
        let lease = Lease::new(SESSION);
        lease.renew(seconds(100));
        lease.renew(seconds(90));
        assert!(lease.allows(seconds(107)));
        lease.end();
        assert!(!lease.allows(seconds(100)));
        lease.renew(seconds(101));
        assert!(lease.allows(seconds(102)));
    }

    #[test]
    fn a_short_session_leaves_some_time_to_send() {
        let lease = Lease::new(seconds(2));
        lease.renew(Duration::ZERO);
        assert!(lease.allows(Duration::from_millis(999)));
        assert!(!lease.allows(seconds(1)));
    }
}
