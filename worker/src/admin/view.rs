//! The shape of `/targets`: what a report looks like as JSON, and to the page.
//!
//! Owns names and units of the API. Times are RFC 3339 in UTC, durations milliseconds. Made from a
//! report alone, so what the page shows and what a program reads is the same.

use std::collections::BTreeMap;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::revision::Revision;
use serde::Serialize;
use serde_json::Value;

use super::readiness;
use crate::report::{
    AttemptLine, Failure, LaneMode, OUTCOME_LABELS, OwnTopicsReport, PartitionReport, SourceReport,
    TargetCounters, TargetReport, WorkerReport, outcome_index,
};
use crate::targets::Problem;

mod lane;

pub(super) use lane::LaneView;

/// Everything.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkerView {
    pub(super) version: &'static str,
    pub(super) time: Option<String>,
    pub(super) ready: bool,
    pub(super) not_ready: Vec<&'static str>,
    pub(super) changes: Option<u64>,
    pub(super) revision: Option<String>,
    pub(super) lacks: Option<String>,
    pub(super) targets: Vec<TargetView>,
    pub(super) problems: Vec<ProblemView>,
    pub(super) source: SourceView,
    pub(super) own_topics: OwnTopicsView,
}

/// One target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetView {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) reason: &'static str,
    pub(super) since: Option<String>,
    pub(super) next_attempt: Option<String>,
    pub(super) pending_events: u64,
    pub(super) parked: u64,
    pub(super) oldest_parked: Option<String>,
    pub(super) attempts: u32,
    pub(super) lanes: u64,
    pub(super) lanes_not_live: BTreeMap<&'static str, u64>,
    pub(super) worst_lanes: Vec<LaneView>,
    pub(super) data_at_risk: bool,
    pub(super) last_failure: Option<FailureView>,
    pub(super) counters: CountersView,
    pub(super) last_attempts: Vec<AttemptView>,
    pub(super) configuration: Value,
    /// The same times for the page, which shows ages.
    #[serde(skip)]
    pub(super) since_millis: Option<i64>,
    #[serde(skip)]
    pub(super) next_attempt_millis: Option<i64>,
    #[serde(skip)]
    pub(super) oldest_parked_millis: Option<i64>,
}

/// The last failed attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureView {
    pub(super) at: Option<String>,
    pub(super) reason: &'static str,
    pub(super) status: Option<u16>,
    pub(super) message: Option<String>,
}

/// Counters since the worker started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CountersView {
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) reasons: BTreeMap<&'static str, u64>,
    pub(super) codes: BTreeMap<u16, u64>,
    pub(super) events_delivered: u64,
    pub(super) events_parked: u64,
    pub(super) events_drained: u64,
    pub(super) events_dead_lettered: BTreeMap<&'static str, u64>,
    pub(super) events_lost: BTreeMap<&'static str, u64>,
    pub(super) bytes_delivered: u64,
    pub(super) events_dropped: u64,
    pub(super) mean_duration_ms: Option<f64>,
}

/// One attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptView {
    pub(super) at: Option<String>,
    pub(super) transaction: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) events: u64,
    pub(super) attempt: u32,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    pub(super) status: Option<u16>,
    pub(super) duration_ms: f64,
}

/// A manifest or Secret that cannot be used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemView {
    pub(super) file: String,
    pub(super) document: usize,
    pub(super) message: String,
    pub(super) last_good_runs: bool,
}

/// The consumer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceView {
    pub(super) joined: bool,
    pub(super) records_read: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_in_flight: u64,
    pub(super) commits_ok: u64,
    pub(super) commits_failed: u64,
    pub(super) rebalances: u64,
    pub(super) events_lost: BTreeMap<&'static str, u64>,
    pub(super) stalls: u64,
    pub(super) missing_topics: Vec<String>,
    pub(super) partitions: Vec<PartitionView>,
}

/// The worker's own topics.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnTopicsView {
    pub(super) producers_replaced: u64,
    pub(super) unanswered_bytes: u64,
    pub(super) retry_unreadable: u64,
    pub(super) lanes_unreadable: u64,
}

/// One owned partition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartitionView {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) position: i64,
    pub(super) committed: Option<i64>,
    pub(super) lag: Option<i64>,
    pub(super) paused: bool,
    pub(super) lacks: Option<String>,
}

impl WorkerView {
    /// Shows a report gathered at `now`, milliseconds since the Unix epoch.
    pub(super) fn new(report: &WorkerReport, now: i64) -> Self {
        let not_ready = readiness::missing(report);
        let mut targets: Vec<_> = report.targets.values().map(TargetView::new).collect();
        targets.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            time: rfc3339(now),
            ready: not_ready.is_empty(),
            not_ready,
            changes: report.changes,
            revision: shown(report.revision),
            lacks: shown(report.lacks),
            targets,
            problems: report.problems.iter().map(ProblemView::new).collect(),
            source: SourceView::new(&report.source),
            own_topics: OwnTopicsView::new(report.own_topics),
        }
    }
}

impl TargetView {
    pub(super) fn new(report: &TargetReport) -> Self {
        let target: &CompiledTarget = &report.target;
        let health = &report.health;
        let parked = &report.parked;
        let modes = LaneMode::ALL.into_iter().map(LaneMode::as_str);
        Self {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            state: health.state.as_str(),
            reason: report.reason(),
            since: health.since.and_then(rfc3339),
            next_attempt: health.next_attempt.and_then(rfc3339),
            pending_events: report.pending_events,
            parked: parked.events,
            oldest_parked: parked.oldest_at.and_then(rfc3339),
            attempts: parked.attempts,
            lanes: report.lanes,
            lanes_not_live: modes.zip(parked.lanes).collect(),
            worst_lanes: parked.worst.iter().map(LaneView::new).collect(),
            data_at_risk: report.at_risk,
            last_failure: health.last_failure.as_ref().map(FailureView::new),
            counters: CountersView::new(&report.counters),
            last_attempts: report.last_attempts.iter().map(AttemptView::new).collect(),
            configuration: target.effective(),
            since_millis: health.since,
            next_attempt_millis: health.next_attempt,
            oldest_parked_millis: parked.oldest_at,
        }
    }
}

impl FailureView {
    fn new(failure: &Failure) -> Self {
        Self {
            at: rfc3339(failure.at),
            reason: failure.reason.as_str(),
            status: failure.status,
            message: failure.message.clone(),
        }
    }
}

impl CountersView {
    fn new(counters: &TargetCounters) -> Self {
        let reasons = counters.reasons.iter();
        let durations = &counters.durations;
        let mean = (durations.count > 0).then(|| durations.sum * 1000.0 / durations.count as f64);
        Self {
            successes: counters.successes,
            failures: counters.failures,
            errors: counters.errors,
            outcomes: OUTCOME_LABELS.into_iter().zip(counters.outcomes).collect(),
            reasons: reasons
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect(),
            codes: counters.codes.clone(),
            events_delivered: counters.events_delivered,
            events_parked: counters.events_parked,
            events_drained: counters.events_drained,
            events_dead_lettered: counters.events_dead_lettered.clone(),
            events_lost: counters.events_lost.clone(),
            bytes_delivered: counters.bytes_delivered,
            events_dropped: counters.events_dropped,
            mean_duration_ms: mean,
        }
    }
}

impl AttemptView {
    fn new(line: &AttemptLine) -> Self {
        Self {
            at: rfc3339(line.at),
            transaction: line.transaction.clone(),
            topic: line.topic.to_string(),
            partition: line.partition,
            first_offset: line.offsets.0,
            last_offset: line.offsets.1,
            events: line.events,
            attempt: line.attempt,
            outcome: OUTCOME_LABELS[outcome_index(line.outcome)],
            reason: line.reason.as_str(),
            status: line.status,
            duration_ms: line.duration.as_secs_f64() * 1000.0,
        }
    }
}

impl ProblemView {
    fn new(problem: &Problem) -> Self {
        Self {
            file: problem.file.clone(),
            document: problem.document,
            message: problem.message.clone(),
            last_good_runs: problem.last_good_runs,
        }
    }
}

impl SourceView {
    fn new(source: &SourceReport) -> Self {
        Self {
            joined: source.joined,
            records_read: source.records_read,
            bytes_read: source.bytes_read,
            bytes_in_flight: source.bytes_in_flight,
            commits_ok: source.commits_ok,
            commits_failed: source.commits_failed,
            rebalances: source.rebalances,
            events_lost: source.events_lost.clone(),
            stalls: source.stalls,
            missing_topics: source.missing_topics.clone(),
            partitions: source.partitions.iter().map(PartitionView::new).collect(),
        }
    }
}

impl OwnTopicsView {
    fn new(own: OwnTopicsReport) -> Self {
        Self {
            producers_replaced: own.producers_replaced,
            unanswered_bytes: own.unanswered_bytes,
            retry_unreadable: own.retry_unreadable,
            lanes_unreadable: own.lanes_unreadable,
        }
    }
}

impl PartitionView {
    fn new(partition: &PartitionReport) -> Self {
        Self {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            position: partition.position,
            committed: partition.committed,
            lag: partition.lag,
            paused: partition.paused,
            lacks: shown(partition.lacks),
        }
    }
}

fn shown(revision: Option<Revision>) -> Option<String> {
    revision.map(|revision| revision.to_string())
}

/// A time in UTC; none when it lies outside of what the format can say.
fn rfc3339(unix_millis: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(unix_millis).ok()?;
    Some(time.to_string())
}
