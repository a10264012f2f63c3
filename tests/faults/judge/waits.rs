//! How long events waited for the steady target (I8), told and not judged: a loaded machine is slow.

use serde::{Deserialize, Serialize};

/// How many milliseconds a step of the scale is.
const STEP_MS: u64 = 10;
/// Steps of the scale; what waited longer is in the last.
const STEPS: usize = 2_000;

/// Waits, sorted by length.
#[derive(Debug, Clone)]
struct Scale(Vec<u64>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Neither workers nor brokers were disturbed.
    quiet: Scale,
    /// Neither were they, and all other targets hung.
    others_hang: Scale,
    all: Scale,
}

/// The times below which 99 of 100 requests of the steady target stayed, milliseconds, with their
/// number; the oldest event of a request counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct P99 {
    pub(crate) quiet_ms: u64,
    pub(crate) quiet_requests: u64,
    pub(crate) others_hang_ms: u64,
    pub(crate) others_hang_requests: u64,
    pub(crate) all_ms: u64,
}

impl Default for Scale {
    fn default() -> Self {
        Self(vec![0; STEPS])
    }
}

impl Scale {
    fn add(&mut self, ms: u64) {
        let step = usize::try_from(ms / STEP_MS).unwrap_or(STEPS);
        self.0[step.min(STEPS - 1)] += 1;
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    fn p99(&self) -> u64 {
        let below = self.count() * 99 / 100;
        let mut seen = 0;
        let step = self.0.iter().position(|count| {
            seen += count;
            seen > below
        });
        step.map_or(0, |step| (step as u64 + 1) * STEP_MS)
    }
}

impl Waits {
    /// A request's oldest event waited so long.
    pub(super) fn add(&mut self, ms: u64, quiet: bool, others_hang: bool) {
        self.all.add(ms);
        match (quiet, others_hang) {
            (true, true) => self.others_hang.add(ms),
            (true, false) => self.quiet.add(ms),
            (false, _) => {}
        }
    }

    /// What it came to.
    pub(super) fn p99(&self) -> P99 {
        P99 {
            quiet_ms: self.quiet.p99(),
            quiet_requests: self.quiet.count(),
            others_hang_ms: self.others_hang.p99(),
            others_hang_requests: self.others_hang.count(),
            all_ms: self.all.p99(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_hundred_may_wait_longer() {
        let mut waits = Waits::default();
        (0..99).for_each(|_| waits.add(12, true, false));
        assert_eq!((waits.p99().quiet_ms, waits.p99().others_hang_ms), (20, 0));
        waits.add(5_000_000, true, false);
        assert_eq!(waits.p99().quiet_ms, STEP_MS * STEPS as u64);
    }
}
