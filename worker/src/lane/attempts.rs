//! Attempts: which lane sends what, and what follows an outcome.
//!
//! Owns nothing. A live lane sends from its partition's ledger, one that drains from what it has read
//! back; both go the same way from here.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::AbortHandle;
use parcelhook_crds::compiled::TransactionLimits;
use parcelhook_crds::lane::{LastFailure, ParkReason};

use super::gate::Held;
use super::leaving;
use super::machine::{After, Due, Failed, Span};
use super::partition::Partition;
use super::request::{self, Destination, Sent};
use super::shard::{Launch, Shard};
use super::{Lane, LaneKey, ReadBack};
use crate::clock;
use crate::delivery::{Attempt, Outcome, PrepareError, Reason};
use crate::failpoint::{self, Failpoint};
use crate::recover::backoff::{self, Wait};
use crate::source::Lease;
use crate::source::record::Record;

/// A target that asks for less is waited for in the lane's place once, and this long at most; otherwise
/// the lane parks.
const IN_PLACE: Duration = Duration::from_secs(5);

impl<P> Shard<P> {
    /// The attempt that the lane may make now, if any.
    pub(super) fn try_launch(&mut self, key: LaneKey, now: Instant) -> Option<Launch<P>> {
        if self.must_hold_still(key.slot) {
            self.wake_at(key, now + Lease::LOOK_AGAIN);
            return None;
        }
        let partition = self
            .partitions
            .get_mut(&key.slot)
            .filter(|partition| partition.may_act())?;
        let lane = partition.lane(key)?;
        if lane.held == Held::Everything {
            return None;
        }
        if !lane.machine.is_live() {
            return self.work(key, now).then(|| self.launch_drain(key, now))?;
        }
        let retried = lane.machine.ready(now).ok()?;
        if lane.ending && retried.is_none() && partition.pending(lane) == 0 {
            partition.remove(key.index);
            return None;
        }
        if self.drops_now(key, now) {
            return None;
        }
        let partition = self.partitions.get(&key.slot)?;
        let lane = partition.lane(key)?;
        let target = self.targets.get(&lane.uid)?;
        if target.of.is_suspended() {
            if partition.waiting(lane) > 0 {
                self.leave(key, ParkReason::Suspended, Due::Never, now);
            }
            return None;
        }
        if let Some(until) = target.of.shared.held(now) {
            self.wake_at(key, until);
            return None;
        }
        let limits = self.narrowed(target.of.compiled.transaction);
        let events = match retried {
            Some(events) => events,
            None => request::cut(partition.records(lane), limits, &lane.stamp),
        };
        self.form(key, events, now)
    }

    /// The limits of a target's transactions, within what bodies may take now.
    fn narrowed(&self, limits: TransactionLimits) -> TransactionLimits {
        TransactionLimits {
            max_bytes: limits.max_bytes.min(self.bodies.room()),
            ..limits
        }
    }

    /// Whether nobody knows that this worker still owns its partitions: another may by now.
    fn must_hold_still(&self, slot: u32) -> bool {
        let partition = self.partitions.get(&slot);
        partition.is_some_and(|partition| !partition.progress().lease().allows(clock::since_boot()))
    }

    /// The attempt with what a lane has read back.
    fn launch_drain(&mut self, key: LaneKey, now: Instant) -> Option<Launch<P>> {
        let lane = self.partitions.get(&key.slot)?.lane(key)?;
        let target = self.targets.get(&lane.uid)?;
        if let Some(until) = target.of.shared.held(now) {
            self.wake_at(key, until);
            return None;
        }
        let limits = self.narrowed(target.of.compiled.transaction);
        let drainable = lane.machine.drainable()?;
        let events = match drainable.again {
            Some(events) => events,
            None => {
                let events = drainable.events().filter_map(ReadBack::event);
                request::cut(events, limits, &lane.stamp)
            }
        };
        self.form(key, events, now)
    }

    /// Forms the request of the lane's oldest `events`.
    fn form(&mut self, key: LaneKey, events: u32, now: Instant) -> Option<Launch<P>> {
        let partition = self.partitions.get(&key.slot)?;
        let lane = partition.lane(key)?;
        let target = self.targets.get(&lane.uid)?;
        let records = oldest(partition, lane, events);
        let span = span(&records)?;
        let prepared = match &target.prepared {
            Ok(prepared) => Rc::clone(prepared),
            Err(error) => {
                let error = error.clone();
                start(self.lane_mut(key)?, span);
                self.refuse(key, &error, now);
                return None;
            }
        };
        let destination = Destination {
            target: &target.of.compiled,
            partition: &partition.id,
        };
        let attempt = lane.machine.failures() + 1;
        let formed = request::form(destination, &lane.stamp, &records, attempt);
        let (request, sent) = formed.map_err(|error| cannot_form(key, &error)).ok()?;
        let on_way = lane.machine.is_live().then(|| {
            let bytes = records.iter().map(|record| record.cost()).sum();
            partition.progress().set_out(bytes)
        });
        let (abort, registration) = AbortHandle::new_pair();
        let lane = self.lane_mut(key)?;
        start(lane, span);
        lane.abort = Some(abort);
        Some(Launch {
            key,
            prepared,
            request,
            sent,
            on_way,
            began: now,
            registration,
        })
    }

    /// An attempt came to an outcome.
    pub fn ended(&mut self, key: LaneKey, sent: &Sent, attempt: Attempt, now: Instant) {
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        lane.abort = None;
        if attempt.outcome == Outcome::Delivered {
            self.delivered(key, sent, attempt, now);
        } else {
            self.failed(key, sent, attempt, now);
        }
    }

    fn delivered(&mut self, key: LaneKey, sent: &Sent, attempt: Attempt, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let uid = lane.uid;
        let was_live = lane.machine.live().is_attempting();
        let mut had_failed = false;
        if was_live {
            failpoint::reached(Failpoint::SuccessBeforeCommit);
            had_failed = lane.failures() > 0;
            lane.has_succeeded();
            if let After::Done { events } = lane.machine.delivered() {
                partition.done(key.index, events);
            }
        } else {
            failpoint::reached(Failpoint::SuccessBeforeRow);
            had_failed |= lane.machine.drain_delivered();
            if let Some(count) = lane.away.as_mut().and_then(|away| away.count.as_mut()) {
                let began = now.checked_sub(attempt.duration).unwrap_or(now);
                count.drained(sent.events, began);
            }
            self.count_lost(key);
            self.follow_drain(key);
            self.give_way(key, now);
        }
        let Some(target) = self.targets.get_mut(&uid) else {
            return;
        };
        if let Some(partition) = self.partitions.get(&key.slot) {
            target.delivered(&partition.id, sent, attempt, now);
        }
        if !was_live {
            target.drained(sent.events);
            let waiting = target.recovering.delivered();
            waiting.into_iter().for_each(|lane| self.stir(lane));
        }
        if had_failed {
            self.hint(uid, Some(key), now);
        }
        self.stir(key);
    }

    fn failed(&mut self, key: LaneKey, sent: &Sent, attempt: Attempt, now: Instant) {
        let jitter = self.jitter.f64() * 2.0 - 1.0;
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let opening = leaving::opening(partition, key, &self.surroundings);
        let id = partition.id.clone();
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let Some(target) = self.targets.get_mut(&lane.uid) else {
            return;
        };
        let retry = &target.of.compiled.retry;
        let wait = backoff::after(attempt.outcome, lane.failures() + 1, retry, jitter);
        target.hold_if_throttled(attempt.outcome, wait, now);
        let in_place = waits_in_place(attempt.outcome, wait) && lane.machine.live().failures() == 0;
        let failed = failed(wait, &attempt, now);
        let until = match failed.due {
            Due::At(at, _) => Some(at),
            Due::Never => None,
        };
        target.failed(&id, sent, attempt, until, now);
        match opening {
            _ if !lane.machine.live().is_attempting() => {
                lane.machine.drain_failed(failed);
                target.recovering.failed();
                self.follow_drain(key);
            }
            _ if lane.is_ephemeral() => self.drop_failed(key, failed.due),
            Some(opening) if !in_place => lane.machine.failed(failed, opening),
            Some(_) | None => lane.machine.failed_in_place(failed),
        }
        self.has_left(key);
        self.wake_when_due(key, now);
    }

    /// A target that cannot be used as it is configured: its events wait until it changes.
    fn refuse(&mut self, key: LaneKey, error: &PrepareError, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let opening = leaving::opening(partition, key, &self.surroundings);
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        let failed = Failed {
            due: Due::Never,
            failure: LastFailure {
                at: clock::unix_millis(),
                reason: Reason::InvalidConfiguration.as_str().to_owned(),
                status: None,
                message: Some(error.to_string()),
            },
        };
        let ephemeral = lane.is_ephemeral();
        match opening {
            _ if ephemeral => {}
            Some(opening) if lane.machine.is_live() => lane.machine.failed(failed, opening),
            Some(_) | None => lane.machine.drain_failed(failed),
        }
        if let Some(target) = self.targets.get(&lane.uid) {
            target.refused(&partition.id, error, now);
        }
        if ephemeral {
            return self.drop_failed(key, Due::Never);
        }
        self.follow_drain(key);
        self.has_left(key);
    }

    /// A lane of the target was delivered for the first time after failing: each other one may try, here
    /// and on the other shards. It is an edge, and it costs a lane no attempt.
    fn hint(&mut self, uid: uuid::Uuid, from: Option<LaneKey>, now: Instant) {
        if from.is_some() {
            self.out.push_back(super::outlet::Out::Hint(uid));
        }
        let unix = clock::unix_millis();
        let mut hurried = Vec::new();
        for partition in self.partitions.values_mut() {
            for key in partition.keys_of(uid) {
                if Some(key) == from {
                    continue;
                }
                if let Some(lane) = partition.lane_mut(key)
                    && lane.failures() > 0
                {
                    lane.hurry(now, unix);
                    hurried.push(key);
                }
            }
        }
        hurried.into_iter().for_each(|key| self.stir(key));
    }

    /// A lane of the target, on another shard or worker, was delivered for the first time after failing.
    pub fn hinted(&mut self, uid: uuid::Uuid, now: Instant) {
        self.hint(uid, None, now);
    }
}

fn waits_in_place(outcome: Outcome, wait: Wait) -> bool {
    let throttled = matches!(outcome, Outcome::Throttled { .. });
    throttled && matches!(wait, Wait::For(wait) if wait <= IN_PLACE)
}

/// The lane's oldest events, wherever they wait.
fn oldest<'a>(partition: &'a Partition, lane: &'a Lane, events: u32) -> Vec<&'a Record> {
    let events = events as usize;
    match lane.machine.drainable() {
        Some(drainable) => drainable
            .events()
            .filter_map(ReadBack::event)
            .take(events)
            .collect(),
        None => partition.records(lane).take(events).collect(),
    }
}

/// An attempt with these events starts.
fn start(lane: &mut Lane, span: Span) {
    if lane.machine.is_live() {
        lane.machine.start(span);
    } else {
        lane.machine.start_drain(span.events);
    }
}

fn cannot_form(key: LaneKey, error: &crate::transaction::Error) {
    tracing::error!(?key, %error, "a transaction cannot be formed; its lane stands");
}

/// A failed attempt as the lane's machine keeps it.
fn failed(wait: Wait, attempt: &Attempt, now: Instant) -> Failed {
    let at = clock::unix_millis();
    let due = match wait {
        Wait::For(wait) => {
            let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Due::At(now + wait, at.saturating_add(millis))
        }
        Wait::Never => Due::Never,
    };
    let failure = LastFailure {
        at,
        reason: attempt.reason.as_str().to_owned(),
        status: attempt.status,
        message: attempt.detail.clone(),
    };
    Failed { due, failure }
}

fn span(records: &[&Record]) -> Option<Span> {
    Some(Span {
        events: u32::try_from(records.len()).ok()?,
        first: records.first()?.offset,
        last: records.last()?.offset,
    })
}
