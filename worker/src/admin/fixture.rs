//! A report with one of everything, for the tests of what is made from reports. Its strings are as
//! hostile as a receiver or a tenant can make them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::compiled::{CompiledTarget, Endpoint};
use parcelhook_crds::lane::{LastFailure, ParkReason};
use parcelhook_crds::revision::Revision;
use parcelhook_crds::secret::Secret;
use uuid::Uuid;

use crate::delivery::{Attempt, Outcome, Reason};
use crate::report::{
    AttemptLine, Failure, Health, LaneMode, LaneReport, OwnTopicsReport, Parked, PartitionReport,
    SourceReport, State, TargetCounters, TargetReport, WorkerReport,
};
use crate::source::PartitionId;
use crate::targets::Problem;
use crate::targets::sample;

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: i64 = 1_767_323_045_000;

/// What every secret of the fixture contains.
pub(crate) const SECRET: &str = "hunter2";

pub(crate) const HOSTILE: &str = "<script>alert(\"1\")</script>&'";

pub(crate) fn target(namespace: &str, name: &str) -> CompiledTarget {
    let url = format!("https://hooks.example/in?key={SECRET}");
    CompiledTarget {
        uid: Uuid::from_u128(name.len() as u128),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        endpoint: Endpoint {
            shown_url: "https://hooks.example/in".to_owned(),
            headers: vec![("x-team".to_owned(), "blue".to_owned())],
            ..sample::endpoint(&url)
        },
        signing_keys: vec![Secret::new(SECRET)],
        event_type: "order".to_owned(),
        ..sample::target()
    }
}

pub(crate) fn attempt(outcome: Outcome, status: Option<u16>) -> Attempt {
    Attempt {
        outcome,
        reason: Reason::Delivered,
        status,
        duration: Duration::from_millis(40),
        detail: None,
    }
}

/// A lane that waits, and one that drains an overflow.
fn parked() -> Parked {
    let lane = |partition, mode, parked| LaneReport {
        partition: PartitionId {
            topic: "orders".into(),
            partition,
        },
        mode,
        reason: ParkReason::Failed,
        parked,
        attempts: 5,
        since: NOW - 90_000,
        oldest_parked_at: Some(NOW - 89_500),
        next_attempt: Some(NOW + 4_000),
        last_failure: None,
    };
    let failure = LastFailure {
        at: NOW - 1_000,
        reason: "HTTPStatus".to_owned(),
        status: Some(503),
        message: Some(HOSTILE.to_owned()),
    };
    let overflow = LaneReport {
        reason: ParkReason::Overflow,
        attempts: 0,
        oldest_parked_at: None,
        next_attempt: None,
        ..lane(2, LaneMode::Draining, 14)
    };
    let mut parked = Parked::default();
    parked.add(overflow, None);
    parked.add(lane(1, LaneMode::Parking, 200), Some(&failure));
    parked
}

fn down() -> TargetReport {
    let mut counters = TargetCounters {
        events_parked: 300,
        events_drained: 86,
        ..TargetCounters::default()
    };
    counters.count(&attempt(Outcome::Delivered, Some(200)), 100, 2000);
    let unavailable = Outcome::Unavailable { retry_after: None };
    counters.count(&attempt(unavailable, Some(503)), 3, 90);
    counters.count(&attempt(unavailable, None), 3, 90);
    TargetReport {
        target: Arc::new(target("shop", "billing")),
        health: Health {
            state: State::Down,
            reason: "HTTPStatus",
            since: Some(NOW - 90_000),
            next_attempt: Some(NOW + 4_000),
            last_failure: Some(Failure {
                at: NOW - 1_000,
                reason: Reason::Delivered,
                status: Some(503),
                message: Some(HOSTILE.to_owned()),
            }),
        },
        counters,
        pending_events: 217,
        lanes: 3,
        parked: parked(),
        last_recovery: None,
        at_risk: true,
        last_attempts: VecDeque::from([AttemptLine {
            at: NOW - 1_000,
            transaction: "txn_1".to_owned(),
            topic: "orders".into(),
            partition: 1,
            offsets: (100, 102),
            events: 3,
            attempt: 2,
            outcome: unavailable,
            reason: Reason::Delivered,
            status: Some(503),
            duration: Duration::from_millis(40),
        }]),
    }
}

fn untried() -> TargetReport {
    TargetReport {
        target: Arc::new(target("shop", "mail")),
        health: Health::default(),
        counters: TargetCounters::default(),
        pending_events: 0,
        lanes: 0,
        parked: Parked::default(),
        last_recovery: None,
        at_risk: false,
        last_attempts: VecDeque::new(),
    }
}

fn revision(number: u64) -> Revision {
    Revision { lineage: 1, number }
}

pub(crate) fn report() -> WorkerReport {
    let targets = [down(), untried()];
    WorkerReport {
        changes: Some(7),
        revision: Some(revision(41)),
        lacks: Some(revision(42)),
        targets: targets
            .into_iter()
            .map(|report| (report.target.uid, report))
            .collect(),
        source: SourceReport {
            joined: true,
            partitions: vec![
                PartitionReport {
                    topic: "orders".into(),
                    partition: 1,
                    position: 103,
                    committed: Some(100),
                    lag: None,
                    paused: true,
                    lacks: None,
                },
                PartitionReport {
                    topic: "orders".into(),
                    partition: 2,
                    position: 7,
                    committed: Some(7),
                    lag: None,
                    paused: false,
                    lacks: Some(revision(42)),
                },
            ],
            records_read: 103,
            bytes_read: 2090,
            bytes_in_flight: 90,
            commits_ok: 4,
            commits_failed: 1,
            rebalances: 2,
            events_lost: BTreeMap::from([("retention", 5)]),
            stalls: 0,
            missing_topics: vec!["refunds".to_owned()],
        },
        own_topics: OwnTopicsReport {
            producers_replaced: 1,
            unanswered_bytes: 512,
            retry_unreadable: 2,
            lanes_unreadable: 0,
        },
        problems: vec![Problem {
            file: "broken.yaml".to_owned(),
            document: 2,
            message: format!("spec.endpoint.url: {HOSTILE} is not a URL"),
            last_good_runs: true,
        }],
    }
}
