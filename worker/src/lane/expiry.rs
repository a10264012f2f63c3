//! How old parked events may get on a shard: when a lane is looked at for its oldest, what becomes of
//! those that are too old, and what is told about it.
//!
//! An event that was too large to be parked is in its source topic only, and that may keep it for a shorter
//! time: it is given up while there is still something to give. What must be given up is decided in the
//! lane's machine, which passes an event only when its dead letter is written. Owns nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::machine::{Ages, Event as _, GivenUp, WhyGivenUp};
use super::orders::ticket;
use super::outlet::Out;
use super::read_back::ReadBack;
use super::shard::Shard;
use super::{Lane, LaneKey};
use crate::park::{DeadLetter, Order, SourceOffset};

/// Parked events are given up this long before the retry topic's retention would take them.
const BEFORE_RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// An event that is in its source topic only is given up this long before that would delete it.
const BEFORE_SOURCE_RETENTION: Duration = Duration::from_secs(12 * 3_600);

/// Longest time that an event is kept beyond its age, so that many are given up in one reading.
const GATHER_AT_MOST: Duration = Duration::from_secs(60);

/// How long a target's parked events are kept: what it asks for, but less than the retry topic keeps
/// them. With a retention of less than two days half of it is left, so that it is never nothing.
pub(super) fn effective_max_age(wanted: Duration, retention: Duration) -> Duration {
    let safe = retention.saturating_sub(BEFORE_RETENTION);
    wanted.min(safe.max(retention / 2))
}

/// The same for an event of which only the place is parked: half of a source's retention is left when that
/// is less than a day.
pub(super) fn effective_age_elsewhere(max_age: Duration, source: Option<Duration>) -> Duration {
    let Some(source) = source else {
        return max_age;
    };
    let safe = source.saturating_sub(BEFORE_SOURCE_RETENTION);
    max_age.min(safe.max(source / 2))
}

/// From which age on a lane's data are at risk.
fn risky_age(max_age: Duration) -> Duration {
    max_age / 2
}

fn overdue_age(max_age: Duration) -> Duration {
    max_age + (max_age / 64).min(GATHER_AT_MOST)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl<P> Shard<P> {
    /// How long the lane's events are kept, and those of which only the place is parked.
    fn max_ages(&self, key: LaneKey) -> Option<(Duration, Duration)> {
        let partition = self.partitions.get(&key.slot)?;
        let lane = partition.lane(key)?;
        let target = self.targets.get(&lane.uid)?;
        let wanted = target.of.compiled.retry.max_age;
        let max_age = effective_max_age(wanted, self.surroundings.retention);
        let source = self.source_retention.get(&*partition.id.topic).copied();
        Some((max_age, effective_age_elsewhere(max_age, source)))
    }

    /// How long source topics keep their events, as far as the cluster tells.
    pub fn sources_keep(&mut self, retention: Arc<BTreeMap<String, Duration>>) {
        self.source_retention = retention;
        let mut away = Vec::new();
        for partition in self.partitions.values() {
            let lanes = partition.lanes();
            let not_live = lanes.filter(|(_, lane)| !lane.machine.is_live());
            away.extend(not_live.map(|(key, _)| key));
        }
        away.into_iter().for_each(|key| self.stir(key));
    }

    /// What is too old for the lane now.
    pub(super) fn ages(&self, key: LaneKey, now: Instant) -> Ages {
        let Some((max_age, elsewhere)) = self.max_ages(key) else {
            return Ages::ENDLESS;
        };
        let unix = (self.surroundings.unix_millis)(now);
        Ages {
            too_old: unix.saturating_sub(millis(max_age)),
            overdue: unix.saturating_sub(millis(overdue_age(max_age))),
            elsewhere: unix.saturating_sub(millis(elsewhere)),
        }
    }

    /// Sees to it that the lane is looked at when its oldest event comes of age, and says when it is at
    /// risk.
    pub(super) fn mind_age(&mut self, key: LaneKey, now: Instant) {
        let Some((max_age, elsewhere)) = self.max_ages(key) else {
            return;
        };
        let unix = (self.surroundings.unix_millis)(now);
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        let backlog = lane.machine.backlog();
        let oldest = backlog.and_then(|backlog| backlog.oldest_parked_at);
        let (max_age, overdue) = match backlog {
            Some(backlog) if backlog.oldest_is_elsewhere => (elsewhere, elsewhere),
            Some(_) | None => (max_age, overdue_age(max_age)),
        };
        let age = oldest.map(|at| unix.saturating_sub(at));
        let at_risk = age.is_some_and(|age| age >= millis(risky_age(max_age)));
        let uid = lane.uid;
        let became = lane.away.as_mut().is_some_and(|away| {
            let was = std::mem::replace(&mut away.at_risk, at_risk);
            at_risk && !was
        });
        if became {
            self.tell_risk(key, uid, max_age);
        }
        let Some(age) = age else {
            return;
        };
        let marks = [risky_age(max_age), overdue].map(millis);
        let next = marks.into_iter().filter(|mark| *mark >= age).min();
        if let Some(left) = next.and_then(|mark| u64::try_from(mark - age).ok()) {
            // Past the mark, not at it.
            self.wake_at(key, now + Duration::from_millis(left + 1));
        }
    }

    fn tell_risk(&self, key: LaneKey, uid: uuid::Uuid, max_age: Duration) {
        let partition = self.partitions.get(&key.slot);
        if let Some((partition, target)) = partition.zip(self.targets.get(&uid)) {
            target.tell_risk(&partition.id, max_age);
        }
    }

    /// Writes the dead letter of the lane's oldest event without one. None when nothing was ordered.
    pub(super) fn give_up(&mut self, key: LaneKey, ages: Ages) -> Option<()> {
        let partition = self.partitions.get_mut(&key.slot)?;
        let number = partition.number();
        let id = partition.id.clone();
        let lane = partition.lane_mut(key)?;
        let target = self.targets.get(&lane.uid)?;
        let given_up = lane.machine.give_up(number, ages)?;
        if is_new_to_this_reading(lane, given_up.why) {
            target.tell_given_up(&id, given_up.why, given_up.event.offset());
        }
        let topic = target.of.compiled.dead_letter_topic.as_deref();
        let letter = letter(lane, given_up, topic.map(Arc::from))?;
        let order = Order::DeadLetter(Box::new(letter));
        self.out.push_back(Out::Produce(ticket(key, number), order));
        Some(())
    }

    /// A dead letter was written.
    pub(super) fn was_given_up(&mut self, key: LaneKey, why: WhyGivenUp) {
        let uid = self.lane_mut(key).map(|lane| lane.uid);
        if let Some(target) = uid.and_then(|uid| self.targets.get_mut(&uid)) {
            target.gave_up(why);
        }
        self.follow_drain(key);
    }

    /// The lane reads no more, although not all was read.
    pub(super) fn rest(&mut self, key: LaneKey) {
        if let Some(lane) = self.lane_mut(key) {
            lane.machine.rest();
        }
        self.follow_drain(key);
    }

    /// Counts what retention took of the lane.
    pub(super) fn count_lost(&mut self, key: LaneKey) {
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        let (uid, lost) = (lane.uid, lane.machine.take_lost());
        if let Some(target) = self.targets.get_mut(&uid).filter(|_| lost > 0) {
            target.lost_to_retention(lost);
        }
    }
}

/// Whether this reading of the bucket has given up nothing for that reason before.
fn is_new_to_this_reading(lane: &mut Lane, why: WhyGivenUp) -> bool {
    let reading = lane.machine.backlog().and_then(|backlog| backlog.drain());
    let told = reading.map(|reading| (reading, why));
    let away = lane.away.as_mut();
    away.is_some_and(|away| std::mem::replace(&mut away.told_given_up, told) != told)
}

fn letter(lane: &Lane, given_up: GivenUp<ReadBack>, topic: Option<Arc<str>>) -> Option<DeadLetter> {
    let backlog = lane.machine.backlog()?;
    let failure = backlog.last_failure.as_ref();
    let failed = backlog.attempts > 0;
    Some(DeadLetter {
        lane: Arc::clone(&lane.away.as_ref()?.address),
        topic,
        reason: given_up.why.as_str(),
        status: failure.and_then(|failure| failure.status),
        attempts: backlog.attempts,
        first_attempt: failed.then_some(backlog.since),
        last_attempt: failure.map(|failure| failure.at),
        event: match given_up.event {
            ReadBack::Event(record) | ReadBack::Fetched(record) if !given_up.by_place => Ok(record),
            event @ (ReadBack::Event(_) | ReadBack::Fetched(_) | ReadBack::Gone(_)) => {
                Err(SourceOffset(event.offset()))
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_given_up_a_day_before_retention_takes_them_and_never_at_once() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (wanted, retention, effective) in [
            (hours(144), hours(168), hours(144)),
            (hours(168), hours(168), hours(144)),
            (hours(1), hours(168), hours(1)),
            (hours(144), hours(36), hours(18)),
            (hours(144), hours(2), hours(1)),
        ] {
            assert_eq!(effective_max_age(wanted, retention), effective);
        }
        assert_eq!(effective_max_age(hours(9), Duration::MAX), hours(9));
    }

    #[test]
    fn what_is_in_its_source_topic_only_is_given_up_half_a_day_before_that_deletes_it() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (max_age, source, effective) in [
            (hours(144), None, hours(144)),
            (hours(144), Some(hours(168)), hours(144)),
            (hours(144), Some(hours(48)), hours(36)),
            (hours(144), Some(hours(4)), hours(2)),
            (hours(1), Some(hours(48)), hours(1)),
        ] {
            assert_eq!(effective_age_elsewhere(max_age, source), effective);
        }
    }
}
