//! What a worker tells of itself, and when. Pure.
//!
//! A report goes out every [`EVERY`], and within [`LOOK`] of a change: of the configuration, of a lane
//! that fails, of a target's first success. A success of a target that is well is old news, and told once
//! a minute. Bounded: each list of a report has its bound, and successes that do not fit come with a
//! later one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parcelhook_crds::report::{DeadLettered, EVERY, FailingLane, Heartbeat, Rejected, Success};
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

/// How often it is looked whether there is something to tell.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How often a success of a target that is well is told, and how long a dead letter is, milliseconds.
const REFRESH_MILLIS: i64 = 60_000;

/// Successes of one report, of some 80 bytes each.
const SUCCESSES: usize = 1_000;

/// Failing lanes of one report, of at most 1.5 KiB each. Reports stay far below what a topic takes.
const FAILING: usize = 200;

/// Targets of one report of which events were given up, of some 100 bytes each.
const DEAD_LETTERED: usize = 200;

/// Rejected targets of one report, of some 200 bytes each.
const REJECTED: usize = 500;

/// What there is to tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) revision: Option<Revision>,
    pub(super) rejected: Vec<Rejected>,
    /// The last success of each target that had one.
    pub(super) successes: Vec<Succeeded>,
    pub(super) failing: Vec<FailingLane>,
    /// The last dead letter of each target that had one.
    pub(super) dead_lettered: Vec<DeadLettered>,
    pub(super) missing_topics: Vec<String>,
}

/// A target's last success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Succeeded {
    pub(super) success: Success,
    /// Whether another lane fails meanwhile: then it matters which was later.
    pub(super) also_fails: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Heart {
    started_at: i64,
    last: Option<(Instant, Heartbeat)>,
    /// The successes that were told.
    successes: BTreeMap<Uuid, i64>,
}

impl Heart {
    /// A worker that started then, milliseconds since the Unix epoch.
    pub(super) fn new(started_at: i64) -> Self {
        Self {
            started_at,
            last: None,
            successes: BTreeMap::new(),
        }
    }

    /// Whether a report is due although nothing has changed.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let since = |(at, _): &(Instant, _)| now.saturating_duration_since(*at);
        self.last.as_ref().is_none_or(|last| since(last) >= EVERY)
    }

    /// The report that goes out now, if one does. `unix` is the same moment as `now`, in milliseconds
    /// since the Unix epoch.
    pub(super) fn report(&self, mut seen: Seen, now: Instant, unix: i64) -> Option<Heartbeat> {
        let (successes, urgent) = self.untold(&seen.successes);
        seen.rejected.truncate(REJECTED);
        // Those that have failed most come first, and always in the same order.
        seen.failing.sort_by(|a, b| {
            let place = |lane: &FailingLane| (Reverse(lane.attempts), lane.target, lane.partition);
            place(a).cmp(&place(b)).then_with(|| a.topic.cmp(&b.topic))
        });
        seen.failing.truncate(FAILING);
        let report = Heartbeat {
            started_at: self.started_at,
            at: unix,
            revision: seen.revision,
            rejected: seen.rejected,
            successes,
            failing: seen.failing,
            dead_lettered: lately(seen.dead_lettered, unix),
            missing_topics: seen.missing_topics,
        };
        let changed = |(_, last): &(Instant, Heartbeat)| {
            last.revision != report.revision
                || last.rejected != report.rejected
                || last.failing != report.failing
        };
        let goes = urgent || self.is_due(now) || self.last.as_ref().is_some_and(changed);
        goes.then_some(report)
    }

    /// The report was taken.
    pub(super) fn told(&mut self, report: Heartbeat, now: Instant) {
        for success in &report.successes {
            self.successes.insert(success.target, success.at);
        }
        self.last = Some((now, report));
    }

    /// The successes that are news, those that wait longest first, and whether some cannot wait.
    fn untold(&self, seen: &[Succeeded]) -> (Vec<Success>, bool) {
        let mut news = Vec::new();
        let mut urgent = false;
        for Succeeded {
            success,
            also_fails,
        } in seen
        {
            let told = self.successes.get(&success.target).copied();
            let is_news = told.is_none_or(|told| {
                success.at > told && (*also_fails || success.at - told >= REFRESH_MILLIS)
            });
            if is_news {
                urgent |= told.is_none() || *also_fails;
                news.push((told, *success));
            }
        }
        news.sort_unstable_by_key(|(told, success)| (*told, success.target));
        news.truncate(SUCCESSES);
        (
            news.into_iter().map(|(_, success)| success).collect(),
            urgent,
        )
    }
}

/// Those that are told: again and again for a minute, for a report may be lost.
fn lately(mut all: Vec<DeadLettered>, unix: i64) -> Vec<DeadLettered> {
    all.retain(|one| unix.saturating_sub(one.at) < REFRESH_MILLIS);
    all.sort_by_key(|one| (Reverse(one.at), one.target));
    all.truncate(DEAD_LETTERED);
    all
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::lane::LastFailure;

    use super::*;
    use crate::clock;

    fn seen(number: u64, successes: impl IntoIterator<Item = (u128, i64)>) -> Seen {
        let successes = successes.into_iter().map(|(target, at)| Succeeded {
            success: Success {
                target: Uuid::from_u128(target),
                at,
            },
            also_fails: false,
        });
        Seen {
            revision: Some(Revision { lineage: 1, number }),
            successes: successes.collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn dead_letters_are_told_for_a_minute_the_newest_first() {
        let dead_lettered = |count: i64| {
            let all = (0..count).map(|at| DeadLettered {
                target: Uuid::from_u128(1),
                at,
                reason: "Expired".to_owned(),
            });
            all.collect::<Vec<_>>()
        };
        let told: Vec<i64> = lately(dead_lettered(3), REFRESH_MILLIS + 1)
            .iter()
            .map(|one| one.at)
            .collect();
        assert_eq!(told, [2]);
        let many = lately(dead_lettered(1_000), 1_000);
        assert_eq!((many.len(), many[0].at), (DEAD_LETTERED, 999));
    }

    /// Whether a report goes out, and the targets whose successes it tells.
    fn beat(heart: &mut Heart, seen: Seen, now: Instant) -> Option<Vec<u128>> {
        let report = heart.report(seen, now, 0)?;
        let told = report.successes.iter();
        let told = told.map(|success| success.target.as_u128()).collect();
        heart.told(report, now);
        Some(told)
    }

    #[test]
    fn it_beats_every_ten_seconds_and_at_a_change() {
        let (mut heart, now) = (Heart::new(5), clock::now());
        assert_eq!(beat(&mut heart, seen(1, []), now), Some(vec![]));
        assert_eq!(beat(&mut heart, seen(1, []), now + LOOK), None);
        assert_eq!(beat(&mut heart, seen(2, []), now + LOOK), Some(vec![]));
        assert_eq!(beat(&mut heart, seen(2, []), now + EVERY), None);
        let later = now + LOOK + EVERY;
        assert_eq!(beat(&mut heart, seen(2, []), later), Some(vec![]));
    }

    #[test]
    fn a_report_that_was_not_taken_is_told_again() {
        let (heart, now) = (Heart::new(5), clock::now());
        for _ in 0..2 {
            let report = heart.report(seen(1, [(1, 7)]), now, 9).unwrap();
            assert_eq!((report.started_at, report.at), (5, 9));
            assert_eq!(report.successes.len(), 1);
        }
    }

    #[test]
    fn a_first_success_is_told_at_once_and_later_ones_once_a_minute() {
        let (mut heart, now) = (Heart::new(0), clock::now());
        assert_eq!(beat(&mut heart, seen(1, []), now), Some(vec![]));
        assert_eq!(beat(&mut heart, seen(1, [(1, 10)]), now), Some(vec![1]));
        assert_eq!(beat(&mut heart, seen(1, [(1, 20)]), now), None);
        let due = now + EVERY;
        assert_eq!(beat(&mut heart, seen(1, [(1, 9_000)]), due), Some(vec![]));
        let minute = seen(1, [(1, 10 + REFRESH_MILLIS)]);
        assert_eq!(beat(&mut heart, minute, due + EVERY), Some(vec![1]));
    }

    #[test]
    fn a_success_beside_a_failure_is_told_at_once() {
        let (mut heart, now) = (Heart::new(0), clock::now());
        assert_eq!(beat(&mut heart, seen(1, [(1, 10)]), now), Some(vec![1]));
        let mut failing = seen(1, [(1, 20)]);
        failing.successes[0].also_fails = true;
        assert_eq!(beat(&mut heart, failing.clone(), now), Some(vec![1]));
        assert_eq!(beat(&mut heart, failing, now), None, "it is the same one");
    }

    #[test]
    fn a_lane_that_begins_or_ends_to_fail_is_told_at_once() {
        let (mut heart, now) = (Heart::new(0), clock::now());
        assert_eq!(beat(&mut heart, seen(1, []), now), Some(vec![]));
        let failing = Seen {
            failing: vec![FailingLane {
                target: Uuid::nil(),
                topic: "clicks".to_owned(),
                partition: 0,
                attempts: 1,
                since: 0,
                next_attempt: None,
                last_failure: LastFailure {
                    at: 0,
                    reason: "Timeout".to_owned(),
                    status: None,
                    message: None,
                },
            }],
            ..seen(1, [])
        };
        assert!(beat(&mut heart, failing.clone(), now).is_some());
        assert!(beat(&mut heart, failing, now).is_none());
        assert!(beat(&mut heart, seen(1, []), now).is_some());
    }

    #[test]
    fn successes_that_do_not_fit_come_with_the_next_report() {
        let (mut heart, now) = (Heart::new(0), clock::now());
        let all = || seen(1, (0..1_500).map(|target| (target, 10)));
        let first = beat(&mut heart, all(), now).unwrap();
        let second = beat(&mut heart, all(), now).unwrap();
        assert_eq!((first.len(), second.len()), (SUCCESSES, 500));
        assert_eq!(second[0], 1_000);
        assert_eq!(beat(&mut heart, all(), now), None);
    }
}
