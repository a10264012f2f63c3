//! The gates before what a new configuration brings to a partition that runs already.
//!
//! A new lane, and a new selection of an old one, begins at s, the partition's position when the
//! configuration was applied. That is nowhere written down: after a crash the successor begins it at the
//! group's commit. Below s the commit would bring events that the target should not have, and bring them
//! *after* some from s on. So nothing from s on is sent or parked for the lane before a commit at or above
//! s is acknowledged that carries the configuration; then a successor knows the target, for it does not
//! run with an older configuration, begins it at s or above, and every event between is delivered, parked,
//! or not committed. What waits meanwhile counts in the byte budget. The commit only waits for attempts
//! that are in flight: one that takes longer than [`PATIENCE`] has its events parked as well, so they hold
//! nothing up.
//!
//! Without revisions the gate still orders the target's events whoever takes over. It does not make a
//! successor know the target then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::ParkReason;
use parcelhook_crds::revision::Revision;

use super::LaneKey;
use super::machine::Due;
use super::shard::Shard;
use crate::clock;
use crate::source::ledger::Seq;

/// How long an attempt may keep the commit below the gate.
const PATIENCE: Duration = Duration::from_secs(1);

/// One gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gate {
    from: i64,
    cfg: Option<Revision>,
    since: Instant,
}

impl Gate {
    /// A gate at the offset `from`, for what the configuration `cfg` brings.
    pub(super) fn shut(from: i64, cfg: Option<Revision>, since: Instant) -> Self {
        Self { from, cfg, since }
    }

    /// Where it stands: events from this offset on wait.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// Whether an acknowledged commit opens it.
    pub(super) fn opens(&self, committed: i64, cfg: Option<Revision>) -> bool {
        committed >= self.from && cfg >= self.cfg
    }
}

/// What of a lane waits for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// All: it is a new lane.
    Everything,
    /// What is behind the gate: its target selects anew from there on.
    Behind,
}

/// The gates of a partition that are shut, oldest first. Each configuration has its own, for what waits
/// behind one keeps the commit below the next. They open in their order.
#[derive(Debug, Default)]
pub struct Gates(VecDeque<Shut>);

#[derive(Debug)]
struct Shut {
    gate: Gate,
    /// The ledger's seq behind which its lanes are held.
    end: Seq,
    /// Identities of the lanes.
    lanes: Vec<u64>,
}

impl Gates {
    /// The oldest.
    pub(super) fn first(&self) -> Option<Gate> {
        self.0.front().map(|shut| shut.gate)
    }

    /// Shuts another for these lanes.
    fn shut(&mut self, gate: Gate, end: Seq, lanes: Vec<u64>) {
        self.0.push_back(Shut { gate, end, lanes });
    }

    /// Opens those that a commit opens. Returns the identities of lanes that waited for them.
    fn open(&mut self, committed: i64, cfg: Option<Revision>) -> Vec<u64> {
        let mut opened = Vec::new();
        let opens = |shut: &mut Shut| shut.gate.opens(committed, cfg);
        while let Some(shut) = self.0.pop_front_if(opens) {
            opened.extend(shut.lanes);
        }
        opened
    }

    /// Behind which seq events of that lane wait.
    pub(super) fn limit(&self, lane: u64) -> Option<Seq> {
        let holds = |shut: &&Shut| shut.lanes.contains(&lane);
        self.0.iter().find(holds).map(|shut| shut.end)
    }
}

impl<P> Shard<P> {
    /// These lanes began at the partition's position, or select anew from there: they wait for a commit.
    pub(super) fn shut_gate(&mut self, slot: u32, lanes: Vec<u64>, now: Instant) {
        let revision = self.revision;
        if lanes.is_empty() {
            return;
        }
        if let Some(partition) = self.partitions.get_mut(&slot) {
            let from = partition.position();
            let gate = Gate::shut(from, partition.cfg(revision), now);
            let end = partition.end();
            partition.gates.shut(gate, end, lanes);
            partition.progress().tell_committed_from(from);
        }
    }

    /// A commit was acknowledged that carries a configuration.
    pub(super) fn open_gate(
        &mut self,
        slot: u32,
        committed: i64,
        cfg: Option<Revision>,
        now: Instant,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        let lanes = partition.gates.open(committed, cfg);
        if let Some(next) = partition.gates.first() {
            partition.progress().tell_committed_from(next.from());
        }
        if lanes.is_empty() {
            return;
        }
        for key in partition.let_go(&lanes) {
            self.stir(key);
        }
        self.keep_absent(slot, now);
    }

    /// Parks what has kept a gate shut for too long.
    pub(super) fn hasten_gate(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get(&slot) else {
            return;
        };
        let gate = partition.gates.first();
        let Some(gate) = gate.filter(|gate| now >= gate.since + PATIENCE) else {
            return;
        };
        if partition.frontier() >= gate.from() || !partition.may_act() {
            return;
        }
        let holds = |oldest: Option<i64>| oldest.is_some_and(|offset| offset < gate.from());
        let slow: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| lane.machine.is_live())
            .filter(|(_, lane)| holds(partition.records(lane).next().map(|record| record.offset)))
            .map(|(key, _)| key)
            .collect();
        let due = Due::At(now, clock::unix_millis());
        for key in slow {
            self.leave(key, ParkReason::Overflow, due, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfg(number: u64) -> Option<Revision> {
        Some(Revision { lineage: 1, number })
    }

    #[test]
    fn gates_open_in_their_order_and_a_lane_waits_for_its_first() {
        let now = clock::now();
        let mut gates = Gates::default();
        gates.shut(Gate::shut(10, cfg(1), now), 5, vec![1]);
        gates.shut(Gate::shut(12, cfg(2), now), 7, vec![1, 2]);
        assert_eq!((gates.limit(1), gates.limit(2)), (Some(5), Some(7)));
        assert_eq!(gates.limit(3), None);
        assert!(gates.open(9, cfg(2)).is_empty(), "below");
        assert!(gates.open(10, None).is_empty(), "an older configuration");
        assert_eq!(gates.open(10, cfg(2)), [1]);
        assert_eq!((gates.limit(1), gates.limit(2)), (Some(7), Some(7)));
        assert!(gates.open(12, cfg(1)).is_empty());
        assert_eq!(gates.open(13, cfg(2)), [1, 2]);
        assert_eq!(gates.first(), None);
    }
}
