//! Reports and rows that the tests of the demo share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::compiled::CompiledTarget;
use uuid::Uuid;

use crate::delivery::{Outcome, Reason};
use crate::report::{
    AttemptLine, Failure, Health, Parked, State, TargetCounters, TargetReport, WorkerReport,
};

use super::table::Row;
use crate::targets::sample;

/// The moment of all samples, milliseconds since the Unix epoch.
pub(super) const NOW: i64 = 1_700_000_000_000;

/// A target that reads `orders`.
pub(super) fn target(namespace: &str, name: &str) -> Arc<CompiledTarget> {
    let url = format!("http://127.0.0.1:1/{name}");
    Arc::new(CompiledTarget {
        uid: Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            format!("{namespace}/{name}").as_bytes(),
        ),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        endpoint: sample::endpoint(&url),
        ..sample::target()
    })
}

/// A report of one target that is UP and has done nothing.
pub(super) fn report_of(namespace: &str, name: &str) -> WorkerReport {
    let target = target(namespace, name);
    let uid = target.uid;
    let target = TargetReport {
        target,
        health: Health::default(),
        counters: TargetCounters::default(),
        pending_events: 0,
        lanes: 4,
        parked: Parked::default(),
        last_recovery: None,
        at_risk: false,
        last_attempts: VecDeque::new(),
    };
    WorkerReport {
        targets: [(uid, target)].into(),
        ..WorkerReport::default()
    }
}

/// The one target of a report.
pub(super) fn only(report: &mut WorkerReport) -> &mut TargetReport {
    report.targets.values_mut().next().unwrap()
}

/// DOWN for 7 s, with 4 s to wait.
pub(super) fn down(now: i64) -> Health {
    Health {
        state: State::Down,
        reason: "HTTPStatus",
        since: Some(now - 7_000),
        next_attempt: Some(now + 4_000),
        last_failure: Some(Failure {
            at: now,
            reason: Reason::Delivered,
            status: Some(503),
            message: None,
        }),
    }
}

/// `steady`, UP, and `flaky`, DOWN.
pub(super) fn report() -> WorkerReport {
    let mut report = report_of("default", "steady");
    let steady = only(&mut report);
    steady.counters.events_delivered = 1204;
    for (outcome, millis) in [
        (Outcome::Delivered, 2),
        (Outcome::Delivered, 90),
        (Outcome::Unavailable { retry_after: None }, 15_000),
        (Outcome::Delivered, 3),
    ] {
        steady
            .last_attempts
            .push_front(attempt(outcome, Duration::from_millis(millis)));
    }
    let mut flaky = report_of("default", "flaky");
    only(&mut flaky).health = down(NOW);
    only(&mut flaky).pending_events = 37;
    only(&mut flaky).parked.events = 35;
    report.targets.extend(flaky.targets);
    report
}

fn attempt(outcome: Outcome, duration: Duration) -> AttemptLine {
    AttemptLine {
        at: NOW,
        transaction: "txn_1".to_owned(),
        topic: "orders".into(),
        partition: 0,
        offsets: (0, 9),
        events: 10,
        attempt: 1,
        outcome,
        reason: Reason::Delivered,
        status: None,
        duration,
    }
}

/// A row of each state.
pub(super) fn rows() -> Vec<Row> {
    let up = Row {
        name: "steady".to_owned(),
        state: State::Up,
        reason: "",
        pending: 0,
        parked: 0,
        delivered: 1204,
        rate: 20,
        p50: Some(Duration::from_millis(2)),
        since: Some(Duration::from_secs(135 * 60)),
        next: None,
    };
    let down = Row {
        name: "flaky".to_owned(),
        state: State::Down,
        reason: "HTTPStatus",
        pending: 137,
        parked: 130,
        delivered: 412,
        rate: 0,
        p50: Some(Duration::from_millis(3)),
        since: Some(Duration::from_secs(12)),
        next: Some(Duration::from_secs(4)),
    };
    let suspended = Row {
        name: "slow".to_owned(),
        state: State::Suspended,
        reason: "Suspended",
        pending: 15,
        parked: 15,
        delivered: 0,
        rate: 0,
        p50: None,
        since: None,
        next: None,
    };
    vec![down, suspended, up]
}
