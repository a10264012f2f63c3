//! How long a lane waits after a failed attempt.
//!
//! Pure: the outcome, the number of failed attempts and a jitter go in, a wait comes out. It never
//! fails and never exceeds the longest wait the target or a Retry-After may ask for.

use std::time::Duration;

use parcelhook_crds::compiled::Retry;

use crate::delivery::Outcome;

/// The wait is spread by this share either way, so that lanes that failed together do not return
/// together.
const JITTER_SHARE: f64 = 0.2;

/// When the next attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wait {
    /// After this time.
    For(Duration),
    /// Not by itself: somebody must change the target or ask for it.
    Never,
}

/// The wait after the `failures`-th failed attempt in a row (from 1). `jitter` is from −1 to 1, 0 for none.
pub fn after(outcome: Outcome, failures: u32, retry: &Retry, jitter: f64) -> Wait {
    match outcome {
        Outcome::Delivered => Wait::For(Duration::ZERO),
        Outcome::Throttled { retry_after } | Outcome::Unavailable { retry_after } => {
            let backoff = spread(exponential(failures, retry), jitter);
            Wait::For(backoff.max(retry_after.unwrap_or(Duration::ZERO)))
        }
        Outcome::Rejected => Wait::For(spread(exponential(failures, retry), jitter)),
        Outcome::Misconfigured => Wait::For(spread(retry.max_backoff, jitter)),
        Outcome::Gone => Wait::Never,
    }
}

/// `initial`, doubled with each failure, at most `max`.
fn exponential(failures: u32, retry: &Retry) -> Duration {
    let doublings = failures.saturating_sub(1).min(30);
    retry
        .initial_backoff
        .saturating_mul(1 << doublings)
        .min(retry.max_backoff)
}

fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + JITTER_SHARE * jitter.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::sample::retry;

    fn unavailable(retry_after: Option<u64>) -> Outcome {
        Outcome::Unavailable {
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_double_from_2_s_to_512_s_and_stay_there() {
        let waits: Vec<_> = (1..=12)
            .map(|failures| after(unavailable(None), failures, &retry(), 0.0))
            .collect();
        let expected = [2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512, 512]
            .map(|s| Wait::For(Duration::from_secs(s)));
        assert_eq!(waits, expected);
    }

    #[test]
    fn retry_after_lengthens_a_wait_and_never_shortens_it() {
        assert_eq!(
            after(unavailable(Some(30)), 1, &retry(), 0.0),
            Wait::For(Duration::from_secs(30))
        );
        assert_eq!(
            after(unavailable(Some(1)), 4, &retry(), 0.0),
            Wait::For(Duration::from_secs(16))
        );
    }

    #[test]
    fn a_misconfigured_target_is_tried_at_the_cap_and_one_that_is_gone_not_at_all() {
        assert_eq!(
            after(Outcome::Misconfigured, 1, &retry(), 0.0),
            Wait::For(Duration::from_secs(512))
        );
        assert_eq!(after(Outcome::Gone, 1, &retry(), 0.0), Wait::Never);
    }

    proptest! {
        #[test]
        fn jitter_moves_a_wait_by_a_fifth_at_most(failures in 0..u32::MAX, jitter in -2.0..2.0_f64) {
            let Wait::For(plain) = after(unavailable(None), failures, &retry(), 0.0) else { unreachable!() };
            let Wait::For(spread) = after(unavailable(None), failures, &retry(), jitter) else { unreachable!() };
            let ratio = spread.as_secs_f64() / plain.as_secs_f64();
            prop_assert!((0.799..=1.201).contains(&ratio), "{ratio}");
        }
    }
}
