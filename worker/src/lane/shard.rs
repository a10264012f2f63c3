//! A shard's state: its targets, its partitions, and which lane may send next.
//!
//! Owns everything a shard knows. Synchronous: it is told what happened and the time, and hands out
//! [`Launch`]es, one at a time, for the driver to perform. Bounded by the records that the byte
//! budget lets in and by lanes × targets.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{AbortHandle, AbortRegistration};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::due::Due;
use super::machine::Next;
use super::matching::{self, Targets};
use super::pace::Pace;
use super::partition::Partition;
use super::request::{self, Destination, Sent};
use super::target::Target;
use super::{Lane, LaneKey};
use crate::delivery::{Attempt, Outcome, PrepareError, Request};
use crate::failpoint::{self, Failpoint};
use crate::recover::backoff::{self, Wait};
use crate::report::TargetReport;
use crate::source::Assigned;
use crate::source::record::Record;
use crate::state::shared::WorkerTarget;

/// An attempt for the driver to make.
#[derive(Debug)]
pub struct Launch<P> {
    /// Where the result belongs.
    pub key: LaneKey,
    /// The target, made ready.
    pub prepared: Rc<P>,
    /// What to send.
    pub request: Request,
    /// What is remembered about it until it ends.
    pub sent: Sent,
    /// When it begins.
    pub began: Instant,
    /// Ends the attempt from outside.
    pub registration: AbortRegistration,
}

/// See the module. `P` is a target made ready for requests.
#[derive(Debug)]
pub struct Shard<P> {
    targets: Targets<P>,
    partitions: FxHashMap<u32, Partition>,
    due: Due,
    /// Lanes to look at now.
    restless: VecDeque<LaneKey>,
    pace: Pace,
    lanes_begun: u64,
    jitter: fastrand::Rng,
}

impl<P> Default for Shard<P> {
    fn default() -> Self {
        Self {
            targets: FxHashMap::default(),
            partitions: FxHashMap::default(),
            due: Due::default(),
            restless: VecDeque::new(),
            pace: Pace::default(),
            lanes_begun: 0,
            jitter: fastrand::Rng::new(),
        }
    }
}

impl<P> Shard<P> {
    /// Takes over a complete set of targets. `prepare` makes a new or changed one ready.
    pub fn apply(
        &mut self,
        targets: &[WorkerTarget],
        prepare: impl Fn(&WorkerTarget) -> Result<P, PrepareError>,
        now: Instant,
    ) {
        let mut old = std::mem::take(&mut self.targets);
        for target in targets {
            let uid = target.compiled.uid;
            let entry = match old.remove(&uid) {
                Some(entry) if Arc::ptr_eq(&entry.of.compiled, &target.compiled) => entry,
                Some(entry) => entry.changed(target.clone(), prepare(target)),
                None => Target::new(target.clone(), prepare(target)),
            };
            self.targets.insert(uid, entry);
        }
        let slots: Vec<u32> = self.partitions.keys().copied().collect();
        for slot in slots {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                matching::follow(partition, &self.targets, now);
                matching::begin(partition, &self.targets, &[], &mut self.lanes_begun);
            }
            self.wake_partition(slot, now);
        }
        for target in self.targets.values_mut() {
            target.is_new = false;
        }
    }

    /// A partition is this shard's from now on.
    pub fn assigned(&mut self, assigned: Assigned) {
        let slot = assigned.slot;
        let starts = assigned.lane_starts.clone();
        let mut partition = Partition::new(assigned);
        matching::begin(
            &mut partition,
            &self.targets,
            &starts,
            &mut self.lanes_begun,
        );
        self.partitions.insert(slot, partition);
    }

    /// Records arrived, in offset order within a partition.
    pub fn records(&mut self, records: Vec<(u32, Vec<Record>)>, now: Instant) {
        for (slot, records) in records {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.take(records);
                self.wake_partition(slot, now);
            }
        }
    }

    /// The log of a partition moved on without records.
    pub fn passed(&mut self, slot: u32, position: i64) {
        if let Some(partition) = self.partitions.get_mut(&slot) {
            partition.pass(position);
        }
    }

    /// Nothing new starts in these partitions.
    pub fn close(&mut self, slots: &[u32]) {
        for slot in slots {
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.closing = true;
            }
        }
    }

    /// Whether no attempt is in flight in these partitions.
    pub fn is_quiet(&self, slots: &[u32]) -> bool {
        slots
            .iter()
            .filter_map(|slot| self.partitions.get(slot))
            .all(Partition::is_quiet)
    }

    /// Lets partitions go: aborts what is in flight and forgets them.
    pub fn drop_partitions(&mut self, slots: &[u32], now: Instant) {
        for partition in slots.iter().filter_map(|slot| self.partitions.remove(slot)) {
            for (_, lane) in partition.lanes() {
                if let Some(abort) = &lane.abort {
                    abort.abort();
                }
                if let Some(target) = self.targets.get(&lane.uid) {
                    target.forget(&partition.id, now);
                }
            }
        }
    }

    /// The next attempt that may start now. Call until there is none.
    pub fn launch(&mut self, now: Instant) -> Option<Launch<P>> {
        while self.pace.allows(now) {
            let key = self.next_lane(now)?;
            if let Some(launch) = self.try_launch(key, now) {
                self.pace.began(now);
                return Some(launch);
            }
        }
        None
    }

    /// When [`Shard::launch`] should be asked again, if nothing else happens.
    pub fn next_due(&mut self, now: Instant) -> Option<Instant> {
        if self.pace.allows(now) {
            self.due.next()
        } else {
            self.pace.next()
        }
    }

    /// The attempt that began then is over, whatever it came to: another may begin.
    pub fn over(&mut self, began: Instant) {
        self.pace.ended(began);
    }

    /// An attempt came to an outcome.
    pub fn ended(&mut self, key: LaneKey, sent: &Sent, attempt: Attempt, now: Instant) {
        let jitter = self.jitter.f64() * 2.0 - 1.0;
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let Some(target) = self.targets.get_mut(&lane.uid) else {
            return;
        };
        lane.abort = None;
        let next = if attempt.outcome == Outcome::Delivered {
            lane.machine.delivered()
        } else {
            let retry = &target.of.compiled.retry;
            let wait = backoff::after(attempt.outcome, lane.machine.failures() + 1, retry, jitter);
            target.hold_if_throttled(attempt.outcome, wait, now);
            lane.machine.failed(wait, now)
        };
        match next {
            Next::Done { events } => {
                failpoint::reached(Failpoint::SuccessBeforeCommit);
                if !std::mem::replace(&mut lane.restless, true) {
                    self.restless.push_back(key);
                }
                partition.done(key.index, events);
                target.delivered(&partition.id, sent, attempt, now);
            }
            Next::Wait { until } => {
                lane.wake = until;
                if let Some(until) = until {
                    self.due.push(until, key);
                }
                target.failed(&partition.id, sent, attempt, until, now);
            }
        }
    }

    /// What this shard knows of its targets.
    pub fn report(&self) -> Vec<TargetReport> {
        let mut reports: FxHashMap<Uuid, TargetReport> = self
            .targets
            .iter()
            .map(|(uid, target)| (*uid, target.report()))
            .collect();
        for partition in self.partitions.values() {
            for (_, lane) in partition.lanes() {
                if let Some(report) = reports.get_mut(&lane.uid) {
                    report.lanes += 1;
                    report.pending_events += partition.waiting(lane);
                }
            }
        }
        reports.into_values().collect()
    }

    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Takes a lane to look at: one that has something to do, or one that is due.
    fn next_lane(&mut self, now: Instant) -> Option<LaneKey> {
        let (key, is_due) = match self.restless.pop_front() {
            Some(key) => (key, false),
            None => (self.due.pop(now)?, true),
        };
        if let Some(lane) = self.lane_mut(key) {
            if is_due {
                lane.wake = None;
            } else {
                lane.restless = false;
            }
        }
        Some(key)
    }

    fn lane_mut(&mut self, key: LaneKey) -> Option<&mut Lane> {
        self.partitions.get_mut(&key.slot)?.lane_mut(key)
    }

    fn try_launch(&mut self, key: LaneKey, now: Instant) -> Option<Launch<P>> {
        let partition = self
            .partitions
            .get_mut(&key.slot)
            .filter(|partition| !partition.closing)?;
        let lane = partition.lane(key)?;
        let retried = lane.machine.ready(now).ok()?;
        if lane.ending && retried.is_none() && partition.waiting(lane) == 0 {
            partition.remove(key.index);
            return None;
        }
        let target = self
            .targets
            .get(&lane.uid)
            .filter(|target| !target.of.compiled.suspend)?;
        if let Some(until) = target.of.shared.held(now) {
            self.wake_at(key, until);
            return None;
        }
        let events = match retried {
            Some(events) => events,
            None => {
                let limits = target.of.compiled.transaction;
                request::cut(partition.records(lane), limits, &lane.stamp)
            }
        };
        if events == 0 {
            return None;
        }
        let prepared = match &target.prepared {
            Ok(prepared) => Rc::clone(prepared),
            Err(error) => {
                let error = error.clone();
                self.refuse(key, events, &error, now);
                return None;
            }
        };
        let attempt = lane.machine.failures() + 1;
        let records: Vec<&Record> = partition.records(lane).take(events as usize).collect();
        let destination = Destination {
            target: &target.of.compiled,
            partition: &partition.id,
        };
        let (request, sent) = match request::form(destination, &lane.stamp, &records, attempt) {
            Ok(formed) => formed,
            Err(error) => {
                tracing::error!(partition = %partition.id, %error, "a transaction cannot be formed; its lane stands");
                return None;
            }
        };
        let (abort, registration) = AbortHandle::new_pair();
        let lane = partition.lane_mut(key)?;
        lane.machine.start(events);
        lane.abort = Some(abort);
        Some(Launch {
            key,
            prepared,
            request,
            sent,
            began: now,
            registration,
        })
    }

    /// A target that cannot be used as it is configured: its events wait until it changes.
    fn refuse(&mut self, key: LaneKey, events: u32, error: &PrepareError, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        lane.machine.start(events);
        let _ = lane.machine.failed(Wait::Never, now);
        if let Some(target) = self.targets.get(&lane.uid) {
            target.refused(&partition.id, error, now);
        }
    }

    fn wake_at(&mut self, key: LaneKey, at: Instant) {
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        if lane.wake.is_none_or(|wake| at < wake) {
            lane.wake = Some(at);
            self.due.push(at, key);
        }
    }

    fn wake_partition(&mut self, slot: u32, now: Instant) {
        if let Some(partition) = self.partitions.get_mut(&slot) {
            self.restless.extend(partition.grow_restless(now));
        }
    }
}
