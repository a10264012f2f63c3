//! How far a lane has come: the lowest offset that is still awaited, and what was passed over.

use std::collections::BTreeSet;

/// Offsets passed over that are remembered one by one. Far more than a lane has in flight; a lane
/// that left out more is broken anyway.
const REMEMBERED: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// The offset after the highest one that came.
    next: i64,
    passed_over: BTreeSet<i64>,
}

/// What one delivery of one event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first one, in order.
    First,
    /// The first one, after that of a higher offset.
    Late,
    /// The first one, before that of the lower offset `awaited`.
    Ahead { awaited: i64 },
    /// Not the first one.
    Again,
}

impl Front {
    /// `offset` came. `next_wanted` gives the first offset from the given one on that is wanted.
    pub(crate) fn take(&mut self, offset: i64, next_wanted: impl Fn(i64) -> i64) -> Step {
        if offset < self.next {
            return match self.passed_over.remove(&offset) {
                true => Step::Late,
                false => Step::Again,
            };
        }
        let awaited = next_wanted(self.next);
        let mut skipped = awaited;
        while skipped < offset && self.passed_over.len() < REMEMBERED {
            self.passed_over.insert(skipped);
            skipped = next_wanted(skipped + 1);
        }
        self.next = offset + 1;
        match awaited < offset {
            true => Step::Ahead { awaited },
            false => Step::First,
        }
    }

    /// The wanted offsets below `end` that have not come; at most `most` of them.
    pub(crate) fn missing(
        &self,
        end: i64,
        most: usize,
        next_wanted: impl Fn(i64) -> i64,
    ) -> Vec<i64> {
        let mut missing: Vec<i64> = self.passed_over.range(..end).take(most).copied().collect();
        let mut offset = next_wanted(self.next);
        while offset < end && missing.len() < most {
            missing.push(offset);
            offset = next_wanted(offset + 1);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Even offsets are wanted.
    fn even(from: i64) -> i64 {
        from + from % 2
    }

    #[test]
    fn steps_tell_the_first_in_order_from_all_others() {
        let mut front = Front::default();
        let steps = [0, 2, 2, 8, 4, 4, 10].map(|offset| front.take(offset, even));
        let expected = [
            Step::First,
            Step::First,
            Step::Again,
            Step::Ahead { awaited: 4 },
            Step::Late,
            Step::Again,
            Step::First,
        ];
        assert_eq!(steps, expected);
        assert_eq!(front.missing(15, 9, even), [6, 12, 14]);
        assert_eq!(front.missing(15, 1, even), [6]);
    }
}
