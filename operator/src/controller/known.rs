//! What is known of the data plane: lanes, workers, and which targets had traffic.
//!
//! Owns the folds of the two topics. Lanes are gathered again at most a few times a second, however many
//! rows come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Entry;
use parcelhook_crds::lane::table::Table;
use parcelhook_crds::report::{DeadLettered, Heartbeat};
use uuid::Uuid;

use crate::health::{Fleet, Gathered, Touched, gather};

/// Least time between two gatherings.
const GATHER_EVERY: Duration = Duration::from_millis(200);

/// What the tail of the topics tells.
#[derive(Debug)]
pub enum Told {
    /// Records of the lanes topic, in their order.
    Lanes(Vec<Entry>),
    /// Reports of workers, in their order; none says that a worker has ended.
    Reports(Vec<(String, Option<Heartbeat>)>),
    /// Everything is read anew: forget the lanes.
    Anew,
    /// What was written before the reading began is read.
    CaughtUp,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    /// The workers.
    pub(super) fleet: Fleet,
    table: Table,
    lanes: BTreeMap<Uuid, Gathered>,
    gather: Option<Instant>,
    gathered: Instant,
    traffic: BTreeSet<Uuid>,
    dead_lettered: Vec<DeadLettered>,
}

impl Known {
    /// Nothing is known of this consumer group.
    pub(super) fn new(group: &str, now: Instant) -> Self {
        Self {
            fleet: Fleet::new(now),
            table: Table::new(group),
            lanes: BTreeMap::new(),
            gather: None,
            gathered: now,
            traffic: BTreeSet::new(),
            dead_lettered: Vec::new(),
        }
    }

    /// Takes what the tail tells.
    pub(super) fn apply(&mut self, told: Told, now: Instant) -> Touched {
        match told {
            Told::Lanes(entries) => {
                for entry in entries {
                    self.table.apply(entry);
                }
                self.gather_soon(now);
                Touched::Only(BTreeSet::new())
            }
            Told::Anew => {
                self.table.clear();
                self.fleet.reads_anew();
                Touched::Only(BTreeSet::new())
            }
            Told::CaughtUp => {
                self.fleet.caught_up();
                // From now on a target without lanes is one whose events do not wait.
                self.gather = Some(now);
                Touched::All
            }
            Told::Reports(reports) => {
                let mut all = BTreeSet::new();
                let mut everyone = false;
                for (worker, report) in reports {
                    let letters = report.iter().flat_map(|report| &report.dead_lettered);
                    self.dead_lettered.extend(letters.cloned());
                    let fails = report
                        .as_ref()
                        .is_some_and(|report| !report.failing.is_empty());
                    match self.fleet.apply(&worker, report, now) {
                        Touched::All => everyone = true,
                        Touched::Only(some) => all.extend(some),
                    }
                    if fails || !all.is_empty() {
                        self.gather_soon(now);
                    }
                }
                if everyone {
                    Touched::All
                } else {
                    Touched::Only(all)
                }
            }
        }
    }

    /// What reports told of dead letters since the last call.
    pub(super) fn take_dead_lettered(&mut self) -> Vec<DeadLettered> {
        std::mem::take(&mut self.dead_lettered)
    }

    /// When lanes must be gathered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.gather
    }

    /// Gathers the lanes. Returns the targets whose lanes changed.
    pub(super) fn regather(&mut self, now: Instant) -> BTreeSet<Uuid> {
        self.gather = None;
        self.gathered = now;
        let failing = self.fleet.live(now).flat_map(|report| &report.failing);
        let lanes = gather(&self.table, failing);
        let both = self.lanes.keys().chain(lanes.keys());
        let changed = both
            .filter(|uid| self.lanes.get(uid) != lanes.get(uid))
            .copied()
            .collect();
        self.lanes = lanes;
        changed
    }

    /// A target's lanes that are not live.
    pub(super) fn lanes(&self, uid: Uuid) -> Gathered {
        self.lanes.get(&uid).cloned().unwrap_or_default()
    }

    /// Remembers that something was tried for a target.
    pub(super) fn had_traffic(&mut self, uid: Uuid, shown: bool) -> bool {
        if shown || self.fleet.success(uid).is_some() || self.lanes.contains_key(&uid) {
            self.traffic.insert(uid);
        }
        self.traffic.contains(&uid)
    }

    /// Forgets a target that has ended.
    pub(super) fn forget(&mut self, uid: Uuid) {
        self.fleet.forget(uid);
        self.traffic.remove(&uid);
    }

    fn gather_soon(&mut self, now: Instant) {
        let due = (self.gathered + GATHER_EVERY).max(now);
        self.gather.get_or_insert(due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::health::Freshness;

    #[test]
    fn who_has_caught_up_gathers_before_anything_is_said_of_targets() {
        let now = clock::now();
        let mut known = Known::new("default", now);
        let reports = Told::Reports(vec![("w".to_owned(), Some(Heartbeat::default()))]);
        known.apply(reports, now);
        known.apply(Told::Lanes(Vec::new()), now);
        assert_eq!(known.due(), Some(now + GATHER_EVERY));
        assert_eq!(known.fleet.freshness(now), Freshness::Reading);
        known.apply(Told::CaughtUp, now);
        assert_eq!(known.due(), Some(now), "at once");
        assert_eq!(known.fleet.freshness(now), Freshness::Fresh);
        known.apply(Told::Anew, now);
        assert_eq!(known.fleet.freshness(now), Freshness::Reading);
    }
}
