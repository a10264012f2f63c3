//! How one run spends its time: busy in polls, or waiting for a named cause.
//!
//! Owns the stopwatches of one run. Pure: the time is passed in. What is taken is counted from the
//! last taking on, so a delta is never negative and nothing is reported twice. It does not know
//! tasks, threads or metrics.

use std::time::{Duration, Instant};

/// What a run waits for: a closed set, also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The answer of a webhook.
    Http,
    /// The acknowledgement of a record that was written to Kafka.
    Produce,
    /// The answer to an offset commit.
    Commit,
    /// A permit of a bound on concurrency or memory.
    Permit,
    /// The next records from Kafka.
    Fetch,
    /// A moment in time, such as the end of a backoff.
    Timer,
}

impl Cause {
    /// Every cause, in the order of [`Usage::waiting`].
    pub const ALL: [Self; 6] = [
        Self::Http,
        Self::Produce,
        Self::Commit,
        Self::Permit,
        Self::Fetch,
        Self::Timer,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Produce => "produce",
            Self::Commit => "commit",
            Self::Permit => "permit",
            Self::Fetch => "fetch",
            Self::Timer => "timer",
        }
    }
}

/// Time spent. Waits that overlap within one run add up: two requests of one second are two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time inside polls, or on a thread outside of waits.
    pub busy: Duration,
    /// Time waited by cause, in the order of [`Cause::ALL`].
    pub waiting: [Duration; Cause::ALL.len()],
}

impl Usage {
    /// Adds what another span of time used.
    pub fn add(&mut self, other: &Self) {
        self.busy += other.busy;
        for (mine, theirs) in self.waiting.iter_mut().zip(other.waiting) {
            *mine += theirs;
        }
    }
}

/// What a stopwatch measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Busy,
    Waiting(Cause),
}

/// The stopwatches of one run. `now` may lag behind an earlier one by a race between threads; time
/// then stands still instead of going back.
#[derive(Debug)]
pub(super) struct Progress {
    at: Instant,
    busy: u32,
    waiting: [u32; Cause::ALL.len()],
    untaken: Usage,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now,
            busy: 0,
            waiting: [0; Cause::ALL.len()],
            untaken: Usage::default(),
        }
    }

    pub(super) fn start(&mut self, activity: Activity, now: Instant) {
        self.advance(now);
        let running = self.running(activity);
        *running = running.saturating_add(1);
    }

    pub(super) fn stop(&mut self, activity: Activity, now: Instant) {
        self.advance(now);
        let running = self.running(activity);
        *running = running.saturating_sub(1);
    }

    /// Whether some stopwatch runs: then time passes without anybody calling `start` or `stop`.
    pub(super) fn is_running(&self) -> bool {
        self.busy > 0 || self.waiting.iter().any(|running| *running > 0)
    }

    /// What was used since the last call, stopwatches that still run included up to `now`.
    pub(super) fn take(&mut self, now: Instant) -> Usage {
        self.advance(now);
        std::mem::take(&mut self.untaken)
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        self.untaken.busy += passed * self.busy;
        for (spent, running) in self.untaken.waiting.iter_mut().zip(self.waiting) {
            *spent += passed * running;
        }
    }

    fn running(&mut self, activity: Activity) -> &mut u32 {
        match activity {
            Activity::Busy => &mut self.busy,
            Activity::Waiting(cause) => &mut self.waiting[cause as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HTTP: Activity = Activity::Waiting(Cause::Http);

    #[test]
    fn every_cause_stands_at_its_own_place() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "{}", cause.as_str());
        }
    }

    #[test]
    fn busy_and_waiting_are_kept_apart() {
        let start = crate::clock::now();
        let mut progress = Progress::new(start);
        progress.start(Activity::Busy, start);
        progress.stop(Activity::Busy, start + SECOND);
        progress.start(HTTP, start + SECOND);
        progress.stop(HTTP, start + 4 * SECOND);
        let used = progress.take(start + 9 * SECOND);
        assert_eq!(used.busy, SECOND);
        assert_eq!(used.waiting[Cause::Http as usize], 3 * SECOND);
        assert_eq!(used.waiting.iter().sum::<Duration>(), 3 * SECOND);
    }

    #[test]
    fn overlapping_waits_add_up() {
        let start = crate::clock::now();
        let mut progress = Progress::new(start);
        progress.start(HTTP, start);
        progress.start(HTTP, start + SECOND);
        progress.stop(HTTP, start + 2 * SECOND);
        let used = progress.take(start + 3 * SECOND);
        assert_eq!(used.waiting[Cause::Http as usize], 4 * SECOND);
    }

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let start = crate::clock::now();
        let mut progress = Progress::new(start);
        progress.start(HTTP, start);
        let first = progress.take(start + 5 * SECOND);
        let second = progress.take(start + 7 * SECOND);
        assert_eq!(first.waiting[Cause::Http as usize], 5 * SECOND);
        assert_eq!(second.waiting[Cause::Http as usize], 2 * SECOND);
    }

    #[test]
    fn a_time_that_lags_behind_takes_nothing_back() {
        let start = crate::clock::now();
        let mut progress = Progress::new(start);
        progress.start(Activity::Busy, start);
        assert_eq!(progress.take(start + 5 * SECOND).busy, 5 * SECOND);
        progress.stop(Activity::Busy, start + 4 * SECOND);
        assert_eq!(progress.take(start + 6 * SECOND).busy, Duration::ZERO);
    }
}
