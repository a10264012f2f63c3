//! Rare paths that only the retry and the lanes topic show (I12).
//!
//! Owns which runs of which DOWN periods lie where. Counts a path once for a lane and an ownership,
//! however often its row is written.

use std::collections::{HashMap, HashSet};

use super::{Counts, Lane, RowSeen};

/// The runs of one DOWN period.
#[derive(Debug, Default)]
struct Period {
    runs: Vec<(i64, i64)>,
    bucket: i32,
    /// Where the last of them lies in the bucket.
    last_at: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Paths {
    periods: HashMap<Lane, HashMap<String, Period>>,
    /// Ownerships whose row of a lane was seen.
    known: HashSet<(Lane, String)>,
}

/// A run in its bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) bucket: i32,
    pub(super) at: i64,
}

impl Paths {
    /// A run of a lane lies in the retry topic.
    pub(super) fn parked(&mut self, lane: Lane, incarnation: &str, run: (i64, i64), place: Place) {
        let periods = self.periods.entry(lane).or_default();
        let period = periods.entry(incarnation.to_owned()).or_default();
        period.runs.push(run);
        period.bucket = place.bucket;
        period.last_at = period.last_at.max(place.at);
    }

    /// A lane's row was written under an epoch.
    pub(super) fn row(&mut self, lane: Lane, epoch: &str, row: &RowSeen, counts: &mut Counts) {
        if !self.known.insert((lane, epoch.to_owned())) {
            return;
        }
        let Some(periods) = self.periods.get(&lane) else {
            return;
        };
        let others_lie_behind = periods.iter().any(|(incarnation, period)| {
            *incarnation != row.incarnation
                && period.bucket == row.bucket
                && period.last_at >= row.resume_offset
        });
        counts.skipped_periods += u64::from(others_lie_behind);
        // The period began under an epoch that its name starts with.
        let is_copy = !row.incarnation.starts_with(&format!("{epoch}."));
        counts.copied_rows += u64::from(is_copy);
        let through = row.delivered_through;
        let own = periods.get(&row.incarnation);
        let cuts = |run: &(i64, i64)| run.0 <= through && through < run.1;
        let is_cut = own.is_some_and(|period| period.runs.iter().any(cuts));
        counts.cut_runs += u64::from(is_copy && is_cut);
    }
}
