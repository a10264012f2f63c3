//! Delivered events per second, from counters that only rise. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::report::WorkerReport;

/// A rate is taken over this time: long enough to be calm, short enough to follow an outage.
const WINDOW: Duration = Duration::from_secs(5);

/// Counters are kept for [`WINDOW`], and never more of them than this.
const MAX_SAMPLES: usize = 64;

/// The counters of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(Instant, BTreeMap<Uuid, u64>)>);

impl Rates {
    /// Takes the counters of a report.
    pub(super) fn sample(&mut self, report: &WorkerReport, now: Instant) {
        let counters = report
            .targets
            .iter()
            .map(|(uid, target)| (*uid, target.counters.events_delivered))
            .collect();
        self.0.push_back((now, counters));
        while self.0.len() > MAX_SAMPLES || self.second_is_old_enough(now) {
            self.0.pop_front();
        }
    }

    /// Events per second of a target, rounded; 0 when it is too early to say.
    pub(super) fn per_second(&self, uid: &Uuid) -> u64 {
        let (Some((then, before)), Some((now, after))) = (self.0.front(), self.0.back()) else {
            return 0;
        };
        let millis = now.saturating_duration_since(*then).as_millis() as u64;
        let counter = |sample: &BTreeMap<Uuid, u64>| sample.get(uid).copied().unwrap_or(0);
        let delivered = counter(after).saturating_sub(counter(before));
        (delivered * 1_000 + millis / 2)
            .checked_div(millis)
            .unwrap_or(0)
    }

    /// The oldest sample is needed only while the one after it does not span the window.
    fn second_is_old_enough(&self, now: Instant) -> bool {
        self.0
            .get(1)
            .is_some_and(|(then, _)| now.saturating_duration_since(*then) >= WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::clock;

    fn rate_after(seconds: u64, delivered: impl Fn(u64) -> u64) -> u64 {
        let start = clock::now();
        let mut rates = Rates::default();
        let mut report = sample::report_of("default", "steady");
        for second in 0..=seconds {
            for target in report.targets.values_mut() {
                target.counters.events_delivered = delivered(second);
            }
            rates.sample(&report, start + Duration::from_secs(second));
        }
        let uid = *report.targets.keys().next().unwrap();
        rates.per_second(&uid)
    }

    #[test]
    fn one_sample_says_nothing() {
        assert_eq!(rate_after(0, |_| 100), 0);
        assert_eq!(Rates::default().per_second(&Uuid::nil()), 0);
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        assert_eq!(rate_after(1, |second| 20 * second), 20);
        assert_eq!(rate_after(30, |second| 20 * second), 20);
    }

    #[test]
    fn a_rate_forgets_what_is_older_than_the_window() {
        let outage = |second: u64| 20 * second.min(10);
        assert_eq!(rate_after(12, outage), 12);
        assert_eq!(rate_after(15, outage), 0);
    }

    #[test]
    fn samples_are_bounded() {
        let now = clock::now();
        let mut rates = Rates::default();
        for _ in 0..1000 {
            rates.sample(&sample::report(), now);
        }
        assert_eq!(rates.0.len(), MAX_SAMPLES);
    }
}
