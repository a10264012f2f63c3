//! What a shard tells of its lanes: sums and the worst for who asks, a log line for what changes.
//!
//! Owns nothing. Every event that was read and not delivered is counted once: in the ledger, or as parked.

use std::time::Instant;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::machine::Backlog;
use super::partition::Partition;
use super::read_back::ReadBack;
use super::shard::Shard;
use super::{Lane, LaneKey};
use crate::clock;
use crate::report::{LaneMode, LaneReport, TargetReport, earliest};
use crate::source::PartitionId;
use crate::state::recovery::NotLive;
use crate::telemetry::lane_log;

impl<P> Shard<P> {
    /// What this shard knows of its targets.
    pub fn report(&self) -> Vec<TargetReport> {
        let mut reports: FxHashMap<Uuid, TargetReport> = self
            .targets
            .iter()
            .map(|(uid, target)| (*uid, target.report()))
            .collect();
        // The lanes know it better: they may be due at once, or may not be here any more.
        for report in reports.values_mut() {
            report.health.next_attempt = None;
        }
        let (now, unix) = (clock::now(), clock::unix_millis());
        for partition in self.partitions.values() {
            for (_, lane) in partition.lanes() {
                if let Some(report) = reports.get_mut(&lane.uid) {
                    add(report, partition, lane);
                    let due = next_attempt(lane, now, unix);
                    report.health.next_attempt = earliest(report.health.next_attempt, due);
                }
            }
        }
        reports.into_values().collect()
    }

    /// A lane is not live from now on.
    pub(super) fn tell_left(&mut self, key: LaneKey) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let id = partition.id.clone();
        let waiting = partition
            .lane(key)
            .map_or(0, |lane| partition.waiting(lane));
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let Some(target) = self.targets.get(&lane.uid) else {
            return;
        };
        let (Some(away), Some(backlog)) = (&mut lane.away, lane.machine.backlog()) else {
            return;
        };
        away.count = Some(NotLive::new(&target.of.shared));
        target.lane_left(lane_log::NotLive {
            lane: &id,
            reason: backlog.reason,
            failure: backlog.last_failure.as_ref(),
            parked: backlog.parked,
            waiting,
            next_attempt: backlog.next_attempt(),
        });
    }

    /// Tells once when a lane has stopped at a gap.
    pub(super) fn tell_if_stopped(&mut self, key: LaneKey) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let (Some(away), Some(backlog)) = (&mut lane.away, lane.machine.backlog()) else {
            return;
        };
        let told = std::mem::replace(&mut away.stopped, backlog.is_stopped());
        if !away.stopped || told {
            return;
        }
        let (parked, through) = (backlog.parked, backlog.delivered_through);
        if let Some(target) = self.targets.get(&lane.uid) {
            target.lane_stopped(&partition.id, parked, through);
        }
    }
}

fn add(report: &mut TargetReport, partition: &Partition, lane: &Lane) {
    report.lanes += 1;
    report.pending_events += partition.pending(lane);
    let Some(backlog) = lane.machine.backlog() else {
        return;
    };
    report.at_risk |= lane.away.as_ref().is_some_and(|away| away.at_risk);
    report.pending_events += backlog.parked;
    report.pending_events -= parked_before(partition, lane, backlog).min(report.pending_events);
    let last_failure = backlog.last_failure.as_ref();
    let stopped = lane.away.as_ref().is_some_and(|away| away.stopped);
    report
        .parked
        .add(lane_report(&partition.id, backlog, stopped), last_failure);
}

/// Events that wait in the ledger although they count as parked: a predecessor parked them and its
/// commit did not tell so.
fn parked_before(partition: &Partition, lane: &Lane, backlog: &Backlog<ReadBack>) -> u64 {
    let Some(through) = backlog.parked_through else {
        return 0;
    };
    let waiting = partition.records(lane);
    waiting
        .take_while(|record| record.offset <= through)
        .count() as u64
}

fn lane_report(id: &PartitionId, backlog: &Backlog<ReadBack>, stopped: bool) -> LaneReport {
    let mode = if stopped {
        LaneMode::Stopped
    } else if backlog.is_parking() {
        LaneMode::Parking
    } else {
        LaneMode::Draining
    };
    LaneReport {
        partition: id.clone(),
        mode,
        reason: backlog.reason,
        parked: backlog.parked,
        attempts: backlog.attempts,
        since: backlog.since,
        oldest_parked_at: backlog.oldest_parked_at,
        next_attempt: backlog.next_attempt(),
        last_failure: None,
    }
}

/// When the lane tries again, milliseconds since the Unix epoch; also of one that waits in its place.
fn next_attempt(lane: &Lane, now: Instant, unix: i64) -> Option<i64> {
    match lane.machine.backlog() {
        Some(backlog) => backlog.next_attempt(),
        None => {
            let wait = lane.machine.live().wake()?.saturating_duration_since(now);
            Some(unix.saturating_add(i64::try_from(wait.as_millis()).ok()?))
        }
    }
}
