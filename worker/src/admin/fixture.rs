//! A report with one of everything, for the tests of what is made from reports. Its strings are as
//! hostile as a receiver or a tenant can make them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::compiled::{
    CompiledTarget, Endpoint, Format, Method, OnHeadFailing, OnReject, Retry, RetryAfterPolicy,
    Source, SourceClass, StartFrom, Tls, TransactionLimits,
};
use parcelhook_crds::secret::Secret;
use uuid::Uuid;

use crate::delivery::{Attempt, Outcome, Reason};
use crate::report::{
    AttemptLine, Failure, Health, PartitionReport, SourceReport, State, TargetCounters,
    TargetReport, WorkerReport,
};
use crate::targets::Problem;

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: i64 = 1_767_323_045_000;

/// What every secret of the fixture contains.
pub(crate) const SECRET: &str = "hunter2";

pub(crate) const HOSTILE: &str = "<script>alert(\"1\")</script>&'";

pub(crate) fn target(namespace: &str, name: &str) -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::from_u128(name.len() as u128),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        suspend: false,
        sources: vec![Source {
            topic: "orders".to_owned(),
            class: SourceClass::Persistent,
            filter: None,
        }],
        start_from: StartFrom::Latest,
        endpoint: Endpoint {
            url: Secret::new(format!("https://hooks.example/in?key={SECRET}")),
            shown_url: "https://hooks.example/in".to_owned(),
            method: Method::Post,
            headers: vec![("x-team".to_owned(), "blue".to_owned())],
            tls: Tls::default(),
        },
        authentication: None,
        signing_keys: vec![Secret::new(SECRET)],
        format: Format::Json,
        event_type: "order".to_owned(),
        transaction: TransactionLimits {
            max_events: 100,
            max_bytes: 1 << 20,
        },
        timeout: Duration::from_secs(15),
        retry: Retry {
            initial_backoff: Duration::from_secs(2),
            max_backoff: Duration::from_secs(512),
            max_age: Duration::from_secs(144 * 3600),
            retry_after: RetryAfterPolicy::Honor,
            reject_attempts: 3,
            status_overrides: Vec::new(),
        },
        on_reject: OnReject::DeadLetter,
        on_head_failing: OnHeadFailing::Wait,
        dead_letter_topic: None,
        failure_threshold: 1,
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

fn down() -> TargetReport {
    let mut counters = TargetCounters::default();
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
        pending_events: 3,
        lanes: 2,
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
        last_attempts: VecDeque::new(),
    }
}

pub(crate) fn report() -> WorkerReport {
    let targets = [down(), untried()];
    WorkerReport {
        revision: Some(7),
        targets: targets
            .into_iter()
            .map(|report| (report.target.uid, report))
            .collect(),
        source: SourceReport {
            joined: true,
            partitions: vec![PartitionReport {
                topic: "orders".into(),
                partition: 1,
                position: 103,
                committed: Some(100),
                lag: None,
                paused: true,
            }],
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
        problems: vec![Problem {
            file: "broken.yaml".to_owned(),
            document: 2,
            message: format!("spec.endpoint.url: {HOSTILE} is not a URL"),
            last_good_runs: true,
        }],
    }
}
