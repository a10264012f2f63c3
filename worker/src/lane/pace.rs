//! How many attempts a shard begins at once.
//!
//! Owns when the young attempts in flight began. Each attempt costs a body and often a connection, so
//! a burst over thousands of lanes must not put all of them in flight together: fast receivers are
//! kept busy by few. An attempt counts only while it is young, so that receivers which are slow or
//! hang hold nobody up: after [`YOUNG`] another may begin beside theirs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Young attempts in flight of one shard: enough to keep a core busy with fast receivers.
pub const AT_ONCE: usize = 64;

/// How long an attempt counts. A shard begins at least [`AT_ONCE`] attempts in this time, 3,200 in a
/// second, whatever the receivers do.
pub const YOUNG: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    /// Beginnings of young attempts in flight, oldest first; at most [`AT_ONCE`].
    young: VecDeque<Instant>,
}

impl Pace {
    /// Whether another attempt may begin.
    pub fn allows(&mut self, now: Instant) -> bool {
        while self.next().is_some_and(|grown_up| grown_up <= now) {
            self.young.pop_front();
        }
        self.young.len() < AT_ONCE
    }

    /// An attempt begins.
    pub fn began(&mut self, now: Instant) {
        self.young.push_back(now);
    }

    /// The attempt that began then has ended.
    pub fn ended(&mut self, began: Instant) {
        if let Ok(index) = self.young.binary_search(&began) {
            self.young.remove(index);
        }
    }

    /// When the oldest young attempt no longer counts.
    pub fn next(&self) -> Option<Instant> {
        self.young.front().map(|began| *began + YOUNG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_place_is_free_when_an_attempt_ends_or_grows_up() {
        let now = clock::now();
        let mut pace = Pace::default();
        for _ in 0..AT_ONCE {
            assert!(pace.allows(now));
            pace.began(now);
        }
        assert!(!pace.allows(now));
        pace.ended(now);
        assert!(pace.allows(now));
        pace.began(now);
        assert_eq!(pace.next(), Some(now + YOUNG));
        assert!(pace.allows(now + YOUNG));
        pace.began(now + YOUNG);
        pace.ended(now);
        assert_eq!(
            pace.young.len(),
            1,
            "one that has grown up gives no place back twice"
        );
    }
}
