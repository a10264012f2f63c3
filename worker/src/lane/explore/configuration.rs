//! Worlds in which workers have different configurations: an earlier one that knows another target only, and
//! a newer one that knows the target of the explored lane, too. The roll-out reaches sessions in any order.
//!
//! The other target takes every event in its turn, so that the frontier may be below the gate.

use parcelhook_crds::revision::Revision;

use super::outside::Outside;
use super::session::{Session, now};
use super::variant::{Variant, is};
use crate::lane::gate::Gate;

/// What a worker's configuration knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Knows {
    /// The lane's target, and nobody numbers configurations: there is one only, and no other target.
    All,
    /// The other target.
    Other,
    /// The lane's target as well.
    Both,
}

impl Knows {
    /// The configuration's number.
    pub(super) fn cfg(self) -> Option<Revision> {
        let number = match self {
            Self::All => return None,
            Self::Other => 1,
            Self::Both => 2,
        };
        Some(Revision { lineage: 1, number })
    }

    /// Whether the lane's target is in it.
    pub(super) fn has_lane(self) -> bool {
        match self {
            Self::All | Self::Both => true,
            Self::Other => false,
        }
    }

    fn has_other(self) -> bool {
        match self {
            Self::Other | Self::Both => true,
            Self::All => false,
        }
    }
}

impl Session {
    /// Events below this are done.
    pub(super) fn done(&self) -> i64 {
        match self.knows {
            Knows::All => self.frontier,
            Knows::Other => self.other,
            Knows::Both => self.frontier.min(self.other),
        }
    }

    /// Events below this the lane may send or park.
    pub(super) fn visible(&self) -> i64 {
        match self.gate {
            Some(gate) => gate.from(),
            None => self.position,
        }
    }

    /// Whether there is a lane, and something may be asked of it.
    pub(super) fn has_lane(&self) -> bool {
        self.may_act() && self.knows.has_lane() && self.gate.is_none()
    }

    /// Whether the other target lacks an event.
    pub(super) fn other_waits(&self) -> bool {
        self.may_act() && self.knows.has_other() && self.other < self.position
    }

    /// The next event of the source is read. Without the lane nobody but the other target wants it.
    pub(super) fn read(&mut self) {
        self.position += 1;
        self.follow_reading();
        self.drive(now());
    }

    /// Events that no lane wants are passed once the partition is owned.
    pub(super) fn follow_reading(&mut self) {
        if self.may_act() && !self.knows.has_lane() {
            self.frontier = self.position;
        }
    }

    /// The roll-out reaches this worker.
    pub(super) fn configure(&mut self, outside: &mut Outside) {
        let runs = self.may_act();
        self.knows = Knows::Both;
        if runs && !is(Variant::SendsBeforeItsCommit) {
            let cfg = self.knows.cfg().filter(|_| !is(Variant::AnyCommitOpens));
            self.gate = Some(Gate::shut(self.position, cfg, now()));
        }
        if let Some(take_over) = &mut self.take_over {
            let steps = take_over.configured(self.knows.cfg());
            self.perform(steps);
            self.promise_if_taken_over(outside);
        }
        self.drive(now());
    }

    /// Whoever runs with the lane owes its target everything from here on.
    pub(super) fn promise_if_taken_over(&self, outside: &mut Outside) {
        if self.may_act() && self.knows.has_lane() && self.gate.is_none() {
            outside.promise(self.frontier);
        }
    }

    /// A commit is acknowledged: it may open the gate.
    pub(super) fn open_gate(&mut self, committed: i64, knows: Knows, outside: &mut Outside) {
        if let Some(gate) = self.gate.filter(|gate| gate.opens(committed, knows.cfg())) {
            self.gate = None;
            outside.promise(gate.from());
            self.drive(now());
        }
    }
}
