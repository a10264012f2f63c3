//! The writing of one lane's row: one in flight, always the lane's present state.
//!
//! Owns whether what is written is what the lane is. A row that failed is never repeated: the present
//! one is written in its place.

use std::time::{Duration, Instant};

/// Least time between two rows that tell only how far a drain has come. A crash repeats what was
/// delivered in it, as it does with commits.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Least time between two rows that tell only how much is parked. Nothing but what people are shown after
/// a crash depends on it.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// What the written row lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lacks {
    /// Nothing.
    #[default]
    Nothing,
    /// How much is parked.
    Count,
    /// How far a drain has come.
    Progress,
    /// What a successor should know at once.
    State,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowWrites {
    lacks: Lacks,
    in_flight: Option<u64>,
    written_at: Option<Instant>,
    /// Whether some row of this incarnation is acked under the partition's present epoch.
    known: bool,
}

impl RowWrites {
    /// A lane that has no row yet.
    pub(super) fn unwritten() -> Self {
        Self {
            lacks: Lacks::State,
            in_flight: None,
            written_at: None,
            known: false,
        }
    }

    /// A lane whose row was written at take-over.
    pub(super) fn written() -> Self {
        Self {
            lacks: Lacks::Nothing,
            known: true,
            ..Self::unwritten()
        }
    }

    /// The lane changed.
    pub(super) fn changed(&mut self, what: Lacks) {
        self.lacks = self.lacks.max(what);
    }

    /// Whether a row of this incarnation is acked.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Whether a row is on its way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether the lane is not what is written of it, and no row is on its way.
    pub(super) fn is_owed(&self) -> bool {
        self.in_flight.is_none() && self.lacks > Lacks::Nothing
    }

    /// Whether a row should be produced now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.in_flight.is_none()
            && match self.lacks {
                Lacks::Nothing => false,
                Lacks::Count | Lacks::Progress => self.due_at().is_none_or(|due| due <= now),
                Lacks::State => true,
            }
    }

    /// When a row should be produced, if that is a matter of time.
    pub(super) fn wake(&self) -> Option<Instant> {
        let waits = matches!(self.lacks, Lacks::Count | Lacks::Progress);
        (self.in_flight.is_none() && waits).then(|| self.due_at())?
    }

    fn due_at(&self) -> Option<Instant> {
        let interval = match self.lacks {
            Lacks::Nothing | Lacks::Progress | Lacks::State => PROGRESS_INTERVAL,
            Lacks::Count => COUNT_INTERVAL,
        };
        self.written_at.map(|at| at + interval)
    }

    /// A row goes out.
    pub(super) fn produce(&mut self, number: u64, now: Instant) {
        self.in_flight = Some(number);
        self.lacks = Lacks::Nothing;
        self.written_at = Some(now);
    }

    /// A row is acked. Says whether it is ours.
    pub(super) fn acked(&mut self, number: u64) -> bool {
        let ours = self.in_flight == Some(number);
        if ours {
            self.in_flight = None;
            self.known = true;
        }
        ours
    }

    /// A row failed. Says whether it is ours.
    pub(super) fn failed(&mut self, number: u64) -> bool {
        let ours = self.in_flight == Some(number);
        if ours {
            self.in_flight = None;
            self.lacks = Lacks::State;
        }
        ours
    }
}
