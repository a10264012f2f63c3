//! Why an event came again (I5): each repetition must have a cause among what was done to the worker
//! that delivered it before, to the one that delivered it again, or to Kafka; or its earlier attempt
//! was ambiguous.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::seen::{WorkerChange, WorkerNumber};

/// How long after brokers have come back a commit may still be late because of them: leaders are
/// elected, the coordinator loads its log, the group forms anew.
const KAFKA_RECOVERS_MS: u64 = 15_000;

/// How long after it goes on a frozen worker may act on what it believed before.
const WAKES_UP_MS: u64 = 15_000;

/// How long after a member has come or gone partitions may still move.
const GROUP_SETTLES_MS: u64 = 10_000;

/// How long after a topic has got a partition more partitions may still move: each worker looks every
/// ten seconds.
const GROWTH_SETTLES_MS: u64 = 10_000 + GROUP_SETTLES_MS;

/// How long brokers may take no event from any of the load's writers, each of which writes many times
/// a second, before that is a disturbance: a stalled machine is one, too.
const SILENCE_MS: u64 = 3_000;

/// An answer that took longer may have come too late for the worker.
const PROMPT_MS: u64 = 1_000;

/// Why an event came again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Cause {
    /// The worker that had delivered it was killed before its commit.
    Killed,
    /// A worker that was frozen delivered it before or again.
    Frozen,
    /// A worker that did not reach the brokers well delivered it before or again.
    Hampered,
    /// Its earlier attempt got no 2xx, although the receiver had taken the events.
    Ambiguous,
    /// Its earlier attempt got a 2xx that the worker had ceased to wait for.
    Late,
    /// The partition went to another worker while another target had not got the event, or one
    /// before it, so that it could not be committed.
    HeldBack,
    /// The group was forming anew while the worker had the partition, so that it could commit
    /// nothing before it let go; and indeed no commit and no row was seen that tells of the event.
    Rebalance,
    /// Brokers were disturbed, or took nothing from anybody for a while, so a commit could not be
    /// made.
    Kafka,
    /// None is known.
    Unexplained,
}

/// What became of an attempt whose events the receiver took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Under way.
    Open,
    /// Answered with a 2xx at this time.
    Accepted { at_ms: u64 },
    /// Ended otherwise.
    Failed,
}

/// An attempt whose events the receiver took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) worker: WorkerNumber,
    pub(crate) at_ms: u64,
    pub(crate) fate: Fate,
}

/// The attempt that brings an event again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repetition {
    pub(crate) worker: WorkerNumber,
    pub(crate) at_ms: u64,
    /// Whether it is the next attempt of the same transaction by the same worker.
    pub(crate) next_attempt: bool,
    /// Whether some target still lacked it, or an event before it, when the worker took over.
    pub(crate) held_back: bool,
    /// Whether neither the last commit nor the lane's row said that it was delivered.
    pub(crate) untold: bool,
}

#[derive(Debug, Default)]
struct WorkerStory {
    killed_ms: Option<u64>,
    /// From and to; an open end is the present.
    frozen: Vec<(u64, Option<u64>)>,
    hampered: Vec<(u64, Option<u64>)>,
}

/// What was done to workers and brokers.
#[derive(Debug, Default)]
pub(crate) struct Disturbances {
    workers: HashMap<WorkerNumber, WorkerStory>,
    kafka: Vec<(u64, Option<u64>)>,
    /// When brokers last took an event.
    produced_ms: Option<u64>,
    /// When workers came or went.
    members_ms: Vec<u64>,
    /// When topics got a partition more.
    grew_ms: Vec<u64>,
    counts: BTreeMap<Cause, u64>,
}

impl Disturbances {
    /// Something happened to a worker.
    pub(crate) fn worker(&mut self, at_ms: u64, worker: WorkerNumber, change: WorkerChange) {
        let story = self.workers.entry(worker).or_default();
        match change {
            WorkerChange::Killed => story.killed_ms = Some(at_ms),
            WorkerChange::Frozen => story.frozen.push((at_ms, None)),
            WorkerChange::Thawed => close(&mut story.frozen, at_ms),
            WorkerChange::Hampered => story.hampered.push((at_ms, None)),
            WorkerChange::Free => close(&mut story.hampered, at_ms),
            WorkerChange::Started | WorkerChange::Terminated => {}
        }
        self.members_ms.push(at_ms);
    }

    /// Brokers begin or cease to be disturbed.
    pub(crate) fn kafka(&mut self, at_ms: u64, disturbed: bool) {
        match disturbed {
            true => self.kafka.push((at_ms, None)),
            false => close(&mut self.kafka, at_ms),
        }
    }

    /// A topic has a partition more.
    pub(crate) fn grew(&mut self, at_ms: u64) {
        self.grew_ms.push(at_ms);
    }

    /// Brokers took an event of the load.
    pub(crate) fn produced(&mut self, at_ms: u64) {
        let before = self.produced_ms.replace(at_ms);
        if let Some(before) = before.filter(|before| before + SILENCE_MS <= at_ms) {
            self.kafka.push((before, Some(at_ms)));
        }
    }

    /// Finds the cause of a repetition, and counts it.
    pub(crate) fn explain(&mut self, earlier: &Taken, again: &Repetition) -> Cause {
        let cause = self.cause(earlier, again);
        *self.counts.entry(cause).or_default() += 1;
        cause
    }

    /// How many events came again, by cause.
    pub(crate) fn counts(&self) -> &BTreeMap<Cause, u64> {
        &self.counts
    }

    /// Whether that worker was frozen at some time between these, or has only just gone on.
    pub(crate) fn was_frozen(&self, worker: WorkerNumber, from_ms: u64, to_ms: u64) -> bool {
        let story = self.workers.get(&worker);
        story.is_some_and(|story| meets(&story.frozen, from_ms, to_ms, WAKES_UP_MS))
    }

    /// Whether neither workers nor brokers were disturbed for a while.
    pub(crate) fn is_quiet(&self, at_ms: u64) -> bool {
        let changed = self.members_ms.last().copied().unwrap_or(0);
        let disturbed = meets(&self.kafka, at_ms, at_ms, KAFKA_RECOVERS_MS);
        !disturbed && changed + WAKES_UP_MS < at_ms
    }

    /// Whether brokers, or some worker, were disturbed lately, so that rows were written late.
    pub(crate) fn rows_may_be_late(&self, at_ms: u64) -> bool {
        let late = |spans: &[(u64, Option<u64>)], after_ms| meets(spans, at_ms, at_ms, after_ms);
        let mut workers = self.workers.values();
        late(&self.kafka, KAFKA_RECOVERS_MS)
            || workers
                .any(|story| late(&story.frozen, WAKES_UP_MS) || late(&story.hampered, WAKES_UP_MS))
    }

    fn was_hampered(&self, worker: WorkerNumber, from_ms: u64, to_ms: u64) -> bool {
        let story = self.workers.get(&worker);
        story.is_some_and(|story| meets(&story.hampered, from_ms, to_ms, WAKES_UP_MS))
    }

    /// A partition may also have gone to a worker that sent nothing, and come back. Then nobody saw
    /// how far it could be committed, only that the group changed.
    fn was_held_back(&self, earlier: &Taken, again: &Repetition) -> bool {
        if earlier.worker != again.worker {
            return again.held_back;
        }
        self.was_unsettled(earlier, again)
    }

    /// Whether the group may have been forming anew at some time between the two.
    fn was_unsettled(&self, earlier: &Taken, again: &Repetition) -> bool {
        let between = |changes: &[u64], settles_ms: u64| {
            let mut latest_first = changes.iter().rev();
            let last = latest_first.find(|changed| **changed <= again.at_ms);
            last.is_some_and(|changed| changed + settles_ms >= earlier.at_ms)
        };
        between(&self.members_ms, GROUP_SETTLES_MS) || between(&self.grew_ms, GROWTH_SETTLES_MS)
    }

    fn cause(&self, earlier: &Taken, again: &Repetition) -> Cause {
        let between = earlier.at_ms..=again.at_ms;
        let killed = self
            .workers
            .get(&earlier.worker)
            .and_then(|story| story.killed_ms);
        let both = [earlier.worker, again.worker];
        let (from_ms, to_ms) = (earlier.at_ms, again.at_ms);
        if killed.is_some_and(|killed| between.contains(&killed)) {
            return Cause::Killed;
        }
        if both
            .iter()
            .any(|worker| self.was_frozen(*worker, from_ms, to_ms))
        {
            return Cause::Frozen;
        }
        let Fate::Accepted { at_ms } = earlier.fate else {
            return Cause::Ambiguous;
        };
        if again.next_attempt || at_ms - earlier.at_ms >= PROMPT_MS {
            Cause::Late
        } else if self.was_held_back(earlier, again) {
            Cause::HeldBack
        } else if both
            .iter()
            .any(|worker| self.was_hampered(*worker, from_ms, to_ms))
        {
            Cause::Hampered
        } else if meets(&self.kafka, from_ms, to_ms, KAFKA_RECOVERS_MS) {
            Cause::Kafka
        } else if earlier.worker != again.worker
            && again.untold
            && self.was_unsettled(earlier, again)
        {
            Cause::Rebalance
        } else {
            Cause::Unexplained
        }
    }
}

fn close(spans: &mut [(u64, Option<u64>)], at_ms: u64) {
    let open = spans.iter_mut().rev().find(|span| span.1.is_none());
    if let Some(span) = open {
        span.1 = Some(at_ms);
    }
}

/// Whether one of the spans, each lasting `after_ms` longer, meets `from..=to`.
fn meets(spans: &[(u64, Option<u64>)], from_ms: u64, to_ms: u64, after_ms: u64) -> bool {
    spans.iter().rev().any(|(began, ended)| {
        *began <= to_ms && ended.is_none_or(|ended| ended + after_ms >= from_ms)
    })
}
