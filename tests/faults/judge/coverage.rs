//! Commit safety (I4): what a commit passes was delivered, or has a dead letter, or is parked and its
//! lane has a row.
//!
//! A commit is seen at once, the retry and the lanes topic a little later. So a commit that passes
//! something undelivered becomes a doubt. The doubt ends when both topics were read beyond where they
//! ended right after the commit was seen: what is not parked then was not parked before. The row must
//! have been there at some time since, under the epoch in the commit: a lane may have drained and gone
//! live meanwhile. It counts for the runs of its incarnation behind what it calls delivered.

use std::collections::HashMap;

use super::{
    letters::Letters,
    seen::{Lane, RowSeen},
};

/// What a commit passed and the lane had not delivered.
#[derive(Debug)]
struct Doubt {
    look: u64,
    at_ms: u64,
    lane: Lane,
    committed: i64,
    /// The epoch whose rows count; without one, all do.
    epoch: Option<String>,
    offsets: Vec<i64>,
    /// The rows that the lane had at some time since the commit.
    rows: Vec<RowSeen>,
}

/// Runs, ascending and apart.
#[derive(Debug, Default)]
struct Runs(Vec<(i64, i64)>);

#[derive(Debug, Default)]
struct Parked {
    /// By incarnation.
    runs: HashMap<String, Runs>,
    /// By epoch.
    rows: HashMap<String, RowSeen>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    parked: HashMap<Lane, Parked>,
    doubts: Vec<Doubt>,
}

impl Runs {
    /// Adds a run. `last` may reach up to the next event that the lane wants, so that the runs of a
    /// lane that parks everything become one.
    fn add(&mut self, first: i64, last: i64) {
        let from = self.0.partition_point(|run| run.1 < first - 1);
        let to = self.0.partition_point(|run| run.0 <= last + 1);
        let merged = match (self.0.get(from), to > from) {
            (Some(run), true) => {
                let end = self.0[to - 1].1;
                (run.0.min(first), end.max(last))
            }
            (Some(_) | None, _) => (first, last),
        };
        self.0.splice(from..to, [merged]);
    }

    fn has(&self, offset: i64) -> bool {
        self.end(offset).is_some()
    }

    /// The last offset of the run that has this one.
    fn end(&self, offset: i64) -> Option<i64> {
        let after = self.0.partition_point(|run| run.0 <= offset);
        let run = self.0[..after].last()?;
        (run.1 >= offset).then_some(run.1)
    }
}

impl Coverage {
    /// A run of the lane was parked.
    pub(crate) fn parked(&mut self, lane: Lane, incarnation: &str, first: i64, last: i64) {
        let runs = &mut self.parked.entry(lane).or_default().runs;
        let runs = runs.entry(incarnation.to_owned()).or_default();
        runs.add(first, last);
    }

    /// The lane's row was written or taken away.
    pub(crate) fn row(&mut self, lane: Lane, epoch: &str, row: Option<&RowSeen>) {
        let rows = &mut self.parked.entry(lane).or_default().rows;
        let Some(row) = row else {
            rows.remove(epoch);
            return;
        };
        rows.insert(epoch.to_owned(), row.clone());
        let doubts = self.doubts.iter_mut();
        for doubt in doubts.filter(|doubt| doubt.lane == lane && doubt.heeds(epoch)) {
            doubt.rows.push(row.clone());
        }
    }

    /// Whether a successor that goes by the rows of an epoch would send a parked event again.
    pub(crate) fn would_repeat(&self, lane: Lane, epoch: Option<&str>, offset: i64) -> bool {
        let Some(parked) = self.parked.get(&lane) else {
            return false;
        };
        let counts = |written: &str| epoch.is_none_or(|epoch| epoch == written);
        let mut rows = parked.rows.iter().filter(|(written, _)| counts(written));
        rows.any(|(_, row)| row.delivered_through < offset)
    }

    /// A commit under an epoch passed these offsets, which the lane had not delivered.
    pub(crate) fn doubt(
        &mut self,
        (look, at_ms): (u64, u64),
        lane: Lane,
        (committed, epoch): (i64, Option<&str>),
        offsets: Vec<i64>,
    ) {
        let mut doubt = Doubt {
            look,
            at_ms,
            lane,
            committed,
            epoch: epoch.map(str::to_owned),
            offsets,
            rows: Vec::new(),
        };
        if let Some(parked) = self.parked.get(&lane) {
            let rows = parked.rows.iter().filter(|(epoch, _)| doubt.heeds(epoch));
            doubt.rows = rows.map(|(_, row)| row.clone()).collect();
        }
        self.doubts.push(doubt);
    }

    /// The topics were read far enough to judge that look: what it found wrong.
    pub(super) fn tailed(&mut self, look: u64, letters: &Letters) -> Vec<String> {
        let due = self.doubts.extract_if(.., |doubt| doubt.look <= look);
        let due: Vec<Doubt> = due.collect();
        let wrong = due.iter().filter_map(|doubt| self.wrong(doubt, letters));
        wrong.collect()
    }

    /// The first offset from `from` on of which no run of the lane is known.
    pub(crate) fn next_unparked(&self, lane: Lane, from: i64) -> i64 {
        let mut offset = from;
        let Some(parked) = self.parked.get(&lane) else {
            return offset;
        };
        while let Some(end) = parked.runs.values().find_map(|runs| runs.end(offset)) {
            offset = end + 1;
        }
        offset
    }

    /// Commits that nobody could judge, because the topics were not read so far.
    pub(crate) fn unjudged(&self) -> usize {
        self.doubts.len()
    }

    /// Whether an event of an incarnation is parked.
    pub(crate) fn is_parked(&self, lane: Lane, incarnation: &str, offset: i64) -> bool {
        let parked = self.parked.get(&lane);
        let runs = parked.and_then(|parked| parked.runs.get(incarnation));
        runs.is_some_and(|runs| runs.has(offset))
    }

    fn wrong(&self, doubt: &Doubt, letters: &Letters) -> Option<String> {
        let Lane { target, place } = doubt.lane;
        let committed = doubt.committed;
        let parked = self.parked.get(&doubt.lane);
        let is_covered = |offset: i64| {
            let mut rows = doubt.rows.iter();
            letters.is_written(doubt.lane, offset, doubt.at_ms)
                || rows.any(|row| {
                    row.delivered_through < offset
                        && self.is_parked(doubt.lane, &row.incarnation, offset)
                })
        };
        let offset = *doubt.offsets.iter().find(|offset| !is_covered(**offset))?;
        let somewhere = parked.is_some_and(|parked| parked.runs.values().any(|it| it.has(offset)));
        Some(match somewhere {
            true => format!(
                "{place} was committed up to {committed} over offset {offset}, which is parked for \
                 target {target}, but of the rows {:?} none under epoch {:?} tells of it",
                doubt.rows, doubt.epoch
            ),
            false => format!(
                "{place} was committed up to {committed}, but target {target} has neither got nor \
                 parked offset {offset}"
            ),
        })
    }
}

impl Doubt {
    fn heeds(&self, epoch: &str) -> bool {
        self.epoch.as_deref().is_none_or(|own| own == epoch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parked_runs_hold_what_was_added_and_nothing_else(
            added in prop::collection::vec((0..60_i64, 0..8_i64), 0..30)
        ) {
            let mut runs = Runs::default();
            for (first, length) in &added {
                runs.add(*first, first + length);
            }
            for offset in -1..80 {
                let expected = added
                    .iter()
                    .any(|(first, length)| (*first..=first + length).contains(&offset));
                prop_assert_eq!(runs.has(offset), expected, "{} in {:?}", offset, runs);
            }
            prop_assert!(runs.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
