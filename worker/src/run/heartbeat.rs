//! Tells of this worker through the reports topic, again and again.
//!
//! Gathers what there is to tell, without asking a shard; what is told, and when, [`Heart`] decides. A
//! report that is lost is no harm: the next one tells what is so then.

use std::time::Instant;

use parcelhook_crds::compiled::SourceClass;
use parcelhook_crds::lane::LastFailure;
use parcelhook_crds::report::{DeadLettered, FailingLane, ReportKey, Success};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Snapshots;
use super::heart::{Heart, LOOK, Seen, Succeeded};
use super::supervisor::Applied;
use crate::clock;
use crate::park::produce::Producer;
use crate::source::{PartitionId, SourceHandle};
use crate::state::health::LaneFailure;
use crate::state::shared::WorkerTarget;

/// See the module.
#[derive(Debug)]
pub(super) struct Heartbeats {
    /// The worker's own.
    pub(super) key: ReportKey,
    pub(super) producer: Producer,
    pub(super) source: SourceHandle,
    pub(super) snapshots: Snapshots,
    pub(super) applied: watch::Receiver<Applied>,
}

impl Heartbeats {
    /// Runs until the supervisor has ended, or the future is dropped.
    pub(super) async fn run(mut self) {
        let mut heart = Heart::new(clock::unix_millis());
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missing_topics = Vec::new();
        loop {
            tokio::select! {
                biased;
                changed = self.applied.changed() => if changed.is_err() { return },
                _ = looks.tick() => {}
            }
            let (now, unix) = (clock::now(), clock::unix_millis());
            if heart.is_due(now) {
                // A thread that has ended misses nothing.
                let source = self.source.report().await.unwrap_or_default();
                missing_topics = source.missing_topics;
            }
            let seen = Seen {
                missing_topics: missing_topics.clone(),
                ..self.seen(now, unix)
            };
            if let Some(report) = heart.report(seen, now, unix)
                && self.producer.tell(&self.key, Some(&report))
            {
                heart.told(report, now);
            }
        }
    }

    fn seen(&self, now: Instant, unix: i64) -> Seen {
        let applied = self.applied.borrow();
        let mut seen = Seen {
            revision: applied.revision,
            rejected: self.snapshots.borrow().rejected.clone(),
            ..Seen::default()
        };
        for target in applied.targets.iter() {
            if let Some(success) = target.shared.last_success() {
                let ago = now.saturating_duration_since(success).as_millis();
                seen.successes.push(Succeeded {
                    success: Success {
                        target: target.compiled.uid,
                        at: unix.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)),
                    },
                    also_fails: target.shared.is_failing(),
                });
            }
            seen.failing.extend(without_row(target));
            let given_up = target.shared.given_up();
            seen.dead_lettered
                .extend(given_up.map(|(at, reason)| DeadLettered {
                    target: target.compiled.uid,
                    at,
                    reason: reason.to_owned(),
                }));
        }
        seen
    }
}

/// The target's failing lanes that no row tells of: their events are not kept.
fn without_row(target: &WorkerTarget) -> impl Iterator<Item = FailingLane> {
    let sources = &target.compiled.sources;
    let has_no_row = move |lane: &PartitionId| {
        sources
            .iter()
            .any(|source| source.class == SourceClass::Ephemeral && *source.topic == *lane.topic)
    };
    let failing = target.shared.failing().into_iter();
    failing
        .filter(move |(lane, _)| has_no_row(lane))
        .map(|(lane, failure)| told(target, lane, failure))
}

fn told(target: &WorkerTarget, lane: PartitionId, failure: LaneFailure) -> FailingLane {
    FailingLane {
        target: target.compiled.uid,
        topic: lane.topic.to_string(),
        partition: lane.partition,
        attempts: failure.in_a_row,
        since: failure.since,
        next_attempt: failure.next_attempt,
        last_failure: LastFailure {
            at: failure.shown.at,
            reason: failure.shown.reason.as_str().to_owned(),
            status: failure.shown.status,
            message: failure.shown.message,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parcelhook_crds::compiled::CompiledTarget;

    use super::*;
    use crate::delivery::Reason;
    use crate::report::Failure;
    use crate::state::shared::TargetShared;
    use crate::targets::sample;

    #[test]
    fn only_lanes_without_a_row_are_told() {
        let now = clock::now();
        let mut ephemeral = sample::source("clicks");
        ephemeral.class = SourceClass::Ephemeral;
        let target = WorkerTarget {
            compiled: Arc::new(CompiledTarget {
                sources: vec![sample::source("orders"), ephemeral],
                ..sample::target()
            }),
            shared: Arc::new(TargetShared::new(1, now)),
            absent_since: None,
        };
        for topic in ["orders", "clicks"] {
            let lane = PartitionId {
                topic: topic.into(),
                partition: 3,
            };
            let failure = LaneFailure {
                shown: Failure {
                    at: 70,
                    reason: Reason::Timeout,
                    status: None,
                    message: None,
                },
                throttled: false,
                in_a_row: 2,
                since: 60,
                next_attempt: Some(90),
            };
            target.shared.failed(&lane, failure, now);
        }
        let lanes: Vec<FailingLane> = without_row(&target).collect();
        let [lane] = &lanes[..] else {
            panic!("{lanes:?}");
        };
        assert_eq!(
            (lane.topic.as_str(), lane.partition, lane.attempts),
            ("clicks", 3, 2)
        );
        assert_eq!((lane.since, lane.next_attempt), (60, Some(90)));
        assert_eq!(lane.last_failure.reason, "Timeout");
    }
}
