//! How much may be read ahead of the attempts.
//!
//! Pure. Owns the judgement whether events drain quickly. While they do, half of the byte budget is enough
//! to keep every lane at work, and more would only be memory. While they do not, to wait in memory is the
//! cheapest way to wait, and all of the budget is for that.

/// Periods until the judgement changes, of those in which anything drained: a worker that starts has
/// connections to open first.
const PERIODS: u32 = 3;

/// How much of what may be read ahead is left when reading goes on.
const REOPENING_PERCENT: i64 = 40;

/// Whether the gate lets records through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It does.
    GoesOn,
    /// It does not, and all partitions have work.
    Stands,
    /// It has not for long, while a partition without work has records to read.
    IsMissed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ahead {
    budget: i64,
    is_quick: bool,
    contrary: u32,
}

impl Ahead {
    /// Of a budget of so many bytes.
    pub(super) fn new(budget: i64) -> Self {
        Self {
            budget,
            is_quick: true,
            contrary: 0,
        }
    }

    /// Bytes that may be [ahead](Load::ahead).
    pub(super) fn most(&self) -> i64 {
        if self.is_quick {
            self.budget / 2
        } else {
            self.budget
        }
    }

    /// What is ahead when a shut gate opens. While the gate is shut librdkafka's queue is full, and when
    /// there is room again librdkafka begins with the first of its partitions: the longer reading goes on in
    /// one go, the more of them have their turn. Where events drain slowly there is time for many goes.
    pub(super) fn reopening(&self) -> i64 {
        if self.is_quick {
            self.most() * REOPENING_PERCENT / 100
        } else {
            self.most()
        }
    }

    /// So many bytes have drained in a period. It was slow when half of the budget would take more than
    /// four such periods, and quick when it would take two at most. Returns whether more may be ahead from
    /// now on.
    pub(super) fn drained(&mut self, bytes: i64, reading: Reading) -> bool {
        let contrary = if self.is_quick {
            reading != Reading::GoesOn && bytes < self.budget / 8
        } else {
            bytes >= self.budget / 4
        };
        if !contrary {
            self.contrary = 0;
        } else if bytes > 0 {
            let at_once = self.is_quick && reading == Reading::IsMissed;
            self.contrary += if at_once { PERIODS } else { 1 };
        }
        if self.contrary < PERIODS {
            return false;
        }
        self.is_quick = !self.is_quick;
        self.contrary = 0;
        !self.is_quick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: i64 = 16 << 20;
    const SLOW: i64 = B / 8 - 1;
    const QUICK: i64 = B / 4;

    #[test]
    fn slow_draining_frees_the_whole_budget_and_quick_draining_takes_half_of_it_back() {
        let mut ahead = Ahead::new(B);
        for period in 1..=PERIODS {
            assert_eq!(ahead.most(), B / 2);
            assert_eq!(ahead.drained(SLOW, Reading::Stands), period == PERIODS);
        }
        assert_eq!((ahead.most(), ahead.reopening()), (B, B));
        for _ in 0..PERIODS {
            assert_eq!(ahead.most(), B);
            assert!(!ahead.drained(QUICK, Reading::GoesOn));
        }
        assert_eq!((ahead.most(), ahead.reopening()), (B / 2, B / 5));
    }

    #[test]
    fn a_partition_that_misses_records_is_not_kept_waiting() {
        let mut ahead = Ahead::new(B);
        assert!(ahead.drained(SLOW, Reading::IsMissed));
    }

    #[test]
    fn the_judgement_stays_without_a_reason() {
        let mut ahead = Ahead::new(B);
        let periods = [
            (SLOW, Reading::Stands),
            (SLOW, Reading::Stands),
            (SLOW, Reading::GoesOn),
            (SLOW, Reading::Stands),
            (SLOW, Reading::Stands),
            (SLOW + 1, Reading::IsMissed),
            (0, Reading::IsMissed),
            (0, Reading::IsMissed),
            (0, Reading::IsMissed),
        ];
        for (bytes, reading) in periods {
            assert!(!ahead.drained(bytes, reading), "{bytes} {reading:?}");
        }
        assert_eq!(ahead.most(), B / 2);
    }
}
