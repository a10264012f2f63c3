//! What the lanes of one target share across shards.
//!
//! Owns the target's health, its recovery, and the time until which the whole target is held back. A
//! lock is taken only when an attempt failed, when one succeeded while some lane is failing, and for
//! parked events that are delivered: never on the way of an event to a target that is well.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::health::{Fold, LaneFailure, Transition};
use super::recovery::Recovery;
use crate::clock;
use crate::report::{Health, Recovered};
use crate::source::PartitionId;

/// A target as the whole worker sees it: its configuration and what its lanes share.
#[derive(Debug, Clone)]
pub struct WorkerTarget {
    /// The present configuration.
    pub compiled: Arc<CompiledTarget>,
    /// Shared by all shards and by all versions of the configuration.
    pub shared: Arc<TargetShared>,
    /// Since when its manifest is missing, milliseconds since the Unix epoch.
    pub absent_since: Option<i64>,
}

impl WorkerTarget {
    /// Whether its events are kept and nothing is sent.
    pub fn is_suspended(&self) -> bool {
        self.compiled.suspend || self.absent_since.is_some()
    }

    /// Whether a lane would be treated the same under both.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.compiled, &other.compiled) && self.absent_since == other.absent_since
    }
}

/// What the worker runs at one moment.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its number; none when nobody numbers configurations. Never older than the one before.
    pub revision: Option<Revision>,
    /// The targets, those that are missing included.
    pub targets: Arc<[WorkerTarget]>,
    /// Targets that people have ended.
    pub ended: Arc<[Uuid]>,
}

/// See the module.
#[derive(Debug)]
pub struct TargetShared {
    fold: Mutex<Fold>,
    watches_successes: AtomicBool,
    recovery: Mutex<Recovery>,
    /// When an attempt was last delivered, milliseconds after `epoch` and one more; 0 is never.
    last_success: AtomicU64,
    /// When and why an event was last given up, milliseconds since the Unix epoch.
    given_up: Mutex<Option<(i64, &'static str)>>,
    /// Milliseconds after `epoch`.
    held_until: AtomicU64,
    epoch: Instant,
}

impl TargetShared {
    /// A target of which nothing is known.
    pub fn new(failure_threshold: u32, now: Instant) -> Self {
        Self {
            fold: Mutex::new(Fold::new(failure_threshold)),
            watches_successes: AtomicBool::new(false),
            recovery: Mutex::default(),
            last_success: AtomicU64::new(0),
            given_up: Mutex::default(),
            held_until: AtomicU64::new(0),
            epoch: now,
        }
    }

    /// An attempt of `lane` failed.
    pub fn failed(
        &self,
        lane: &PartitionId,
        failure: LaneFailure,
        now: Instant,
    ) -> Option<Transition> {
        self.with(|fold| fold.failed(lane, failure, now))
    }

    /// An attempt of `lane` was delivered.
    pub fn succeeded(&self, lane: &PartitionId, now: Instant) -> Option<Transition> {
        let millis = self.since_epoch(now).saturating_add(1);
        self.last_success.fetch_max(millis, Ordering::Relaxed);
        if !self.watches_successes.load(Ordering::Relaxed) {
            return None;
        }
        self.with(|fold| fold.succeeded(lane, now, clock::unix_millis()))
    }

    /// The lane is no longer this worker's.
    pub fn forget(&self, lane: &PartitionId, now: Instant) -> Option<Transition> {
        if !self.watches_successes.load(Ordering::Relaxed) {
            return None;
        }
        self.with(|fold| fold.forget(lane, now, clock::unix_millis()))
    }

    /// Time has passed: a target that only asks for less may have done so for too long.
    pub fn look(&self, now: Instant) -> Option<Transition> {
        if !self.watches_successes.load(Ordering::Relaxed) {
            return None;
        }
        self.with(|fold| fold.look(now, clock::unix_millis()))
    }

    /// The configuration changed.
    pub fn set_failure_threshold(&self, failure_threshold: u32) {
        self.with(|fold| fold.set_failure_threshold(failure_threshold));
    }

    /// When an attempt was last delivered, by any lane.
    pub fn last_success(&self) -> Option<Instant> {
        let millis = self.last_success.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.epoch + Duration::from_millis(millis))
    }

    /// An event was given up: its dead letter is written. `unix` is in milliseconds since the Unix epoch.
    pub fn gave_up(&self, why: &'static str, unix: i64) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some((unix, why));
    }

    /// When and why an event was last given up.
    pub fn given_up(&self) -> Option<(i64, &'static str)> {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some lane's last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.watches_successes.load(Ordering::Relaxed)
    }

    /// The lanes whose last attempt failed, in no order.
    pub fn failing(&self) -> Vec<(PartitionId, LaneFailure)> {
        if !self.is_failing() {
            return Vec::new();
        }
        self.with(|fold| fold.failing().collect())
    }

    /// What a person sees.
    pub fn health(&self, suspended: bool) -> Health {
        self.with(|fold| fold.health(suspended))
    }

    /// What was delivered of parked events when the last lane was live again that had not been.
    pub fn last_recovery(&self) -> Option<Recovered> {
        self.recovery(|recovery| recovery.last())
    }

    pub(super) fn recovery<T>(&self, change: impl FnOnce(&mut Recovery) -> T) -> T {
        // Sums for people: what a panic leaves is as good as any.
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut recovery)
    }

    /// The target asked for less: all its lanes wait until then. Never shortens an earlier wait.
    pub fn hold(&self, until: Instant) {
        let millis = self.since_epoch(until);
        self.held_until.fetch_max(millis, Ordering::Relaxed);
    }

    /// Ends a wait, because the target changed.
    pub fn release(&self) {
        self.held_until.store(0, Ordering::Relaxed);
    }

    /// Until when no lane of the target may make an attempt, if that is after `now`.
    pub fn held(&self, now: Instant) -> Option<Instant> {
        let until = self.epoch + Duration::from_millis(self.held_until.load(Ordering::Relaxed));
        (until > now).then_some(until)
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Fold) -> T) -> T {
        // A panic while folding leaves a fold that the next attempt sets right.
        let mut fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut fold);
        self.watches_successes
            .store(fold.watches_successes(), Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_never_shortened_and_ends_by_itself() {
        let now = clock::now();
        let shared = TargetShared::new(1, now);
        assert_eq!(shared.held(now), None);
        shared.hold(now + Duration::from_secs(5));
        shared.hold(now + Duration::from_secs(1));
        assert_eq!(shared.held(now), Some(now + Duration::from_secs(5)));
        assert_eq!(shared.held(now + Duration::from_secs(5)), None);
        shared.hold(now + Duration::from_secs(9));
        shared.release();
        assert_eq!(shared.held(now), None);
    }

    #[test]
    fn the_last_success_is_remembered_also_while_nothing_fails() {
        let now = clock::now();
        let shared = TargetShared::new(1, now);
        assert_eq!((shared.last_success(), shared.is_failing()), (None, false));
        let lane = PartitionId {
            topic: "orders".into(),
            partition: 0,
        };
        shared.succeeded(&lane, now + Duration::from_secs(2));
        shared.succeeded(&lane, now + Duration::from_secs(1));
        assert_eq!(shared.last_success(), Some(now + Duration::from_secs(2)));
    }
}
