//! Taking a partition over: from the predecessor's rows to running under an epoch of one's own.
//!
//! ```text
//!   asked ──▶ no rows ─────────────────────────────────────────────▶ run (the first commit
//!     │         └────▶ a later epoch than the commit's ──▶ commit ──▶ run   carries the epoch)
//!     └─────▶ rows ──▶ written again ──▶ terminator ──▶ commit ──▶ run
//!               └────▶ ends of their buckets ─────────────────────▲
//! ```
//!
//! Pure: told what happened, it says what to do next. Until the commit is acknowledged the
//! predecessor's rows count and stay as they are, so a worker that dies in the middle changes nothing.
//! The terminator is written when every row is acknowledged: who finds it, finds them all. A write
//! that was refused is made again; a producer that was replaced may have writes on the way that come
//! late, so the writing begins again under a new epoch. Nothing gives up: the partition does, when it
//! is revoked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::{Epoch, LaneName, LaneRow, RowKey, Terminator};

use crate::park::{Order, Refused};
use crate::source::Claim;
use crate::state::RowPlace;
use crate::state::table::scope_of;

#[cfg(test)]
mod tests;

/// How long a refused write waits before it is made again.
const WRITE_AGAIN: Duration = Duration::from_millis(200);

/// What is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The consumer group.
    pub group: Arc<str>,
    /// The partition.
    pub place: RowPlace,
    /// The offset that is committed, or will be: C.
    pub frontier: i64,
}

/// What to do next. Numbers are never used twice in one take-over, and rise.
#[derive(Debug)]
pub enum Step {
    /// Ask the tail for the rows, with the epoch in the group's commit.
    Ask(Option<Epoch>),
    /// Ask the reader where a bucket ends.
    Bucket {
        /// Comes back in [`TakeOver::bucket_end`].
        number: u64,
        /// Partition of the retry topic.
        bucket: i32,
    },
    /// Write. Orders are given in the order in which they are to be written.
    Write {
        /// Comes back in [`TakeOver::produced`].
        number: u64,
        /// A row or the terminator.
        order: Order,
    },
    /// Claim the partition for commits ([`crate::source::Progress::own`]).
    Own(Epoch, Claim),
    /// The partition is taken over.
    Run(TakenOver),
}

/// A partition that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The ownership.
    pub epoch: Epoch,
    /// Whether a commit carries it already: what is stale may be swept.
    pub committed: bool,
    /// The lanes that are not live.
    pub lanes: Vec<InheritedLane>,
}

/// A lane that is not live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InheritedLane {
    /// Which lane.
    pub name: LaneName,
    /// What its row says.
    pub row: LaneRow,
    /// The end of its bucket at take-over: the predecessor's parks are below it.
    pub need: i64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TakeOver {
    subject: Subject,
    rows: Vec<(LaneName, LaneRow)>,
    /// Ends of the rows' buckets, as far as they are known.
    ends: BTreeMap<i32, Option<i64>>,
    /// Questions for them, by number.
    questions: BTreeMap<u64, i32>,
    /// The highest number of an epoch that was seen or taken.
    highest: u32,
    last_number: u64,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Asked,
    Writing(Writing),
    Committing(Epoch),
    Committed(Epoch),
    Over,
}

/// The rows, or the terminator after them, under a new epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writing {
    epoch: Epoch,
    /// All rows are acknowledged, and the terminator is what is written.
    terminator: bool,
    in_flight: BTreeMap<u64, Item>,
    refused: BTreeSet<Item>,
    /// When what was refused is written again.
    again: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Item {
    /// By place in [`TakeOver::rows`].
    Row(usize),
    Terminator,
}

impl TakenOver {
    /// Whether rows were written under the epoch, and its terminator after them.
    pub fn is_terminated(&self) -> bool {
        self.committed && !self.lanes.is_empty()
    }
}

impl TakeOver {
    /// A partition was assigned. `metadata` is the epoch in the group's commit.
    pub fn begin(subject: Subject, metadata: Option<Epoch>) -> (Self, Step) {
        let take_over = Self {
            subject,
            rows: Vec::new(),
            ends: BTreeMap::new(),
            questions: BTreeMap::new(),
            highest: metadata.map_or(0, |epoch| epoch.n),
            last_number: 0,
            stage: Stage::Asked,
        };
        (take_over, Step::Ask(metadata))
    }

    /// An owner that runs under `own` takes its partition over from itself, because its producer was
    /// replaced: its lanes, as they are now, are written under a new epoch.
    pub fn again(
        subject: Subject,
        own: Epoch,
        lanes: Vec<InheritedLane>,
        random: u64,
    ) -> (Self, Vec<Step>) {
        let (mut take_over, _) = Self::begin(subject, Some(own));
        for InheritedLane { name, row, need } in lanes {
            let end = take_over.ends.entry(row.bucket).or_default();
            *end = (*end).max(Some(need));
            take_over.rows.push((name, row));
        }
        let steps = take_over.rows_known(random);
        (take_over, steps)
    }

    /// The tail has told which rows count and the highest number of an epoch. `random` is 64 fresh
    /// random bits. Ignored when the rows are known.
    pub fn told(&mut self, rows: Vec<(LaneName, LaneRow)>, highest: u32, random: u64) -> Vec<Step> {
        let Stage::Asked = self.stage else {
            return Vec::new();
        };
        if rows.is_empty() && highest > self.highest {
            self.highest = highest;
            return self.commit_first(random);
        }
        self.highest = self.highest.max(highest);
        self.ends = rows.iter().map(|(_, row)| (row.bucket, None)).collect();
        self.rows = rows;
        self.rows_known(random)
    }

    /// The reader has told where a bucket ends.
    pub fn bucket_end(&mut self, number: u64, end: i64) -> Vec<Step> {
        if let Some(bucket) = self.questions.remove(&number) {
            self.ends.insert(bucket, Some(end));
        }
        self.run_if_ready()
    }

    /// What became of a write. `random` is 64 fresh random bits, in case a new epoch is needed.
    pub fn produced(
        &mut self,
        number: u64,
        result: Result<i64, Refused>,
        now: Instant,
        random: u64,
    ) -> Vec<Step> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Vec::new();
        };
        let Some(item) = writing.in_flight.remove(&number) else {
            // Of an epoch that was given up.
            return Vec::new();
        };
        match result {
            Ok(_) => self.go_on(),
            Err(Refused::ProducerReplaced) => self.write_under_new_epoch(random),
            Err(Refused::TooLarge | Refused::QueueFull | Refused::Failed) => {
                writing.refused.insert(item);
                writing.again.get_or_insert(now + WRITE_AGAIN);
                Vec::new()
            }
        }
    }

    /// A commit that carries `epoch` was acknowledged.
    pub fn committed(&mut self, epoch: Epoch) -> Vec<Step> {
        if let Stage::Committing(own) = self.stage
            && own == epoch
        {
            self.stage = Stage::Committed(epoch);
        }
        self.run_if_ready()
    }

    /// When [`Self::wake`] has something to do, if nothing else happens.
    pub fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Writing(writing) => writing.again,
            Stage::Asked | Stage::Committing(_) | Stage::Committed(_) | Stage::Over => None,
        }
    }

    /// Writes again what was refused, when that is due.
    pub fn wake(&mut self, now: Instant) -> Vec<Step> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Vec::new();
        };
        if writing.again.take_if(|due| *due <= now).is_none() {
            return Vec::new();
        }
        let refused = std::mem::take(&mut writing.refused);
        self.write(refused)
    }

    /// Whether the partition is taken over.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The number that was used last in a [`Step`].
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    fn rows_known(&mut self, random: u64) -> Vec<Step> {
        if self.rows.is_empty() {
            let epoch = self.next_epoch(random);
            self.stage = Stage::Over;
            let taken = TakenOver {
                epoch,
                committed: false,
                lanes: Vec::new(),
            };
            let own = Step::Own(epoch, Claim::WithNextCommit);
            return vec![own, Step::Run(taken)];
        }
        let unknown = self.ends.iter().filter(|(_, end)| end.is_none());
        let buckets: Vec<i32> = unknown.map(|(bucket, _)| *bucket).collect();
        let mut steps = Vec::new();
        for bucket in buckets {
            let number = self.next_number();
            self.questions.insert(number, bucket);
            steps.push(Step::Bucket { number, bucket });
        }
        steps.extend(self.write_under_new_epoch(random));
        steps
    }

    /// Somebody took the partition over after the commit that this take-over began with. When that was
    /// a successor, it has carried the rows on and taken the old ones away, and this worker owns the
    /// partition no more: only a commit can tell.
    fn commit_first(&mut self, random: u64) -> Vec<Step> {
        let epoch = self.next_epoch(random);
        self.stage = Stage::Committing(epoch);
        vec![Step::Own(epoch, Claim::Now)]
    }

    fn write_under_new_epoch(&mut self, random: u64) -> Vec<Step> {
        let epoch = self.next_epoch(random);
        self.stage = Stage::Writing(Writing {
            epoch,
            terminator: false,
            in_flight: BTreeMap::new(),
            refused: BTreeSet::new(),
            again: None,
        });
        self.write((0..self.rows.len()).map(Item::Row))
    }

    fn write(&mut self, items: impl IntoIterator<Item = Item>) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            let number = self.next_number();
            if let Some(order) = self.order(item)
                && let Stage::Writing(writing) = &mut self.stage
            {
                writing.in_flight.insert(number, item);
                steps.push(Step::Write { number, order });
            }
        }
        steps
    }

    fn order(&self, item: Item) -> Option<Order> {
        let Stage::Writing(Writing { epoch, .. }) = &self.stage else {
            return None;
        };
        let scope = scope_of(&self.subject.group, &self.subject.place, *epoch);
        Some(match item {
            Item::Row(index) => {
                let (name, row) = self.rows.get(index)?;
                let lane = Some(*name);
                Order::Row(RowKey { scope, lane }, Some(Box::new(row.clone())))
            }
            Item::Terminator => {
                let frontier = self.subject.frontier;
                let key = RowKey { scope, lane: None };
                Order::Terminator(key, Some(Terminator { frontier }))
            }
        })
    }

    /// A write was acknowledged: what comes after the last one?
    fn go_on(&mut self) -> Vec<Step> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Vec::new();
        };
        if !writing.in_flight.is_empty() || !writing.refused.is_empty() {
            return Vec::new();
        }
        if !writing.terminator {
            writing.terminator = true;
            return self.write([Item::Terminator]);
        }
        let epoch = writing.epoch;
        self.stage = Stage::Committing(epoch);
        vec![Step::Own(epoch, Claim::Now)]
    }

    fn run_if_ready(&mut self) -> Vec<Step> {
        let Stage::Committed(epoch) = self.stage else {
            return Vec::new();
        };
        let needs: Option<BTreeMap<i32, i64>> = self
            .ends
            .iter()
            .map(|(bucket, end)| Some((*bucket, (*end)?)))
            .collect();
        let Some(needs) = needs else {
            return Vec::new();
        };
        self.stage = Stage::Over;
        let lanes = std::mem::take(&mut self.rows)
            .into_iter()
            .map(|(name, row)| InheritedLane {
                name,
                need: needs.get(&row.bucket).copied().unwrap_or_default(),
                row,
            })
            .collect();
        let committed = true;
        vec![Step::Run(TakenOver {
            epoch,
            committed,
            lanes,
        })]
    }

    fn next_epoch(&mut self, random: u64) -> Epoch {
        self.highest = self.highest.saturating_add(1);
        let n = self.highest;
        Epoch { n, random }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
