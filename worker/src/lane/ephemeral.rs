//! Events that nobody wants late: of sources of class Ephemeral.
//!
//! A lane of such a source is never parked and has no rows. While it waits after a failure, while
//! memory is short or its target is suspended, its events are dropped, counted, and count as done. After
//! a failed attempt the transaction is dropped, too, and the first event after the wait is the probe. A
//! new owner knows nothing of the wait and begins as if the target were well. A lane that has parked
//! events from a time when its source was Persistent delivers those first.

use std::time::Instant;

use parcelhook_crds::compiled::SourceClass;

use super::machine::{After, Due, Phase};
use super::shard::Shard;
use super::target::Target;
use super::{Lane, LaneKey};

/// Failures of a lane that drops its events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ephemeral {
    /// Failed attempts in a row.
    pub failures: u32,
    /// When the next attempt may be made; none before the first failure.
    due: Option<Due>,
}

impl Ephemeral {
    /// For the lane of a target on a topic; none when its events are kept.
    pub(super) fn of<P>(target: &Target<P>, topic: &str) -> Option<Box<Self>> {
        let class = target.source(topic).map(|source| source.class);
        (class == Some(SourceClass::Ephemeral)).then(Box::default)
    }

    fn waits(self, now: Instant) -> bool {
        self.due.is_some_and(|due| !due.has_come(now))
    }
}

impl Lane {
    /// Whether its events are dropped when they cannot be delivered.
    pub(super) fn is_ephemeral(&self) -> bool {
        self.ephemeral.is_some() && self.machine.is_live()
    }

    /// Failed attempts in a row.
    pub(super) fn failures(&self) -> u32 {
        let dropping = self.ephemeral.as_ref().filter(|_| self.is_ephemeral());
        dropping.map_or(self.machine.failures(), |lane| lane.failures)
    }

    /// The lane may try now, whatever it waits for.
    pub(super) fn hurry(&mut self, now: Instant, unix: i64) {
        self.machine.hurry(now, unix);
        if let Some(ephemeral) = &mut self.ephemeral {
            ephemeral.due = None;
        }
    }

    /// An attempt was delivered.
    pub(super) fn has_succeeded(&mut self) {
        if let Some(ephemeral) = &mut self.ephemeral {
            **ephemeral = Ephemeral::default();
        }
    }
}

impl<P> Shard<P> {
    /// Drops what waits for a lane that must not send now. Returns whether the lane drops its events at
    /// all; no attempt of it is in flight.
    pub(super) fn drops_now(&mut self, key: LaneKey, now: Instant) -> bool {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return false;
        };
        let Some(lane) = partition.lane(key).filter(|lane| lane.is_ephemeral()) else {
            return false;
        };
        let uid = lane.uid;
        let suspended = self
            .targets
            .get(&uid)
            .is_none_or(|target| target.of.is_suspended());
        let waits = lane.ephemeral.as_ref().is_some_and(|it| it.waits(now));
        if !suspended && !waits {
            return false;
        }
        let events = partition.waiting(lane);
        partition.done(key.index, u32::try_from(events).unwrap_or(u32::MAX));
        self.count_dropped(uid, events);
        true
    }

    /// The lane may keep nothing: drops what waits behind the attempt in flight.
    pub(super) fn drop_behind(&mut self, key: LaneKey) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane(key) else {
            return;
        };
        let uid = lane.uid;
        let sent = match lane.machine.live().phase() {
            Phase::Attempting(span) | Phase::Waiting { span, .. } => span.events,
            Phase::Idle => 0,
        };
        let dropped = partition.drop_behind(key.index, sent);
        self.count_dropped(uid, dropped);
    }

    /// The attempt in flight failed: its events are dropped, and the lane waits until `due`.
    pub(super) fn drop_failed(&mut self, key: LaneKey, due: Due) {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return;
        };
        let Some(lane) = partition.lane_mut(key) else {
            return;
        };
        if let Some(ephemeral) = &mut lane.ephemeral {
            ephemeral.failures = ephemeral.failures.saturating_add(1);
            ephemeral.due = Some(due);
        }
        let uid = lane.uid;
        if let After::Done { events } = lane.machine.delivered() {
            partition.done(key.index, events);
            self.count_dropped(uid, u64::from(events));
        }
    }

    fn count_dropped(&mut self, uid: uuid::Uuid, events: u64) {
        if let Some(target) = self.targets.get_mut(&uid) {
            target.dropped(events);
        }
    }
}
