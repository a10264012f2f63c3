//! Targets that are missing, and lanes that end.
//!
//! Absence is not deletion. While a target's manifest is missing its lanes are suspended, each with a
//! row that says since when, even with nothing parked: so an owner that has never heard of the target
//! parks its events by the row, and none is lost. Such a lane is an *orphan*. A lane ends when its
//! target was deleted, or was missing for too long; then what it has parked is given up and its
//! tombstone is written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::{LaneRow, ParkReason, Wants};

use super::machine::Due;
use super::matching::Targets;
use super::shard::Shard;
use super::target::Target;
use super::{Lane, LaneKey};
use crate::clock;

/// What is known of an orphan.
#[derive(Debug)]
pub struct Orphan {
    /// What it takes from its topic.
    pub wants: Wants,
    /// Since when the target is missing, milliseconds since the Unix epoch.
    pub absent_since: i64,
    /// When it counts as deleted.
    ends: Instant,
}

impl Orphan {
    /// As a row tells. `absence` is how long a target may be missing.
    pub(super) fn new(row: &LaneRow, absence: Duration, now: Instant) -> Self {
        let unix = clock::unix_millis();
        // A clock that went back gives the target a whole absence again, never more.
        let absent_since = row.absent_since.unwrap_or(unix).min(unix);
        let missing = Duration::from_millis(unix.abs_diff(absent_since));
        Self {
            wants: row.wants.clone(),
            absent_since,
            ends: now + absence.saturating_sub(missing),
        }
    }
}

impl<P> Shard<P> {
    /// Lanes of targets that are missing leave live at once, so that a successor knows of them.
    pub(super) fn keep_absent(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get(&slot) else {
            return;
        };
        let is_absent = |lane: &Lane| {
            let target = self.targets.get(&lane.uid);
            target.is_some_and(|target| target.of.absent_since.is_some())
        };
        let leave: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| lane.machine.is_live() && !lane.ending && is_absent(lane))
            .map(|(key, _)| key)
            .collect();
        for key in leave {
            self.leave(key, ParkReason::Suspended, Due::Never, now);
        }
    }

    /// The lane's target is no more: nothing of it is sent, and what is parked is given up.
    pub(super) fn end_lane(&mut self, key: LaneKey) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let id = partition.id.clone();
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        if let Some(abort) = lane.abort.take() {
            abort.abort();
        }
        let Some(parked) = lane.machine.backlog().map(|backlog| backlog.parked) else {
            partition.remove(key.index);
            return;
        };
        lane.machine.end();
        lane.ending = true;
        let uid = lane.uid;
        tracing::warn!(
            event = "lane.given_up", lane = %id, target = %uid, parked,
            "the target has ended: its parked events are given up"
        );
        partition.discard(key.index);
        self.follow_drain(key);
        self.stir(key);
    }

    /// Ends the orphans that were kept long enough.
    pub(super) fn end_orphans(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        if !partition.has_orphans || partition.own.is_none() {
            return;
        }
        let orphans: Vec<(LaneKey, Instant)> = partition
            .lanes()
            .filter(|(_, lane)| !lane.ending)
            .filter_map(|(key, lane)| Some((key, lane.orphan()?.ends)))
            .collect();
        partition.has_orphans = !orphans.is_empty();
        for (key, ends) in orphans {
            if ends <= now {
                self.end_lane(key);
            }
        }
    }

    /// Topics that must be read although no target may want them any more: a lane of theirs still has
    /// something to deliver, to keep or to write.
    pub fn topics_in_use(&self) -> BTreeSet<Arc<str>> {
        self.partitions
            .values()
            .filter(|partition| {
                let mut lanes = partition.lanes();
                lanes.any(|(_, lane)| lane.ending || lane.orphan().is_some())
            })
            .map(|partition| Arc::clone(&partition.id.topic))
            .collect()
    }
}

impl Lane {
    /// What is known of it when its target is not known.
    pub(super) fn orphan(&self) -> Option<&Orphan> {
        self.away.as_ref()?.orphan.as_deref()
    }
}

/// Writes into a row what a successor must know that does not know the target.
pub(super) fn tell<P>(row: &mut LaneRow, lane: &Lane, targets: &Targets<P>, topic: &str) {
    let target = targets.get(&lane.uid);
    row.absent_since = match (target, lane.orphan()) {
        (Some(target), _) => target.of.absent_since,
        (None, orphan) => orphan.map(|orphan| orphan.absent_since),
    };
    row.wants = match (target, lane.orphan()) {
        (Some(target), _) if !lane.ending => wants(target, topic),
        (None, Some(orphan)) => orphan.wants.clone(),
        (Some(_) | None, _) => Wants::Nothing,
    };
}

fn wants<P>(target: &Target<P>, topic: &str) -> Wants {
    match target.source(topic).map(|source| &source.filter) {
        Some(Some(filter)) => Wants::Matching(filter.clone()),
        Some(None) => Wants::Everything,
        None => Wants::Nothing,
    }
}
