//! What the owner of a partition lets be committed, under which epoch and which configuration.
//!
//! Nothing of a partition is committed before its shard has claimed it: until then the group's commit
//! is the predecessor's and must stay. Owns the claim, the commit that the shard waits for, and what
//! keeps the shard from claiming. Touched when a partition is claimed or configured and at commits, never
//! on the way of an event.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use parcelhook_crds::lane::Epoch;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::rebalance::lock;

/// Nobody waits for a commit, or wants another start.
const NONE: i64 = i64::MAX;

/// How soon a new epoch must be in the group's commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// With the next commit that is made anyway: nothing of the epoch waits for it.
    WithNextCommit,
    /// Now, also with a frontier that has not moved.
    Now,
}

/// The random part of an epoch: from the system's generator, so that two workers that take the same
/// number never share it.
pub fn random_bits() -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // A version 4 UUID has six fixed bits (RFC 9562); folded, none of them stays fixed.
    high.rotate_left(32) ^ low
}

/// What may be committed of a partition at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Up to here everything is done.
    pub(super) frontier: i64,
    /// The owner.
    pub(super) epoch: Epoch,
    /// What it runs; the frontier rests on nothing newer.
    pub(super) cfg: Option<Revision>,
    /// Both must be committed even if the frontier has not moved.
    pub(super) now: bool,
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    epoch: Epoch,
    cfg: Option<Revision>,
    claim: Claim,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Claims {
    claimed: Mutex<Option<Claimed>>,
    awaited: AtomicI64,
    /// Where the partition should have begun.
    wanted_start: AtomicI64,
    /// The configuration without which the shard must not claim the partition.
    lacked: Mutex<Option<Revision>>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            claimed: Mutex::new(None),
            awaited: AtomicI64::new(NONE),
            wanted_start: AtomicI64::new(NONE),
            lacked: Mutex::new(None),
        }
    }
}

impl Claims {
    /// The latest epoch counts; the same one can only become more urgent. The configuration is never
    /// one that is older than before.
    pub(super) fn claim(&self, epoch: Epoch, cfg: Option<Revision>, claim: Claim) {
        let mut claimed = lock(&self.claimed);
        let known = claimed.filter(|known| known.epoch >= epoch);
        *claimed = Some(Claimed {
            epoch: known.map_or(epoch, |known| known.epoch),
            cfg: cfg.max(claimed.and_then(|before| before.cfg)),
            claim: match known {
                Some(known) if known.epoch > epoch || claim == Claim::WithNextCommit => known.claim,
                Some(_) | None => claim,
            },
        });
    }

    /// The owner has taken a configuration over. An older one changes nothing.
    pub(super) fn configure(&self, cfg: Option<Revision>) {
        if let Some(claimed) = &mut *lock(&self.claimed) {
            claimed.cfg = claimed.cfg.max(cfg);
        }
    }

    /// The shard lacks that configuration, or none any more.
    pub(super) fn lack(&self, cfg: Option<Revision>) {
        *lock(&self.lacked) = cfg;
    }

    /// The configuration that keeps the shard from claiming the partition.
    pub(super) fn lacked(&self) -> Option<Revision> {
        *lock(&self.lacked)
    }

    /// Somebody waits for a commit at or above an offset. Of several such the lowest counts.
    pub(super) fn wait_for(&self, offset: i64) {
        self.awaited.fetch_min(offset, Ordering::Relaxed);
    }

    /// Nobody waits any more when this offset is committed under the present configuration. Returns
    /// whether somebody did.
    pub(super) fn arrived(&self, committed: i64, cfg: Option<Revision>) -> bool {
        let awaited = self.awaited.load(Ordering::Relaxed);
        let present = || lock(&self.claimed).is_some_and(|claimed| cfg >= claimed.cfg);
        // What came in between is lower: it is answered at the next look.
        committed >= awaited
            && present()
            && self
                .awaited
                .compare_exchange(awaited, NONE, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The partition should have begun there.
    pub(super) fn want_start(&self, frontier: i64) {
        self.wanted_start.store(frontier, Ordering::Relaxed);
    }

    /// Where the partition should have begun, if the shard said so.
    pub(super) fn wanted_start(&self) -> Option<i64> {
        let wanted = self.wanted_start.load(Ordering::Relaxed);
        (wanted != NONE).then_some(wanted)
    }

    /// What may be committed; none before the partition is claimed.
    pub(super) fn standing(&self, frontier: i64) -> Option<Standing> {
        let Claimed { epoch, cfg, claim } = (*lock(&self.claimed))?;
        Some(Standing {
            frontier,
            epoch,
            cfg,
            now: claim == Claim::Now || self.awaited.load(Ordering::Relaxed) <= frontier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(n: u32) -> Epoch {
        Epoch { n, random: 7 }
    }

    #[test]
    fn nothing_may_be_committed_before_the_claim() {
        assert_eq!(Claims::default().standing(5), None);
    }

    fn cfg(number: u64) -> Option<Revision> {
        Some(Revision { lineage: 1, number })
    }

    #[test]
    fn a_later_epoch_replaces_an_earlier_one_and_never_the_other_way_round() {
        let claims = Claims::default();
        claims.claim(epoch(2), None, Claim::Now);
        claims.claim(epoch(1), None, Claim::Now);
        claims.claim(epoch(2), None, Claim::WithNextCommit);
        let standing = claims.standing(5).unwrap();
        assert_eq!((standing.epoch, standing.now), (epoch(2), true));
        claims.claim(epoch(3), None, Claim::WithNextCommit);
        let standing = claims.standing(5).unwrap();
        assert_eq!((standing.epoch, standing.now), (epoch(3), false));
        claims.claim(epoch(3), None, Claim::Now);
        assert!(claims.standing(5).unwrap().now);
    }

    #[test]
    fn a_configuration_is_claimed_with_the_epoch_and_never_becomes_older() {
        let claims = Claims::default();
        claims.configure(cfg(9));
        assert_eq!(claims.standing(5), None, "a configuration is no claim");
        let carried = || claims.standing(5).unwrap().cfg;
        claims.claim(epoch(1), cfg(2), Claim::WithNextCommit);
        claims.configure(cfg(1));
        assert_eq!(carried(), cfg(2));
        claims.configure(cfg(3));
        claims.claim(epoch(2), cfg(2), Claim::Now);
        assert_eq!(carried(), cfg(3));
    }

    #[test]
    fn who_waits_for_a_commit_gets_one_as_soon_as_the_frontier_is_there() {
        let claims = Claims::default();
        claims.claim(epoch(1), None, Claim::WithNextCommit);
        claims.wait_for(10);
        claims.wait_for(12);
        assert!(!claims.standing(9).unwrap().now);
        assert!(claims.standing(10).unwrap().now);
        assert!(!claims.arrived(9, None));
        assert!(claims.arrived(10, None));
        assert!(!claims.arrived(100, None), "answered once");
    }

    #[test]
    fn a_commit_that_was_made_under_an_older_configuration_is_not_the_one_waited_for() {
        let claims = Claims::default();
        claims.claim(epoch(1), cfg(1), Claim::WithNextCommit);
        claims.configure(cfg(2));
        claims.wait_for(10);
        assert!(!claims.arrived(10, cfg(1)) && !claims.arrived(10, None));
        assert!(claims.arrived(10, cfg(2)));
    }
}
