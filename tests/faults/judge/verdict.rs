//! What the judge has found: violations, and how often each invariant was looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Violations of one invariant that are spelled out; further ones are only counted.
const SPELLED_OUT: u64 = 50;

/// A promise that must hold at all times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Invariant {
    /// I1: a lane's first deliveries come in offset order, without a gap.
    Order,
    /// I2: after healing, every wanted event was delivered or dead-lettered.
    NoLoss,
    /// I3: nothing that was not written, or not wanted, or that was altered.
    NoInvention,
    /// I4: a commit passes only what was delivered, or parked with its lane's row.
    CommitSafety,
    /// I5: every repetition has a cause.
    Duplicates,
    /// I6: a repetition begins at or before the last delivered event and leaves nothing out.
    Replays,
    /// I7: what is healed drains within a bound, and nothing stands.
    Liveness,
    /// I8: the others' hanging does not stop a target.
    Isolation,
    /// I9: at most 100 events a request, one attempt in flight a lane, backoff within its bounds.
    Shape,
    /// I10: workers stay within a bound.
    Memory,
    /// I11: workers call a target UP that has drained.
    Agreement,
}

impl Invariant {
    /// Every one.
    pub(crate) const ALL: [Self; 11] = [
        Self::Order,
        Self::NoLoss,
        Self::NoInvention,
        Self::CommitSafety,
        Self::Duplicates,
        Self::Replays,
        Self::Liveness,
        Self::Isolation,
        Self::Shape,
        Self::Memory,
        Self::Agreement,
    ];

    /// Number and name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Order => "I1 order",
            Self::NoLoss => "I2 no loss",
            Self::NoInvention => "I3 no invention",
            Self::CommitSafety => "I4 commit safety",
            Self::Duplicates => "I5 duplicates have causes",
            Self::Replays => "I6 replays",
            Self::Liveness => "I7 liveness",
            Self::Isolation => "I8 isolation",
            Self::Shape => "I9 shape",
            Self::Memory => "I10 memory",
            Self::Agreement => "I11 state agreement",
        }
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    /// Milliseconds since the run began, as in the journal.
    pub(crate) at_ms: u64,
    pub(crate) what: String,
}

/// How often an invariant was looked at and found broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) checked: u64,
    pub(crate) violated: u64,
}

/// What happened, in numbers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Events processed for the first time.
    pub(crate) deliveries: u64,
    /// Events processed again.
    pub(crate) repeated: u64,
    /// Events that a target never accepted, once everything had healed.
    pub(crate) lost: u64,
    /// Requests that began with an event that had been processed before.
    pub(crate) replays: u64,
    /// Requests with both events that had been processed before and new ones.
    pub(crate) straddling: u64,
    /// Requests of a worker that was frozen, after others had gone on with the lane.
    pub(crate) zombies: u64,
    /// Commits that were lower than one seen before.
    pub(crate) commits_back: u64,
    /// Runs in the retry topic.
    pub(crate) parked_runs: u64,
    /// Runs that came before one that they follow: it had to be written again.
    pub(crate) gaps: u64,
    /// Rows in the lanes topic.
    pub(crate) rows: u64,
    /// Rows of lanes over their budget, with an attempt in flight.
    pub(crate) insured: u64,
    /// Commits that passed parked events.
    pub(crate) commits_over_parked: u64,
    /// Events with a dead letter.
    pub(crate) letters: u64,
    /// Dead letters of events that had one.
    pub(crate) letters_again: u64,
    /// Runs of which only the place was parked.
    pub(crate) references: u64,
    /// Rows of lanes over their budget.
    pub(crate) overflowed: u64,
    /// Rows of suspended targets.
    pub(crate) suspended: u64,
    /// Rows that an owner took over from the one before it.
    pub(crate) copied_rows: u64,
    /// The same, with a parked run of which a part was delivered.
    pub(crate) cut_runs: u64,
    /// Ownerships of lanes that begin to drain before runs of another DOWN period.
    pub(crate) skipped_periods: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    tallies: BTreeMap<Invariant, Tally>,
    violations: Vec<Violation>,
}

impl Verdict {
    /// An invariant was looked at so many times more.
    pub(crate) fn checked(&mut self, invariant: Invariant, times: u64) {
        self.tallies.entry(invariant).or_default().checked += times;
    }

    /// An invariant was found broken.
    pub(crate) fn broken(&mut self, invariant: Invariant, at_ms: u64, what: String) {
        let tally = self.tallies.entry(invariant).or_default();
        tally.violated += 1;
        if tally.violated <= SPELLED_OUT {
            self.violations.push(Violation {
                invariant,
                at_ms,
                what,
            });
        }
    }

    /// What was found broken, in the order of time.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How often this invariant was looked at and found broken.
    pub(crate) fn tally(&self, invariant: Invariant) -> Tally {
        self.tallies.get(&invariant).copied().unwrap_or_default()
    }
}
