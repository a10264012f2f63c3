//! The ownership of one partition under one epoch.
//!
//! Owns the epoch, whether its terminator is written, and the numbers of the partition's orders. Until
//! a partition is owned nothing of it is sent, parked or committed.

use std::time::{Duration, Instant};

use parcelhook_crds::lane::Epoch;

/// Terminators are written again this often while the frontier moves: a successor without a commit
/// begins at the newest.
pub(super) const TERMINATOR_INTERVAL: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Own {
    /// The epoch.
    pub epoch: Epoch,
    terminator: Terminator,
}

/// What has become of the epoch's terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Terminator {
    Unwritten,
    OnItsWay {
        number: u64,
        /// An earlier one of this epoch is acked.
        again: bool,
        frontier: i64,
        at: Instant,
    },
    Acked {
        frontier: i64,
        at: Instant,
    },
}

impl Own {
    /// An epoch of which nothing is written.
    pub fn unwritten(epoch: Epoch) -> Self {
        Self {
            epoch,
            terminator: Terminator::Unwritten,
        }
    }

    /// An epoch whose terminator was written at take-over.
    pub fn written(epoch: Epoch, frontier: i64, at: Instant) -> Self {
        Self {
            epoch,
            terminator: Terminator::Acked { frontier, at },
        }
    }

    /// Whether the terminator is there, so that rows of the epoch count.
    pub fn is_terminated(&self) -> bool {
        match self.terminator {
            Terminator::Unwritten => false,
            Terminator::OnItsWay { again, .. } => again,
            Terminator::Acked { .. } => true,
        }
    }

    /// Whether the terminator must be produced before a row.
    pub fn wants_terminator(&self) -> bool {
        self.terminator == Terminator::Unwritten
    }

    /// Whether the terminator should be produced again, because it tells of a frontier that is old.
    pub fn wants_again(&self, frontier: i64, now: Instant) -> bool {
        match self.terminator {
            Terminator::Acked { frontier: told, at } => {
                frontier > told && now >= at + TERMINATOR_INTERVAL
            }
            Terminator::Unwritten | Terminator::OnItsWay { .. } => false,
        }
    }

    /// The terminator is produced.
    pub fn produced(&mut self, number: u64, frontier: i64, at: Instant) {
        self.terminator = Terminator::OnItsWay {
            number,
            again: self.is_terminated(),
            frontier,
            at,
        };
    }

    /// An order of the partition was written. Says whether it was the terminator.
    pub fn written_number(&mut self, order: u64) -> bool {
        match self.terminator {
            Terminator::OnItsWay {
                number,
                frontier,
                at,
                ..
            } if number == order => {
                self.terminator = Terminator::Acked { frontier, at };
                true
            }
            Terminator::OnItsWay { .. } | Terminator::Unwritten | Terminator::Acked { .. } => false,
        }
    }

    /// An order of the partition was refused. Says whether the terminator must be produced again.
    pub fn refused(&mut self, order: u64) -> bool {
        match self.terminator {
            Terminator::OnItsWay {
                number,
                again,
                frontier,
                at,
            } if number == order => {
                self.terminator = if again {
                    Terminator::Acked { frontier, at }
                } else {
                    Terminator::Unwritten
                };
                !again
            }
            Terminator::OnItsWay { .. } | Terminator::Unwritten | Terminator::Acked { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const EPOCH: Epoch = Epoch { n: 1, random: 2 };

    #[test]
    fn rows_wait_for_the_terminator_of_their_epoch() {
        let now = clock::now();
        let mut own = Own::unwritten(EPOCH);
        assert!(own.wants_terminator() && !own.is_terminated());
        own.produced(7, 10, now);
        assert!(!own.wants_terminator() && !own.is_terminated());
        assert!(!own.written_number(6) && own.written_number(7));
        assert!(own.is_terminated());
    }

    #[test]
    fn a_terminator_that_failed_is_produced_again() {
        let mut own = Own::unwritten(EPOCH);
        own.produced(7, 10, clock::now());
        assert!(own.refused(7) && own.wants_terminator());
    }

    #[test]
    fn a_terminator_is_renewed_once_a_minute_while_the_frontier_moves() {
        let now = clock::now();
        let mut own = Own::written(EPOCH, 10, now);
        let later = now + TERMINATOR_INTERVAL;
        assert!(!own.wants_again(10, later) && !own.wants_again(11, now));
        assert!(own.wants_again(11, later));
        own.produced(9, 11, later);
        assert!(own.is_terminated(), "the earlier one still counts");
        assert!(!own.refused(9) && own.is_terminated());
    }
}
