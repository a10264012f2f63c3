//! When a worker whose configuration is older than the group's gives way to the others. Pure.
//!
//! A partition that was run with a newer configuration waits, and its events with it. The roll-out usually
//! reaches this worker within the time that a person would not notice. When it does not, the worker leaves
//! the group, so that workers that have the configuration get the partition; it joins again with it.

use std::time::{Duration, Instant};

use parcelhook_crds::revision::Revision;

/// How long a partition may wait for this worker's configuration.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Since when some partition has waited.
    since: Option<Instant>,
    left_for: Option<Revision>,
}

impl Behind {
    /// `lacked` is the newest configuration that a partition waits for. Says whether the worker leaves
    /// the group now.
    pub(super) fn look(&mut self, lacked: Option<Revision>, now: Instant) -> bool {
        let Some(lacked) = lacked.filter(|_| self.left_for.is_none()) else {
            self.since = None;
            return false;
        };
        let since = *self.since.get_or_insert(now);
        let leaves = now.saturating_duration_since(since) >= PATIENCE;
        self.left_for = leaves.then_some(lacked);
        leaves
    }

    /// The worker runs that configuration. Says whether it joins the group again.
    pub(super) fn configured(&mut self, revision: Option<Revision>) -> bool {
        let joins = self.left_for.is_some_and(|left| revision >= Some(left));
        if joins {
            self.left_for = None;
        }
        joins
    }

    /// The configuration for which it has left the group.
    pub(super) fn left_for(&self) -> Option<Revision> {
        self.left_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn revision(number: u64) -> Option<Revision> {
        Some(Revision { lineage: 1, number })
    }

    #[test]
    fn it_leaves_after_its_patience_and_joins_with_what_it_lacked() {
        let (mut behind, now) = (Behind::default(), clock::now());
        assert!(!behind.look(revision(5), now));
        assert!(!behind.look(revision(6), now + PATIENCE / 2));
        assert!(behind.look(revision(6), now + PATIENCE));
        assert_eq!(behind.left_for(), revision(6));
        assert!(
            !behind.look(None, now + PATIENCE),
            "it has no partitions now"
        );
        assert!(!behind.configured(revision(5)));
        assert_eq!(behind.left_for(), revision(6));
        assert!(behind.configured(revision(6)));
        assert_eq!(behind.left_for(), None);
    }

    #[test]
    fn a_wait_that_ended_does_not_count() {
        let (mut behind, now) = (Behind::default(), clock::now());
        assert!(!behind.look(revision(5), now));
        assert!(!behind.look(None, now + PATIENCE / 2));
        assert!(!behind.look(revision(5), now + PATIENCE));
        assert!(!behind.configured(revision(5)), "it has not left");
    }
}
