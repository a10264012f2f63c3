//! How soon a change is published: at once when it is quiet, later when changes do not end.
//!
//! Pure.

use std::time::{Duration, Instant};

/// Least time from a change to its publication: what comes together goes together.
const GATHER: Duration = Duration::from_millis(200);

/// Longest time between two publications under changes that do not end.
const LONGEST: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gap: GATHER,
            last: None,
            due: None,
        }
    }
}

impl Pace {
    /// Something changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let after_last = self.last.map(|last| last + self.gap);
        let due = after_last.map_or(now + GATHER, |after| after.max(now + GATHER));
        self.due.get_or_insert(due);
    }

    /// When to publish; none when nothing changed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It is being published.
    pub(super) fn published(&mut self, now: Instant) {
        let busy = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.gap * 2);
        self.gap = if busy {
            (self.gap * 2).min(LONGEST)
        } else {
            GATHER
        };
        self.last = Some(now);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_change_in_a_quiet_time_goes_after_a_moment() {
        let (mut pace, now) = (Pace::default(), clock::now());
        assert_eq!(pace.due(), None);
        pace.changed(now);
        pace.changed(now + GATHER / 2);
        assert_eq!(
            pace.due(),
            Some(now + GATHER),
            "more changes do not delay it"
        );
        pace.published(now + GATHER);
        let later = now + Duration::from_secs(60);
        pace.changed(later);
        assert_eq!(pace.due(), Some(later + GATHER));
    }

    #[test]
    fn changes_that_do_not_end_are_published_at_most_each_ten_seconds() {
        let (mut pace, mut now) = (Pace::default(), clock::now());
        let mut gaps = Vec::new();
        let mut last = now;
        for _ in 0..12 {
            pace.changed(now);
            now = pace.due().unwrap();
            pace.published(now);
            gaps.push(now - last);
            last = now;
        }
        assert!(gaps.is_sorted());
        assert_eq!(gaps.last(), Some(&LONGEST));
    }
}
