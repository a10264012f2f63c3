//! The workers of the group: which live, which configuration they run, and what took deliveries.
//!
//! Bounded by the workers that reported lately and by the targets that took a delivery.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parcelhook_crds::config::Revision;
use parcelhook_crds::report::{EVERY, Heartbeat};
use uuid::Uuid;

/// How long a worker counts as alive after a report: three may be missing, and half of one.
pub const LIVE_FOR: Duration = Duration::from_millis(3_500 * (EVERY.as_millis() as u64) / 1_000);

/// How long nobody may report until what is known is stale.
pub const STALE_AFTER: Duration = Duration::from_secs(120);

/// How long a worker is remembered after its last report.
const REMEMBERED: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    workers: BTreeMap<String, Worker>,
    successes: HashMap<Uuid, i64>,
    /// When somebody reported last, or when listening began.
    heard: Instant,
    /// Whether everything that was written before listening began was read.
    caught_up: bool,
}

#[derive(Debug)]
struct Worker {
    report: Heartbeat,
    received: Instant,
}

/// What the fleet's silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Workers report.
    Fresh,
    /// What was written is not all read yet.
    Reading,
    /// No worker lives, which may be over in a moment.
    Settling,
    /// Nobody has reported for so long that nothing is known.
    Stale,
}

/// Whether the workers run a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// Each of them does.
    Everywhere,
    /// Some do not yet.
    NotYet,
    /// One cannot: what it says.
    Rejected(String),
    /// There is none.
    NoWorkers,
    /// Nobody has reported for a while.
    Unreachable,
}

impl Fleet {
    /// Nobody has reported yet.
    pub fn new(now: Instant) -> Self {
        Self {
            workers: BTreeMap::new(),
            successes: HashMap::new(),
            heard: now,
            caught_up: false,
        }
    }

    /// Everything that was written before is read.
    pub fn caught_up(&mut self) {
        self.caught_up = true;
    }

    /// Everything is read once more, from the beginning.
    pub fn reads_anew(&mut self) {
        self.caught_up = false;
    }

    /// Whether [`Fleet::caught_up`] was told.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// A worker reported, or ended (none). Returns the targets whose health or configuration may look
    /// different now; all of them when none is given.
    pub fn apply(&mut self, worker: &str, report: Option<Heartbeat>, now: Instant) -> Touched {
        let Some(report) = report else {
            self.workers.remove(worker);
            return Touched::All;
        };
        self.heard = now;
        let mut targets: BTreeSet<Uuid> = BTreeSet::new();
        for success in &report.successes {
            let last = self.successes.entry(success.target).or_insert(i64::MIN);
            *last = success.at.max(*last);
            targets.insert(success.target);
        }
        let known = self.workers.get(worker);
        let same = known.is_some_and(|known| {
            let before = &known.report;
            before.revision == report.revision && is_live(known, now)
        });
        let before = known.map(|known| &known.report);
        for one in [before, Some(&report)].into_iter().flatten() {
            targets.extend(one.rejected.iter().map(|rejected| rejected.target));
            targets.extend(one.failing.iter().map(|lane| lane.target));
        }
        let received = now;
        self.workers
            .insert(worker.to_owned(), Worker { report, received });
        self.workers
            .retain(|_, worker| now.saturating_duration_since(worker.received) < REMEMBERED);
        if same {
            Touched::Only(targets)
        } else {
            Touched::All
        }
    }

    /// Forgets a target that has ended.
    pub fn forget(&mut self, target: Uuid) {
        self.successes.remove(&target);
    }

    /// When a target last took a delivery, by a worker's clock.
    pub fn success(&self, target: Uuid) -> Option<i64> {
        self.successes.get(&target).copied()
    }

    /// What silence means now.
    pub fn freshness(&self, now: Instant) -> Freshness {
        let silent = now.saturating_duration_since(self.heard);
        if silent >= STALE_AFTER {
            Freshness::Stale
        } else if !self.caught_up {
            Freshness::Reading
        } else if self.live(now).next().is_some() {
            Freshness::Fresh
        } else {
            Freshness::Settling
        }
    }

    /// Whether all live workers run a revision, and none refuses the target of it.
    pub fn runs(&self, target: Uuid, generation: i64, revision: Revision, now: Instant) -> Running {
        let mut live = self.live(now).peekable();
        if live.peek().is_none() {
            let silent = now.saturating_duration_since(self.heard);
            return if !self.caught_up || silent < STALE_AFTER && !self.workers.is_empty() {
                Running::NotYet
            } else if self.workers.is_empty() {
                Running::NoWorkers
            } else {
                Running::Unreachable
            };
        }
        let mut everywhere = true;
        for report in live {
            let mut rejected = report.rejected.iter();
            let of_this = rejected.find(|one| one.target == target && one.generation == generation);
            if let Some(rejected) = of_this {
                return Running::Rejected(rejected.message.clone());
            }
            everywhere &= report.revision.is_some_and(|applied| applied >= revision);
        }
        if everywhere {
            Running::Everywhere
        } else {
            Running::NotYet
        }
    }

    /// The topics that are missing, as live workers tell.
    pub fn missing_topics(&self, now: Instant) -> BTreeSet<String> {
        self.live(now)
            .flat_map(|report| report.missing_topics.iter().cloned())
            .collect()
    }

    /// What live workers tell.
    pub fn live(&self, now: Instant) -> impl Iterator<Item = &Heartbeat> {
        let live = self.workers.values();
        live.filter(move |worker| is_live(worker, now))
            .map(|worker| &worker.report)
    }
}

/// Targets that something may have changed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Every target.
    All,
    /// These.
    Only(BTreeSet<Uuid>),
}

fn is_live(worker: &Worker, now: Instant) -> bool {
    now.saturating_duration_since(worker.received) < LIVE_FOR
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::report::{Rejected, Success};

    use super::*;
    use crate::clock;

    const ONE: Uuid = Uuid::from_u128(1);

    fn revision(number: u64) -> Revision {
        Revision { lineage: 1, number }
    }

    fn report(number: u64) -> Heartbeat {
        Heartbeat {
            revision: Some(revision(number)),
            ..Heartbeat::default()
        }
    }

    #[test]
    fn a_configuration_runs_when_every_live_worker_has_it() {
        let now = clock::now();
        let mut fleet = Fleet::new(now);
        fleet.caught_up();
        assert_eq!(fleet.runs(ONE, 1, revision(2), now), Running::NoWorkers);
        fleet.apply("a", Some(report(2)), now);
        fleet.apply("b", Some(report(1)), now);
        assert_eq!(fleet.runs(ONE, 1, revision(2), now), Running::NotYet);
        let later = now + LIVE_FOR;
        fleet.apply("a", Some(report(2)), later);
        assert_eq!(
            fleet.runs(ONE, 1, revision(2), later),
            Running::Everywhere,
            "b is gone"
        );
        fleet.apply("a", None, later);
        assert_eq!(fleet.live(later).count(), 0);
    }

    #[test]
    fn one_worker_that_cannot_run_a_target_is_heard() {
        let now = clock::now();
        let mut fleet = Fleet::new(now);
        let rejected = Rejected {
            target: ONE,
            generation: 2,
            message: "no".to_owned(),
        };
        let told = Heartbeat {
            rejected: vec![rejected],
            ..report(5)
        };
        fleet.apply("a", Some(told), now);
        assert_eq!(
            fleet.runs(ONE, 2, revision(5), now),
            Running::Rejected("no".to_owned())
        );
        assert_eq!(fleet.runs(ONE, 3, revision(5), now), Running::Everywhere);
    }

    #[test]
    fn silence_is_stale_only_after_a_while_and_counts_from_the_start() {
        let now = clock::now();
        let mut fleet = Fleet::new(now);
        assert_eq!(fleet.freshness(now), Freshness::Reading);
        assert_eq!(fleet.freshness(now + STALE_AFTER), Freshness::Stale);
        fleet.apply("a", Some(report(1)), now);
        assert_eq!(
            fleet.freshness(now),
            Freshness::Reading,
            "rows may be missing"
        );
        fleet.caught_up();
        assert_eq!(fleet.freshness(now), Freshness::Fresh);
        assert_eq!(fleet.freshness(now + LIVE_FOR), Freshness::Settling);
        assert_eq!(
            fleet.runs(ONE, 1, revision(1), now + LIVE_FOR),
            Running::NotYet
        );
        assert_eq!(fleet.freshness(now + STALE_AFTER), Freshness::Stale);
        assert_eq!(
            fleet.runs(ONE, 1, revision(1), now + STALE_AFTER),
            Running::Unreachable
        );
    }

    #[test]
    fn a_heartbeat_without_news_touches_nobody() {
        let now = clock::now();
        let mut fleet = Fleet::new(now);
        assert_eq!(fleet.apply("a", Some(report(1)), now), Touched::All);
        assert_eq!(
            fleet.apply("a", Some(report(1)), now),
            Touched::Only(BTreeSet::new())
        );
        assert_eq!(fleet.apply("a", Some(report(2)), now), Touched::All);
        let told = Heartbeat {
            successes: vec![Success { target: ONE, at: 7 }],
            ..report(2)
        };
        assert_eq!(
            fleet.apply("a", Some(told), now),
            Touched::Only(BTreeSet::from([ONE]))
        );
        assert_eq!(fleet.success(ONE), Some(7));
    }
}
