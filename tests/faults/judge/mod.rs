//! The judge: a pure fold over all that was seen in a run, which finds every broken promise.
//!
//! It owns what has to be known of each lane, and nothing that grows with the run except the list of
//! disturbances. What it is fed is also written to the journal, so a run can be judged again (`--journal`).
//!
//! A receiver *processes* the events of a request or does not, and *accepts* them when it answers
//! with a 2xx. A worker may go on to the next events only when it has that 2xx, so order is asked of
//! attempts: none may begin beyond the first event that was not accepted. A repetition is an event
//! that is processed again.

mod attempts;
mod causes;
mod commits;
mod coverage;
mod exchanges;
mod front;
mod lane;
mod letters;
mod paths;
mod seen;
mod verdict;
mod waits;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

pub(crate) use self::{
    causes::Cause,
    exchanges::{INITIAL_BACKOFF_MS, MAX_BACKOFF_MS},
    seen::{Arrived, Lane, RequestNumber, RowSeen, Seen, Side, WorkerChange, WorkerNumber},
    verdict::{Counts, Invariant, Tally, Verdict, Violation},
    waits::P99,
};
use self::{
    causes::{Disturbances, Fate},
    commits::Sender,
    coverage::Coverage,
    exchanges::{Exchanges, Open},
    front::Front,
    lane::LaneRecord,
    letters::Letters,
    paths::Paths,
    waits::Waits,
};
use crate::{
    roster,
    source::{Place, Source},
};

/// The most events that a transaction may have.
const MOST_EVENTS: usize = 100;

/// Missing offsets that a message spells out.
const SPELLED_OUT: usize = 5;

/// See the module.
#[derive(Debug)]
pub(crate) struct Judge {
    source: Source,
    lanes: HashMap<Lane, LaneRecord>,
    exchanges: Exchanges,
    disturbances: Disturbances,
    coverage: Coverage,
    letters: Letters,
    paths: Paths,
    waits: Waits,
    /// All other targets hang.
    others_hang: bool,
    ends: BTreeMap<Place, i64>,
    committed: BTreeMap<Place, i64>,
    /// The epoch in the last commit.
    epochs: HashMap<Place, String>,
    /// Who sends events of a partition.
    senders: HashMap<Place, Sender>,
    verdict: Verdict,
    counts: Counts,
}

impl Judge {
    /// A judge of a run in which this was written.
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            lanes: HashMap::new(),
            exchanges: Exchanges::default(),
            disturbances: Disturbances::default(),
            coverage: Coverage::default(),
            letters: Letters::default(),
            paths: Paths::default(),
            waits: Waits::default(),
            others_hang: false,
            ends: BTreeMap::new(),
            committed: BTreeMap::new(),
            epochs: HashMap::new(),
            senders: HashMap::new(),
            verdict: Verdict::default(),
            counts: Counts::default(),
        }
    }

    /// Takes note of what was seen, `at_ms` after the run began.
    pub(crate) fn see(&mut self, at_ms: u64, seen: &Seen) {
        match seen {
            Seen::Produced { place, end } => {
                self.disturbances.produced(at_ms);
                if self.ends.insert(*place, *end).is_none() {
                    self.disturbances.grew(at_ms);
                }
            }
            Seen::Arrived(arrived) => self.arrived(at_ms, arrived),
            Seen::Foreign { target, what } => {
                let what = format!("target {target}: {what}");
                self.verdict.broken(Invariant::NoInvention, at_ms, what);
            }
            Seen::Answered {
                request,
                status,
                retry_after_ms,
            } => self.answered(at_ms, *request, *status, *retry_after_ms),
            Seen::Cut { request, by } => self.cut(at_ms, *request, *by),
            Seen::Worker { worker, change } => self.disturbances.worker(at_ms, *worker, *change),
            Seen::Kafka { disturbed } => self.disturbances.kafka(at_ms, *disturbed),
            Seen::Configured { target } => self.exchanges.configured(at_ms, *target),
            Seen::Others { hang } => self.others_hang = *hang,
            Seen::Committed {
                look,
                place,
                offset,
                epoch,
            } => self.committed((*look, at_ms), *place, (*offset, epoch.as_deref())),
            Seen::Parked { .. } => self.parked(seen),
            Seen::Row {
                lane,
                epoch,
                written_ms,
                row,
            } => self.row((at_ms, *written_ms), *lane, epoch, row.as_ref()),
            Seen::Letter {
                lane,
                offset,
                written_ms,
            } => self.letter(*lane, *offset, *written_ms),
            Seen::Tailed { look, asked_ms } => self.tailed(at_ms, *look, *asked_ms),
        }
    }

    /// What a shell found out by waiting.
    pub(crate) fn waited(&mut self, at_ms: u64, invariant: Invariant, found: Result<(), String>) {
        self.verdict.checked(invariant, 1);
        if let Err(what) = found {
            self.verdict.broken(invariant, at_ms, what);
        }
    }

    /// The run is over and everything healed: looks for what was lost.
    pub(crate) fn close(&mut self, at_ms: u64) {
        let unjudged = self.coverage.unjudged() + self.letters.unjudged();
        if unjudged > 0 {
            let what =
                format!("{unjudged} times something passed an event, and nobody could judge it");
            self.verdict.broken(Invariant::CommitSafety, at_ms, what);
        }
        for (target, _) in roster::all() {
            for (place, end) in self.ends.clone() {
                let lane = Lane { target, place };
                let missing = self.missing(lane, end, usize::MAX);
                self.verdict.checked(Invariant::NoLoss, end.unsigned_abs());
                self.counts.lost += missing.len() as u64;
                if !missing.is_empty() {
                    let first = &missing[..missing.len().min(SPELLED_OUT)];
                    let what = format!(
                        "target {target} never got {} events of {place} below {end}, first {first:?}",
                        missing.len()
                    );
                    self.verdict.broken(Invariant::NoLoss, at_ms, what);
                }
            }
        }
    }

    /// Where the partitions end.
    pub(crate) fn ends(&self) -> &BTreeMap<Place, i64> {
        &self.ends
    }

    /// Lanes of this target that have not accepted everything below `ends`, with the first offset
    /// that is missing.
    pub(crate) fn behind(&self, target: u8, ends: &BTreeMap<Place, i64>) -> Vec<(Lane, i64)> {
        let lanes = ends.iter().filter_map(|(place, end)| {
            let place = *place;
            let lane = Lane { target, place };
            Some((lane, *self.missing(lane, *end, 1).first()?))
        });
        lanes.collect()
    }

    /// The last commit seen, by partition.
    pub(crate) fn commits(&self) -> &BTreeMap<Place, i64> {
        &self.committed
    }

    /// What was found broken.
    pub(crate) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What happened, in numbers.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Events that came again, by cause.
    pub(crate) fn causes(&self) -> &BTreeMap<Cause, u64> {
        self.disturbances.counts()
    }

    /// How long events waited for the steady target.
    pub(crate) fn waits(&self) -> P99 {
        self.waits.p99()
    }

    fn answered(&mut self, at_ms: u64, request: RequestNumber, status: u16, retry_after_ms: u64) {
        let Some((open, wrong)) = self.exchanges.answered(request) else {
            return;
        };
        if let Some(wrong) = wrong {
            self.verdict.broken(Invariant::Shape, at_ms, wrong);
        }
        if !(200..300).contains(&status) {
            self.exchanges.failed(at_ms, &open, retry_after_ms);
            self.ended(&open, Fate::Failed);
            return;
        }
        let lane = open.arrived.lane;
        self.exchanges.succeeded(at_ms, lane);
        let next_wanted = next_wanted(self.source, lane);
        let record = self.lanes.entry(lane).or_default();
        for offset in &open.arrived.offsets {
            record.accepted.take(*offset, next_wanted);
        }
        self.ended(&open, Fate::Accepted { at_ms });
    }

    fn cut(&mut self, at_ms: u64, request: RequestNumber, by: Side) {
        let Some(open) = self.exchanges.cut(request) else {
            return;
        };
        if by == Side::Receiver {
            self.exchanges.failed(at_ms, &open, 0);
        }
        self.ended(&open, Fate::Failed);
    }

    fn ended(&mut self, open: &Open, fate: Fate) {
        if let Some(record) = self.lanes.get_mut(&open.arrived.lane) {
            record.ended(open.arrived.request, fate);
        }
    }

    /// The first offsets below `end` that the lane wants and has not accepted.
    fn missing(&self, lane: Lane, end: i64, most: usize) -> Vec<i64> {
        let next_wanted = next_wanted(self.source, lane);
        match self.lanes.get(&lane) {
            Some(record) => record.accepted.missing(end, most, next_wanted),
            None => Front::default().missing(end, most, next_wanted),
        }
    }
}

/// Gives the first offset from a given one on that a lane wants.
fn next_wanted(source: Source, lane: Lane) -> impl Fn(i64) -> i64 + Copy {
    let taste = roster::TARGETS[usize::from(lane.target) % roster::TARGETS.len()].taste;
    move |from| source.next_wanted(taste, lane.place, from)
}
