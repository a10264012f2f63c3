//! What a shard promises, driven without threads, sockets or clocks.

mod configuration;
mod counting;
mod drains;
mod expiry;
mod gathering;
mod parking;
mod promises;
mod revisions;
mod schedules;
mod takeovers;
mod topics;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parcelhook_crds::compiled::{CompiledTarget, Filter, Source, TransactionLimits};
use parcelhook_crds::lane::Epoch;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::shard::{Launch, Shard};
use super::surroundings::Surroundings;
use crate::clock;
use crate::delivery::{Attempt, Outcome, Reason};
use crate::park::reader::BucketEnds;
use crate::source::record::{Record, Timestamp};
use crate::source::{Assigned, PartitionId, Progress, StartedBy};
use crate::state::shared::{Configuration, TargetShared, WorkerTarget};
use crate::targets::sample;
use topics::Topics;

fn target(number: u128) -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::from_u128(number),
        name: format!("target-{number}"),
        transaction: TransactionLimits {
            max_events: 3,
            max_bytes: 1 << 20,
        },
        ..sample::target()
    }
}

fn source(filter: Option<Filter>) -> Source {
    Source {
        filter,
        ..sample::source("orders")
    }
}

fn outcome(outcome: Outcome) -> Attempt {
    let reason = if outcome == Outcome::Delivered {
        Reason::Delivered
    } else {
        Reason::Timeout
    };
    Attempt {
        outcome,
        reason,
        status: None,
        duration: Duration::ZERO,
        detail: None,
    }
}

fn unavailable() -> Attempt {
    outcome(Outcome::Unavailable { retry_after: None })
}

fn delivered() -> Attempt {
    outcome(Outcome::Delivered)
}

/// How long a target may be missing.
const ABSENCE: Duration = Duration::from_secs(86_400);

/// What a commit is made under.
type Title = (Epoch, Option<Revision>);

/// A shard with a hand on its clock, and what it sent.
struct Bench {
    shard: Shard<Uuid>,
    targets: BTreeMap<Uuid, WorkerTarget>,
    progress: BTreeMap<u32, Arc<Progress>>,
    now: Instant,
    /// Our own topics, and who reads them.
    topics: Topics,
    /// Whether what is produced is written and read back at once.
    writes: bool,
    /// Whether the frontier is committed at once.
    commits: bool,
    /// What the commit of each slot was made under, when there is one.
    titles: BTreeMap<u32, Option<Title>>,
    /// The offset in the commit of each slot.
    committed: BTreeMap<u32, i64>,
    /// The revision of the configuration that is applied next.
    revision: Option<Revision>,
    /// Attempts in flight, oldest first.
    in_flight: Vec<Launch<Uuid>>,
    /// Offsets delivered, by target and slot.
    delivered: BTreeMap<(Uuid, u32), Vec<i64>>,
}

impl Bench {
    fn new(targets: impl IntoIterator<Item = CompiledTarget>) -> Self {
        let mut bench = Self {
            shard: Shard::new(surroundings()),
            topics: Topics::default(),
            writes: true,
            commits: true,
            titles: BTreeMap::new(),
            committed: BTreeMap::new(),
            revision: None,
            targets: BTreeMap::new(),
            progress: BTreeMap::new(),
            now: clock::now(),
            in_flight: Vec::new(),
            delivered: BTreeMap::new(),
        };
        bench.apply(targets);
        bench
    }

    fn apply(&mut self, targets: impl IntoIterator<Item = CompiledTarget>) {
        self.configure(targets, |_| None, &[]);
    }

    /// The targets as they are now, each present or missing since then, and those that people ended.
    fn configure(
        &mut self,
        targets: impl IntoIterator<Item = CompiledTarget>,
        absent_since: impl Fn(Uuid) -> Option<i64>,
        ended: &[Uuid],
    ) {
        let mut old = std::mem::take(&mut self.targets);
        for compiled in targets {
            let known = old.remove(&compiled.uid);
            let target = match known {
                Some(known) if *known.compiled == compiled => WorkerTarget {
                    absent_since: absent_since(compiled.uid),
                    ..known
                },
                Some(known) => WorkerTarget {
                    absent_since: absent_since(compiled.uid),
                    compiled: Arc::new(compiled),
                    shared: known.shared,
                },
                None => WorkerTarget {
                    shared: Arc::new(TargetShared::new(compiled.failure_threshold, self.now)),
                    absent_since: absent_since(compiled.uid),
                    compiled: Arc::new(compiled),
                },
            };
            self.targets.insert(target.compiled.uid, target);
        }
        self.apply_to_shard(ended);
        self.settle();
    }

    fn apply_to_shard(&mut self, ended: &[Uuid]) {
        let configuration = Configuration {
            revision: self.revision,
            targets: self.targets.values().cloned().collect(),
            ended: ended.into(),
        };
        let prepare = |target: &WorkerTarget| Ok(target.compiled.uid);
        self.shard.apply(&configuration, prepare, self.now);
    }

    fn assign(&mut self, slot: u32, lane_starts: Vec<(Uuid, i64)>) {
        self.assign_from(slot, 0, lane_starts);
    }

    fn assign_from(&mut self, slot: u32, start: i64, lane_starts: Vec<(Uuid, i64)>) {
        let progress = Arc::new(Progress::detached(start));
        self.progress.insert(slot, Arc::clone(&progress));
        self.committed.insert(slot, start);
        let (epoch, cfg) = self.titles.entry(slot).or_default().unzip();
        let partition = PartitionId {
            topic: "orders".into(),
            partition: slot as i32,
        };
        let assigned = Assigned {
            slot,
            partition,
            topic_id: None,
            epoch,
            cfg: cfg.flatten(),
            start,
            started_by: StartedBy::StartFrom,
            lane_starts,
            progress,
        };
        self.shard.assigned(assigned, self.now);
        self.settle();
    }

    fn read(&mut self, slot: u32, offsets: impl IntoIterator<Item = i64>) {
        self.take(slot, offsets.into_iter().map(record).collect());
    }

    fn take(&mut self, slot: u32, records: Vec<Record>) {
        self.progress[&slot].charge(records.iter().map(Record::cost).sum());
        self.shard.records(vec![(slot, records)], self.now);
        self.settle();
    }

    fn launch(&mut self) {
        while let Some(launch) = self.shard.launch(self.now) {
            let key = launch.key;
            assert!(
                self.in_flight.iter().all(|other| other.key != key),
                "one attempt in flight a lane"
            );
            self.in_flight.push(launch);
        }
    }

    /// Lets the shard go on until it has nothing to do: with [`Bench::writes`], all it produces is
    /// written and all it wants to read is read.
    fn settle(&mut self) {
        self.launch();
        while self
            .topics
            .carry_out(&mut self.shard, self.now, self.writes)
            | (self.commits && self.commit())
        {
            self.launch();
        }
    }

    /// Commits the frontier of a slot under what it is claimed, when that is news or opens its gate. Says
    /// whether something waited for it.
    fn commit_slot(&mut self, slot: u32) -> bool {
        let claimed = self.progress[&slot].claimed();
        let frontier = self.frontier(slot);
        let (Some(title), Some(partition)) = (claimed, self.shard.partitions.get(&slot)) else {
            return false;
        };
        let gate = partition.gates.first();
        let opens = gate.is_some_and(|gate| gate.opens(frontier, title.1));
        let waited = opens || partition.own.is_none();
        if !opens && claimed == self.titles[&slot] && frontier == self.committed[&slot] {
            return false;
        }
        self.titles.insert(slot, claimed);
        self.committed.insert(slot, frontier);
        self.shard.committed(slot, title, frontier, self.now);
        waited
    }

    /// Commits every frontier. Returns whether something waited for one.
    fn commit(&mut self) -> bool {
        let slots: Vec<u32> = self.progress.keys().copied().collect();
        let went_on = slots.into_iter().map(|slot| self.commit_slot(slot));
        went_on.fold(false, |any, one| any | one)
    }

    /// The worker dies without a word; another takes the partition over, from the committed offset.
    fn die_and_take_over(&mut self, slot: u32, committed: i64) {
        self.last_commit(slot, false);
        self.take_over(slot, committed);
    }

    /// The offset in the group's commit when the worker dies now. Its last commit arrives, acknowledged
    /// or not; when it is `lost`, the one that was acknowledged before is left, if that carries the epoch.
    fn last_commit(&mut self, slot: u32, lost: bool) -> i64 {
        let claimed = self.progress[&slot].claimed();
        let epoch = |title: Option<Title>| title.map(|(epoch, _)| epoch);
        let has_epoch = claimed.is_none() || epoch(self.titles[&slot]) == epoch(claimed);
        if !lost || !has_epoch {
            self.titles.insert(slot, claimed.or(self.titles[&slot]));
            self.committed.insert(slot, self.frontier(slot));
        }
        self.committed[&slot]
    }

    fn take_over(&mut self, slot: u32, committed: i64) {
        self.shard = Shard::new(surroundings());
        self.in_flight.clear();
        self.topics.forget_readers();
        self.apply_to_shard(&[]);
        self.assign_from(slot, committed, vec![]);
    }

    /// Ends the `index`-th attempt in flight.
    fn end(&mut self, index: usize, attempt: Attempt) {
        let launch = self.in_flight.remove(index);
        if attempt.outcome == Outcome::Delivered {
            let lane = (*launch.prepared, launch.key.slot);
            self.delivered
                .entry(lane)
                .or_default()
                .extend(offsets(&launch));
        }
        self.shard.over(launch.began, &launch.sent);
        self.shard
            .ended(launch.key, &launch.sent, attempt, self.now);
        self.settle();
    }

    /// The consumer thread stops reading the partition, because it holds too much, or goes on.
    fn pause(&mut self, slot: u32, paused: bool) {
        self.progress[&slot].set_paused(paused);
    }

    /// Whether a successor would find the event in the retry topic.
    fn is_parked(&self, uid: Uuid, slot: u32, offset: i64) -> bool {
        let partition = slot as i32;
        let has_row = self.topics.rows.keys().any(|key| {
            key.scope.partition == partition && key.lane.is_some_and(|lane| lane.target == uid)
        });
        let mut runs = self.topics.buckets.values().flatten();
        has_row
            && runs.any(|run| {
                run.lane.name.target == uid
                    && run.lane.source.partition == partition
                    && run.events.iter().any(|event| event.offset == offset)
            })
    }

    /// Place in `in_flight` of the target's attempt.
    fn attempt_of(&self, number: u128) -> usize {
        let mine = |launch: &Launch<Uuid>| *launch.prepared == Uuid::from_u128(number);
        self.in_flight
            .iter()
            .position(mine)
            .expect("the target has an attempt in flight")
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.settle();
    }

    fn delivered(&self, number: u128, slot: u32) -> &[i64] {
        self.delivered
            .get(&(Uuid::from_u128(number), slot))
            .map_or(&[], Vec::as_slice)
    }

    fn frontier(&self, slot: u32) -> i64 {
        self.progress[&slot].frontier()
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        shard: 0,
        group: "group".to_owned(),
        buckets: topics::BUCKETS,
        ends: BucketEnds::new(topics::BUCKETS),
        retention: Duration::from_secs(7 * 86_400),
        unix_millis,
        budget_bytes: 16 << 20,
        shards: 1,
        absence: ABSENCE,
        gather: Duration::ZERO,
    }
}

/// The wall clock of the tests goes with their monotonic one.
fn unix_millis(now: Instant) -> i64 {
    static BEGAN: LazyLock<(Instant, i64)> = LazyLock::new(|| (clock::now(), clock::unix_millis()));
    let (began, unix) = *BEGAN;
    let later = now.saturating_duration_since(began).as_millis() as i64;
    let earlier = began.saturating_duration_since(now).as_millis() as i64;
    unix + later - earlier
}

fn record(offset: i64) -> Record {
    record_of(offset, &offset.to_string())
}

fn record_of(offset: i64, value: &str) -> Record {
    let key = format!("key-{}", offset % 3);
    Record::new(
        offset,
        Timestamp::Missing,
        Some(key.as_bytes()),
        Some(value.as_bytes()),
        std::iter::empty(),
    )
}

/// The offsets that a request carries, read from its body as a receiver would.
fn offsets(launch: &Launch<Uuid>) -> Vec<i64> {
    let body: serde_json::Value =
        serde_json::from_slice(&launch.request.body).expect("a body is JSON");
    let events = body["events"].as_array().expect("a body has events");
    events
        .iter()
        .map(|event| event["offset"].as_i64().expect("an event has its offset"))
        .collect()
}
