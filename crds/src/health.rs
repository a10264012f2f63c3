//! What the last attempts of a target's lanes say about its health: the one rule for DOWN, and for the
//! remarks beside UP.
//!
//! A worker asks it about the lanes it owns, with its monotonic clock; the operator asks it about all
//! lanes, with the times that rows and reports tell. So moments are of whatever type the caller has, and
//! only compared. Pure, and keeps nothing.

use std::time::Duration;

/// How long a target may ask for less before it counts as DOWN.
pub const THROTTLED_IS_DOWN_AFTER: Duration = Duration::from_secs(60);

/// Failures in a row of a lane that others have overtaken, until its head is suspected.
pub const HEAD_FAILURES: u32 = 8;

/// REASON while UP although the last attempt of some lane failed.
pub const SOME_PARTITIONS_FAILING: &str = "SomePartitionsFailing";

/// REASON while UP although one lane fails again and again: its oldest event may be what fails.
pub const HEAD_FAILING: &str = "HeadFailing";

/// REASON of a target that rejects so many events that nothing more is given up until a person has looked.
/// A lane says so in its row, as the reason of its last failure.
pub const REJECTING_EVERYTHING: &str = "RejectingEverything";

/// REASON while SUSPENDED.
pub const SUSPENDED: &str = "Suspended";

/// REASON of attempts after which the target only asked for less.
pub const THROTTLED: &str = "Throttled";

/// A lane whose last attempt failed.
#[derive(Clone, Copy, Debug)]
pub struct Failing<'a, T> {
    /// When it failed last.
    pub last: T,
    /// Why.
    pub reason: &'a str,
    /// Whether the target only asked for less.
    pub throttled: bool,
    /// Failed attempts in a row.
    pub in_a_row: u32,
}

impl<T: Ord> Failing<'_, T> {
    /// Whether the lane makes its target DOWN: nothing of the target was delivered after it failed, it
    /// was not merely asked to wait a moment, and it failed as often in a row as the target allows.
    /// `lasting` is how long it has been failing.
    pub fn is_down(&self, lasting: Duration, success: Option<&T>, threshold: u32) -> bool {
        let throttled_briefly = self.throttled && lasting < THROTTLED_IS_DOWN_AFTER;
        !self.is_overtaken(success) && !throttled_briefly && self.in_a_row >= threshold
    }

    /// Whether something of the target was delivered after this lane failed.
    fn is_overtaken(&self, success: Option<&T>) -> bool {
        success.is_some_and(|success| *success > self.last)
    }

    fn has_failing_head(&self, success: Option<&T>) -> bool {
        self.in_a_row >= HEAD_FAILURES && self.is_overtaken(success)
    }
}

/// REASON of a target that is not suspended, by its failing lanes; empty without one.
pub fn reason<'a, T: Ord>(
    failing: impl Iterator<Item = Failing<'a, T>>,
    success: Option<&T>,
    down: bool,
) -> &'a str {
    let mut head_failing = false;
    let failing = failing.inspect(|failing| head_failing |= failing.has_failing_head(success));
    // `inspect` has seen all of them once the last to fail is found.
    let worst = failing.max_by(|one, other| one.last.cmp(&other.last));
    match worst {
        None => "",
        Some(worst) if down => worst.reason,
        Some(_) if head_failing => HEAD_FAILING,
        Some(worst) if worst.throttled => worst.reason,
        Some(_) => SOME_PARTITIONS_FAILING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn failing(last: i64, in_a_row: u32) -> Failing<'static, i64> {
        Failing {
            last,
            reason: "Timeout",
            throttled: false,
            in_a_row,
        }
    }

    #[test]
    fn down_is_a_failure_that_no_success_has_overtaken() {
        for (success, down) in [
            (None, true),
            (Some(4), true),
            (Some(5), true),
            (Some(6), false),
        ] {
            let is_down = failing(5, 1).is_down(MINUTE, success.as_ref(), 1);
            assert_eq!(is_down, down, "{success:?}");
        }
        assert!(!failing(5, 2).is_down(MINUTE, None, 3), "the threshold");
    }

    #[test]
    fn a_throttled_lane_is_down_only_when_it_lasts() {
        let throttled = Failing {
            throttled: true,
            ..failing(5, 9)
        };
        let almost = MINUTE - Duration::from_millis(1);
        assert!(!throttled.is_down(almost, None, 1));
        assert!(throttled.is_down(MINUTE, None, 1));
    }

    #[test]
    fn the_reason_is_that_of_the_last_failure_unless_others_are_delivered() {
        let other = Failing {
            reason: "HTTPStatus",
            ..failing(3, 9)
        };
        let of = |lanes: &[Failing<'static, i64>], success: Option<i64>, down| {
            reason(lanes.iter().copied(), success.as_ref(), down)
        };
        assert_eq!(of(&[], None, false), "");
        assert_eq!(of(&[failing(5, 1), other], None, true), "Timeout");
        assert_eq!(
            of(&[failing(5, 1)], Some(6), false),
            SOME_PARTITIONS_FAILING
        );
        assert_eq!(of(&[failing(5, 1), other], Some(6), false), HEAD_FAILING);
        let throttled = Failing {
            reason: THROTTLED,
            throttled: true,
            ..failing(5, 1)
        };
        assert_eq!(of(&[throttled], None, false), THROTTLED);
    }
}
