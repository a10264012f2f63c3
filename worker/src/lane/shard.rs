//! A shard's state: its targets, its partitions, and which lane may send next.
//!
//! Owns everything a shard knows. Synchronous: it is told what happened and the time, and hands out
//! [`Launch`]es, one at a time, for the driver to perform. Bounded by the records that the byte
//! budget lets in and by lanes × targets.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::AbortRegistration;
use parcelhook_crds::revision::Revision;
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::bodies::Bodies;
use super::drained::Drained;
use super::drains;
use super::due::Due;
use super::matching::{self, Targets};
use super::outlet::Out;
use super::pace::Pace;
use super::partition::Partition;
use super::pressure::LOOK_INTERVAL;
use super::request::Sent;
use super::surroundings::Surroundings;
use super::target::Target;
use super::unacked::Unacked;
use super::{Lane, LaneKey};
use crate::delivery::{PrepareError, Request};
use crate::park::Scan;
use crate::source::record::Record;
use crate::source::{Assigned, OnWay};
use crate::state::Ask;
use crate::state::shared::{Configuration, WorkerTarget};

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
    /// Its events' bytes, unless they were read back: those are none of the budget. Kept until it ends.
    pub on_way: Option<OnWay>,
    /// When it begins.
    pub began: Instant,
    /// Ends the attempt from outside.
    pub registration: AbortRegistration,
}

/// See the module. `P` is a target made ready for requests.
#[derive(Debug)]
pub struct Shard<P> {
    pub(super) surroundings: Surroundings,
    pub(super) targets: Targets<P>,
    /// Number of the configuration that they are of; none when nobody numbers it.
    pub(super) revision: Option<Revision>,
    /// Targets that people have ended.
    pub(super) ended: FxHashSet<Uuid>,
    pub(super) partitions: FxHashMap<u32, Partition>,
    /// What others are asked to do, oldest first.
    pub(super) out: VecDeque<Out>,
    pub(super) unacked: Unacked,
    pub(super) drained: Drained,
    /// How long source topics keep their events, as far as it is known.
    pub(super) source_retention: Arc<BTreeMap<String, Duration>>,
    due: Due,
    /// Lanes to look at now.
    restless: VecDeque<LaneKey>,
    pace: Pace,
    pub(super) bodies: Bodies,
    pub(super) lanes_begun: u64,
    pub(super) jitter: fastrand::Rng,
    /// When to look for slow lanes.
    pub(super) next_look: Option<Instant>,
    /// When to look at what is a matter of time in the partitions.
    pub(super) next_upkeep: Option<Instant>,
}

impl<P> Shard<P> {
    /// A shard without targets and partitions.
    pub fn new(surroundings: Surroundings) -> Self {
        Self {
            targets: FxHashMap::default(),
            revision: None,
            ended: FxHashSet::default(),
            partitions: FxHashMap::default(),
            out: VecDeque::new(),
            unacked: Unacked::new(surroundings.shards),
            drained: Drained::new(surroundings.drain_bytes()),
            source_retention: Arc::default(),
            due: Due::default(),
            restless: VecDeque::new(),
            pace: Pace::default(),
            bodies: Bodies::new(surroundings.body_bytes()),
            lanes_begun: 0,
            jitter: fastrand::Rng::new(),
            next_look: None,
            next_upkeep: None,
            surroundings,
        }
    }

    /// The oldest order that was not handed over.
    pub fn take_order(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// An order was not taken: it stays the oldest.
    pub fn put_back(&mut self, out: Out) {
        self.out.push_front(out);
    }

    /// Takes a configuration over: the lanes of a target that is not in it end, unless they live by
    /// their rows alone; of those only the lanes of the ended do. `prepare` makes a new or changed
    /// target ready.
    pub fn apply(
        &mut self,
        configuration: &Configuration,
        prepare: impl Fn(&WorkerTarget) -> Result<P, PrepareError>,
        now: Instant,
    ) {
        let mut old = std::mem::take(&mut self.targets);
        for target in &*configuration.targets {
            let uid = target.compiled.uid;
            let entry = match old.remove(&uid) {
                Some(entry) if entry.of.is_same(target) => entry,
                Some(entry) => entry.changed(target.clone(), prepare(target)),
                None => Target::new(target.clone(), prepare(target)),
            };
            self.targets.insert(uid, entry);
        }
        self.ended = configuration.ended.iter().copied().collect();
        self.revision = configuration.revision;
        let slots: Vec<u32> = self.partitions.keys().copied().collect();
        for slot in slots {
            self.follow_targets(slot, now);
        }
        for target in self.targets.values_mut() {
            target.is_new = false;
        }
    }

    /// Brings a partition up to date with the configuration.
    fn follow_targets(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        // Before anything is done under it: a frontier is never committed under an older one.
        let cfg = partition.cfg(self.revision);
        partition.progress().configure(cfg);
        let followed = matching::follow(partition, &self.targets, &self.ended, now);
        let mut held = matching::begin(partition, &self.targets, &[], &mut self.lanes_begun);
        held.extend(followed.held);
        self.shut_gate(slot, held, now);
        for key in followed.ending {
            self.end_lane(key);
        }
        self.keep_absent(slot, now);
        self.heed_requests(slot, now);
        self.configured(slot, now);
        self.wake_partition(slot, now);
    }

    /// A partition is this shard's from now on.
    pub fn assigned(&mut self, assigned: Assigned, now: Instant) {
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
        self.next_upkeep.get_or_insert(now);
        self.take_over(slot, now);
    }

    /// Records arrived, in offset order within a partition.
    pub fn records(&mut self, records: Vec<(u32, Vec<Record>)>, now: Instant) {
        for (slot, records) in records {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.take(records);
                self.wake_partition(slot, now);
            }
        }
        self.next_look.get_or_insert(now + LOOK_INTERVAL);
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

    /// Whether no attempt is in flight in these partitions, and all of them is written.
    pub fn is_quiet(&self, slots: &[u32]) -> bool {
        slots
            .iter()
            .filter_map(|slot| self.partitions.get(slot))
            .all(Partition::is_quiet)
    }

    /// Lets partitions go: aborts what is in flight and forgets them.
    pub fn drop_partitions(&mut self, slots: &[u32], now: Instant) {
        let shard = self.surroundings.shard;
        for slot in slots {
            let Some(partition) = self.partitions.remove(slot) else {
                continue;
            };
            let slot = *slot;
            self.out.push_back(Out::Ask(Ask::Forget { shard, slot }));
            self.drained.forget(slot);
            let targets = self.targets.values_mut();
            targets.for_each(|target| target.recovering.forget(slot));
            for (key, lane) in partition.lanes() {
                if let Some(abort) = &lane.abort {
                    abort.abort();
                }
                if let Some(target) = self.targets.get_mut(&lane.uid) {
                    target.forget(&partition.id, now);
                }
                let Some(away) = &lane.away else { continue };
                if let Some(drain) = away.drain {
                    let key = drains::drain_key(shard, key, drain);
                    self.out.push_back(Out::Scan(Scan::End { key }));
                    self.drain_is_over(lane.uid, away.room);
                }
            }
        }
    }

    /// The next attempt that may start now. Call until there is none.
    pub fn launch(&mut self, now: Instant) -> Option<Launch<P>> {
        self.relieve(now);
        self.keep_up(now);
        while self.pace.allows(now) {
            let key = self.next_lane(now)?;
            if let Some(launch) = self.try_launch(key, now) {
                self.pace.began(now);
                self.bodies.began(launch.sent.bytes);
                return Some(launch);
            }
        }
        None
    }

    /// When [`Shard::launch`] should be asked again, if nothing else happens.
    pub fn next_due(&mut self, now: Instant) -> Option<Instant> {
        let lane = if self.pace.allows(now) {
            self.due.next()
        } else {
            self.pace.next()
        };
        [lane, self.next_look, self.next_upkeep]
            .into_iter()
            .flatten()
            .min()
    }

    /// The attempt that began then is over, whatever it came to: another may begin.
    pub fn over(&mut self, began: Instant, sent: &Sent) {
        self.pace.ended(began);
        self.bodies.ended(sent.bytes);
    }

    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The lane is to be looked at.
    pub(super) fn stir(&mut self, key: LaneKey) {
        if let Some(lane) = self.lane_mut(key)
            && !std::mem::replace(&mut lane.restless, true)
        {
            self.restless.push_back(key);
        }
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

    pub(super) fn lane_mut(&mut self, key: LaneKey) -> Option<&mut Lane> {
        self.partitions.get_mut(&key.slot)?.lane_mut(key)
    }

    pub(super) fn wake_at(&mut self, key: LaneKey, at: Instant) {
        let Some(lane) = self.lane_mut(key) else {
            return;
        };
        if lane.wake.is_none_or(|wake| at < wake) {
            lane.wake = Some(at);
            self.due.push(at, key);
        }
    }

    pub(super) fn wake_partition(&mut self, slot: u32, now: Instant) {
        if let Some(partition) = self.partitions.get_mut(&slot) {
            self.restless.extend(partition.grow_restless(now));
        }
    }
}
