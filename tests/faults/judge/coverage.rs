//! Commit safety (I4): what a commit passes was delivered, or is parked and its lane has a row.
//!
//! A commit is seen at once, the retry and the lanes topic a little later. So a commit that passes
//! something undelivered becomes a doubt. The doubt ends when both topics were read beyond where they
//! ended right after the commit was seen: what is not parked then was not parked before. The row must
//! have been there at some time since: a lane may have drained and gone live meanwhile.

use std::collections::HashMap;

use super::seen::Lane;

/// What a commit passed and the lane had not delivered.
#[derive(Debug)]
struct Doubt {
    look: u64,
    lane: Lane,
    committed: i64,
    offsets: Vec<i64>,
    /// Whether the lane had a row at some time since the commit.
    had_row: bool,
}

#[derive(Debug, Default)]
struct Parked {
    /// Runs, ascending and apart.
    runs: Vec<(i64, i64)>,
    row: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    parked: HashMap<Lane, Parked>,
    doubts: Vec<Doubt>,
}

impl Parked {
    /// Adds a run. `last` may reach up to the next event that the lane wants, so that the runs of a
    /// lane that parks everything become one.
    fn add(&mut self, first: i64, last: i64) {
        let from = self.runs.partition_point(|run| run.1 < first - 1);
        let to = self.runs.partition_point(|run| run.0 <= last + 1);
        let merged = match (self.runs.get(from), to > from) {
            (Some(run), true) => {
                let end = self.runs[to - 1].1;
                (run.0.min(first), end.max(last))
            }
            (Some(_) | None, _) => (first, last),
        };
        self.runs.splice(from..to, [merged]);
    }

    fn has(&self, offset: i64) -> bool {
        let after = self.runs.partition_point(|run| run.0 <= offset);
        after > 0 && self.runs[after - 1].1 >= offset
    }
}

impl Coverage {
    /// A run of the lane was parked.
    pub(crate) fn parked(&mut self, lane: Lane, first: i64, last: i64) {
        self.parked.entry(lane).or_default().add(first, last);
    }

    /// The lane's row was written or taken away.
    pub(crate) fn row(&mut self, lane: Lane, present: bool) {
        self.parked.entry(lane).or_default().row = present;
        if present {
            let doubts = self.doubts.iter_mut().filter(|doubt| doubt.lane == lane);
            doubts.for_each(|doubt| doubt.had_row = true);
        }
    }

    /// A commit passed these offsets, which the lane had not delivered.
    pub(crate) fn doubt(&mut self, look: u64, lane: Lane, committed: i64, offsets: Vec<i64>) {
        let had_row = self.parked.get(&lane).is_some_and(|parked| parked.row);
        self.doubts.push(Doubt {
            look,
            lane,
            committed,
            offsets,
            had_row,
        });
    }

    /// The topics were read far enough to judge that look: what it found wrong.
    pub(crate) fn tailed(&mut self, look: u64) -> Vec<String> {
        let due = self.doubts.extract_if(.., |doubt| doubt.look <= look);
        let due: Vec<Doubt> = due.collect();
        due.iter().filter_map(|doubt| self.wrong(doubt)).collect()
    }

    fn wrong(&self, doubt: &Doubt) -> Option<String> {
        let Lane { target, place } = doubt.lane;
        let parked = self.parked.get(&doubt.lane);
        let nowhere = doubt
            .offsets
            .iter()
            .find(|offset| !parked.is_some_and(|parked| parked.has(**offset)));
        let committed = doubt.committed;
        match (nowhere, doubt.had_row) {
            (Some(offset), _) => Some(format!(
                "{place} was committed up to {committed}, but target {target} has neither got nor \
                 parked offset {offset}"
            )),
            (None, false) => Some(format!(
                "{place} was committed up to {committed} over events parked for target {target}, \
                 whose lane has no row"
            )),
            (None, true) => None,
        }
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
            let mut parked = Parked::default();
            for (first, length) in &added {
                parked.add(*first, first + length);
            }
            for offset in -1..80 {
                let expected = added
                    .iter()
                    .any(|(first, length)| (*first..=first + length).contains(&offset));
                prop_assert_eq!(parked.has(offset), expected, "{} in {:?}", offset, parked.runs);
            }
            prop_assert!(parked.runs.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
