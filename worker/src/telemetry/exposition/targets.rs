//! The families of targets: state, counters, histograms.

use std::collections::BTreeMap;
use std::fmt;

use super::{Column, Exposition};
use crate::lane::machine::WhyGivenUp;
use crate::report::{
    DURATION_BUCKETS_SECONDS, EVENTS_BUCKETS, LOST_RETENTION, LOST_SOURCE_GONE, LaneMode,
    OUTCOME_LABELS, State, TargetReport,
};
use crate::telemetry::metrics;

/// Reasons of dead letters.
const DEAD_LETTER_REASONS: [&str; 2] = [
    WhyGivenUp::Expired.as_str(),
    WhyGivenUp::SourceGone.as_str(),
];

/// Causes of the loss of parked events.
const LOSS_CAUSES: [&str; 2] = [LOST_RETENTION, LOST_SOURCE_GONE];

/// The targets by namespace and name.
pub(super) type Targets<'a> = BTreeMap<(&'a str, &'a str), &'a TargetReport>;

pub(super) fn gauges(out: &mut Exposition, targets: &Targets) -> fmt::Result {
    let counts: [Column<TargetReport, u64>; 5] = [
        (metrics::TARGET_UP, |target| {
            u64::from(target.health.state != State::Down)
        }),
        (metrics::TARGET_PENDING_EVENTS, |target| {
            target.pending_events
        }),
        (metrics::TARGET_PARKED_EVENTS, |target| target.parked.events),
        (metrics::TARGET_FAILED_IN_A_ROW, |target| {
            u64::from(target.parked.attempts)
        }),
        (metrics::TARGET_DATA_AT_RISK, |target| {
            u64::from(target.at_risk)
        }),
    ];
    for (family, read) in counts {
        let mut samples = out.family(&family)?;
        for ((namespace, name), target) in targets {
            samples.gauge(&[namespace, name], read(target))?;
        }
    }
    let times: [Column<TargetReport, Option<i64>>; 2] = [
        (metrics::TARGET_STATE_SINCE, |target| target.health.since),
        (metrics::TARGET_NEXT_ATTEMPT, |target| {
            target.health.next_attempt
        }),
    ];
    for (family, read) in times {
        let mut samples = out.family(&family)?;
        for ((namespace, name), target) in targets {
            if let Some(unix_millis) = read(target) {
                samples.gauge(&[namespace, name], unix_millis as f64 / 1000.0)?;
            }
        }
    }
    let mut samples = out.family(&metrics::TARGET_STATE)?;
    for ((namespace, name), target) in targets {
        for state in State::ALL {
            let value = u64::from(target.health.state == state);
            samples.gauge(&[namespace, name, state.as_str()], value)?;
        }
    }
    Ok(())
}

/// What the lanes are doing, and how old what waits is at `now`, milliseconds since the Unix epoch.
pub(super) fn parked(out: &mut Exposition, targets: &Targets, now: i64) -> fmt::Result {
    let mut samples = out.family(&metrics::TARGET_OLDEST_PARKED)?;
    for ((namespace, name), target) in targets {
        if let Some(at) = target.parked.oldest_at {
            let age = now.saturating_sub(at).max(0) as f64 / 1000.0;
            samples.gauge(&[namespace, name], age)?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_LANES)?;
    for ((namespace, name), target) in targets {
        let live = target.lanes.saturating_sub(target.parked.not_live());
        samples.gauge(&[namespace, name, "live"], live)?;
        for (mode, lanes) in LaneMode::ALL.into_iter().zip(target.parked.lanes) {
            samples.gauge(&[namespace, name, mode.as_str()], lanes)?;
        }
    }
    Ok(())
}

pub(super) fn counters(out: &mut Exposition, targets: &Targets) -> fmt::Result {
    let counters: [Column<TargetReport, u64>; 7] = [
        (metrics::TARGET_SUCCESSES, |target| {
            target.counters.successes
        }),
        (metrics::TARGET_FAILURES, |target| target.counters.failures),
        (metrics::TARGET_ERRORS, |target| target.counters.errors),
        (metrics::TARGET_EVENTS_DELIVERED, |target| {
            target.counters.events_delivered
        }),
        (metrics::TARGET_EVENTS_PARKED, |target| {
            target.counters.events_parked
        }),
        (metrics::TARGET_EVENTS_DRAINED, |target| {
            target.counters.events_drained
        }),
        (metrics::TARGET_BYTES_DELIVERED, |target| {
            target.counters.bytes_delivered
        }),
    ];
    for (family, read) in counters {
        let mut samples = out.family(&family)?;
        for ((namespace, name), target) in targets {
            samples.counter(&[namespace, name], read(target))?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_EVENTS_DROPPED)?;
    for ((namespace, name), target) in targets {
        let dropped = target.counters.events_dropped;
        samples.counter(&[namespace, name, "ephemeral"], dropped)?;
    }
    let mut samples = out.family(&metrics::TARGET_ATTEMPTS)?;
    for ((namespace, name), target) in targets {
        for (outcome, count) in OUTCOME_LABELS.iter().zip(target.counters.outcomes) {
            samples.counter(&[namespace, name, outcome], count)?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_REASONS)?;
    for ((namespace, name), target) in targets {
        for (reason, count) in &target.counters.reasons {
            samples.counter(&[namespace, name, reason.as_str()], *count)?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_EVENTS_DEAD_LETTERED)?;
    for ((namespace, name), target) in targets {
        for (reason, count) in known(DEAD_LETTER_REASONS, &target.counters.events_dead_lettered) {
            samples.counter(&[namespace, name, reason], count)?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_EVENTS_LOST)?;
    for ((namespace, name), target) in targets {
        for (cause, count) in known(LOSS_CAUSES, &target.counters.events_lost) {
            samples.counter(&[namespace, name, cause], count)?;
        }
    }
    let mut samples = out.family(&metrics::TARGET_RESPONSES)?;
    for ((namespace, name), target) in targets {
        for (code, count) in &target.counters.codes {
            samples.counter(&[namespace, name, &code.to_string()], *count)?;
        }
    }
    Ok(())
}

/// Counts by word, with those that stand at 0: a rate must see the first.
fn known(
    words: [&'static str; 2],
    counts: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let mut known = BTreeMap::from(words.map(|word| (word, 0)));
    known.extend(counts);
    known
}

pub(super) fn histograms(out: &mut Exposition, targets: &Targets) -> fmt::Result {
    let mut samples = out.family(&metrics::TARGET_ATTEMPT_DURATION)?;
    for ((namespace, name), target) in targets {
        let durations = &target.counters.durations;
        samples.histogram(&[namespace, name], &DURATION_BUCKETS_SECONDS, durations)?;
    }
    let mut samples = out.family(&metrics::TARGET_TRANSACTION_EVENTS)?;
    for ((namespace, name), target) in targets {
        let events = &target.counters.transaction_events;
        samples.histogram(&[namespace, name], &EVENTS_BUCKETS, events)?;
    }
    Ok(())
}
