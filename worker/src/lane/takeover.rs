//! Taking a partition over: from the predecessor's rows to running under an epoch of one's own.
//!
//! ```text
//!   behind ──▶ asked ──▶ no rows ─────────────────────────────────────────▶ run (the first commit
//!                │         │ └──▶ a later epoch than the commit's,          carries the epoch)
//!                │         │      or a newer configuration ──▶ commit ──▶ run
//!                └───────▶ rows ──▶ written again ──▶ terminator ──▶ commit ──▶ run
//!                            └────▶ ends of their buckets ─────────────────────▲
//! ```
//!
//! Pure: told what happened, it says what to do next. Until the commit is acknowledged the
//! predecessor's rows count and stay as they are, so a worker that dies in the middle changes nothing.
//! A write that was refused is made again; a producer that was replaced may have writes on the way that
//! come late, so the writing begins again under a new epoch. Nothing gives up: the partition does, when
//! it is revoked.
//!
//! Whose configuration is older than the commit's is *behind*, and waits: it would commit past the events
//! of targets that it does not know. Whose is newer commits it before it runs: what it sends to a target
//! that the older one lacks, a successor must go on with.

use std::collections::BTreeMap;
use std::time::Instant;

use parcelhook_crds::lane::{Epoch, LaneName, LaneRow, RowKey, Terminator};
use parcelhook_crds::revision::Revision;

use crate::park::{Order, Refused};
use crate::source::Claim;
use crate::state::table::scope_of;

mod step;
#[cfg(test)]
mod tests;
mod writing;

pub use step::{InheritedLane, Predecessor, Step, Subject, TakenOver};
use writing::{Item, Next, Writing};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TakeOver {
    subject: Subject,
    predecessor: Predecessor,
    /// The configuration of this worker; none when nobody numbers them.
    own: Option<Revision>,
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
    Behind,
    Asked,
    Writing(Writing),
    Committing(Epoch),
    Committed(Epoch),
    Over,
}

impl TakeOver {
    /// A partition was assigned to a worker that runs the configuration `own`.
    pub fn begin(
        subject: Subject,
        predecessor: Predecessor,
        own: Option<Revision>,
    ) -> (Self, Vec<Step>) {
        let mut take_over = Self {
            subject,
            predecessor,
            own,
            rows: Vec::new(),
            ends: BTreeMap::new(),
            questions: BTreeMap::new(),
            highest: predecessor.epoch.map_or(0, |epoch| epoch.n),
            last_number: 0,
            stage: Stage::Behind,
        };
        let steps = take_over.ask_unless_behind();
        (take_over, steps)
    }

    /// An owner that runs under `own` takes its partition over from itself, because its producer was
    /// replaced: its lanes, as they are now, are written under a new epoch.
    pub fn again(
        subject: Subject,
        own: Predecessor,
        lanes: Vec<InheritedLane>,
        random: u64,
    ) -> (Self, Vec<Step>) {
        let (mut take_over, _) = Self::begin(subject, own, own.cfg);
        for InheritedLane { name, row, need } in lanes {
            let end = take_over.ends.entry(row.bucket).or_default();
            *end = (*end).max(Some(need));
            take_over.rows.push((name, row));
        }
        let steps = take_over.rows_known(random);
        (take_over, steps)
    }

    /// This worker runs another configuration from now on, never an older one.
    pub fn configured(&mut self, own: Option<Revision>) -> Vec<Step> {
        let before = self.cfg();
        self.own = own;
        match self.stage {
            Stage::Behind => self.ask_unless_behind(),
            // What was claimed, and perhaps committed, is not what is about to run.
            Stage::Committing(epoch) | Stage::Committed(epoch) if self.cfg() != before => {
                self.commit(epoch)
            }
            Stage::Committing(_) | Stage::Committed(_) => Vec::new(),
            Stage::Asked | Stage::Writing(_) | Stage::Over => Vec::new(),
        }
    }

    /// The tail has told which rows count and the highest number of an epoch. `random` is 64 fresh
    /// random bits. Ignored when the rows are known.
    pub fn told(&mut self, rows: Vec<(LaneName, LaneRow)>, highest: u32, random: u64) -> Vec<Step> {
        let Stage::Asked = self.stage else {
            return Vec::new();
        };
        let is_late = highest > self.highest;
        self.highest = self.highest.max(highest);
        if rows.is_empty() && (is_late || self.cfg() > self.predecessor.cfg) {
            let epoch = self.next_epoch(random);
            return self.commit(epoch);
        }
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
        let Some(item) = writing.answered(number) else {
            return Vec::new();
        };
        match result {
            Ok(_) => self.go_on(),
            Err(Refused::ProducerReplaced) => self.write_under_new_epoch(random),
            Err(Refused::TooLarge | Refused::QueueFull | Refused::Failed) => {
                writing.refused(item, now);
                Vec::new()
            }
        }
    }

    /// A commit that carries `epoch` and `cfg` was acknowledged.
    pub fn committed(&mut self, epoch: Epoch, cfg: Option<Revision>) -> Vec<Step> {
        if let Stage::Committing(own) = self.stage
            && own == epoch
            && cfg >= self.cfg()
        {
            self.stage = Stage::Committed(epoch);
        }
        self.run_if_ready()
    }

    /// When [`Self::wake`] has something to do, if nothing else happens.
    pub fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Writing(writing) => writing.due(),
            Stage::Behind | Stage::Asked => None,
            Stage::Committing(_) | Stage::Committed(_) | Stage::Over => None,
        }
    }

    /// Writes again what was refused, when that is due.
    pub fn wake(&mut self, now: Instant) -> Vec<Step> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Vec::new();
        };
        let due = writing.take_due(now);
        self.write(due)
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
            let own = Step::Own(epoch, self.cfg(), Claim::WithNextCommit);
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

    /// What commits carry. A worker whose configurations nobody numbers hands its predecessor's on.
    fn cfg(&self) -> Option<Revision> {
        self.own.max(self.predecessor.cfg)
    }

    fn ask_unless_behind(&mut self) -> Vec<Step> {
        match self.predecessor.cfg {
            Some(cfg) if self.own.is_some_and(|own| own < cfg) => vec![Step::Lack(cfg)],
            Some(_) | None => {
                self.stage = Stage::Asked;
                vec![Step::Ask(self.predecessor.epoch)]
            }
        }
    }

    /// The partition runs when a commit under the epoch is acknowledged. Also without rows: somebody
    /// may have taken the partition over after the commit that this take-over began with. When that was
    /// a successor, it has carried the rows on and taken the old ones away, and this worker owns the
    /// partition no more: only a commit can tell.
    fn commit(&mut self, epoch: Epoch) -> Vec<Step> {
        self.stage = Stage::Committing(epoch);
        vec![Step::Own(epoch, self.cfg(), Claim::Now)]
    }

    fn write_under_new_epoch(&mut self, random: u64) -> Vec<Step> {
        let epoch = self.next_epoch(random);
        self.stage = Stage::Writing(Writing::new(epoch));
        self.write((0..self.rows.len()).map(Item::Row))
    }

    fn write(&mut self, items: impl IntoIterator<Item = Item>) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            let number = self.next_number();
            if let Some(order) = self.order(item)
                && let Stage::Writing(writing) = &mut self.stage
            {
                writing.sent(number, item);
                steps.push(Step::Write { number, order });
            }
        }
        steps
    }

    fn order(&self, item: Item) -> Option<Order> {
        let Stage::Writing(writing) = &self.stage else {
            return None;
        };
        let scope = scope_of(&self.subject.group, &self.subject.place, writing.epoch());
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
        match writing.written() {
            Next::Wait => Vec::new(),
            Next::Terminator => self.write([Item::Terminator]),
            Next::Commit => {
                let epoch = writing.epoch();
                self.commit(epoch)
            }
        }
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
