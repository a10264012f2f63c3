//! The gate before the lane of a new target on a partition that runs already.
//!
//! The lane begins at s, the partition's position when the target was applied. That is nowhere written
//! down: after a crash the successor begins the target at the group's commit. Below s the commit would
//! bring events that the target should not have, and bring them *after* some from s on. So nothing from
//! s on is sent or parked for the lane before a commit at or above s is acknowledged; then a successor
//! begins at s or above, and every event between is delivered, parked, or not committed. What waits
//! meanwhile counts in the byte budget. The commit only waits for attempts that are in flight: one that
//! takes longer than [`PATIENCE`] has its events parked as well, so they hold nothing up.
//!
//! This orders the target's events whoever takes over. It does not make a successor know the target: one
//! whose configuration is older commits past its events, unless revisions keep it from running.

use std::time::{Duration, Instant};

use parcelhook_crds::lane::ParkReason;

use super::LaneKey;
use super::machine::Due;
use super::shard::Shard;
use crate::clock;

/// How long an attempt may keep the commit below the gate.
const PATIENCE: Duration = Duration::from_secs(1);

/// The latest gate of a partition. It opens for all lanes at once.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// A commit at or above this offset opens it.
    from: i64,
    since: Instant,
}

impl<P> Shard<P> {
    /// Lanes began at the partition's position: they wait for a commit there.
    pub(super) fn shut_gate(&mut self, slot: u32, now: Instant) {
        if let Some(partition) = self.partitions.get_mut(&slot) {
            let from = partition.position();
            partition.gate = Some(Gate { from, since: now });
            partition.progress().tell_committed_from(from);
        }
    }

    /// A commit was acknowledged.
    pub fn open_gate(&mut self, slot: u32, committed: i64, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let Some(gate) = partition.gate else {
            return;
        };
        if committed < gate.from {
            partition.progress().tell_committed_from(gate.from);
            return;
        }
        partition.gate = None;
        for key in partition.open_all() {
            self.stir(key);
        }
        self.keep_absent(slot, now);
    }

    /// Parks what has kept a gate shut for too long.
    pub(super) fn hasten_gate(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get(&slot) else {
            return;
        };
        let Some(gate) = partition.gate.filter(|gate| now >= gate.since + PATIENCE) else {
            return;
        };
        if partition.frontier() >= gate.from || !partition.may_act() {
            return;
        }
        let holds = |oldest: Option<i64>| oldest.is_some_and(|offset| offset < gate.from);
        let slow: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| lane.machine.is_live() && !lane.gated)
            .filter(|(_, lane)| holds(partition.records(lane).next().map(|record| record.offset)))
            .map(|(key, _)| key)
            .collect();
        let due = Due::At(now, clock::unix_millis());
        for key in slow {
            self.leave(key, ParkReason::Overflow, due, now);
        }
    }
}
