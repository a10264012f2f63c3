//! What is known about every run: which are in flight, and what each task has used so far.
//!
//! Owns the totals by task name and the list of runs that were active since the last scrape. A
//! scrape visits only those, adds their progress to the totals, and keeps on the list only runs
//! whose time still passes. A run leaves both lists when it ends, so nothing grows while nobody
//! scrapes. Pure: the time is passed in; it starts, polls and cancels nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::progress::{Activity, Progress, Usage};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned.
    Completed,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
    /// It was cancelled, or its runtime went away.
    Cancelled,
}

impl Ended {
    /// Every way to end, in the order of [`Totals::ended`].
    pub const ALL: [Self; 4] = [
        Self::Completed,
        Self::Failed,
        Self::Panicked,
        Self::Cancelled,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What all runs of one name came to. Everything but `in_flight` only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs that were started.
    pub started: u64,
    /// Runs that have not ended.
    pub in_flight: u64,
    /// Runs that ended, in the order of [`Ended::ALL`].
    pub ended: [u64; Ended::ALL.len()],
    /// Time used, runs in flight included.
    pub usage: Usage,
}

/// One run of a task.
#[derive(Debug)]
pub(super) struct Run {
    id: u64,
    name: &'static str,
    state: Mutex<RunState>,
}

#[derive(Debug)]
struct RunState {
    progress: Progress,
    /// Whether the book lists it as active since the last scrape.
    listed: bool,
    ended: bool,
}

impl Run {
    /// The log context: name and number of the run.
    pub(super) fn label(&self) -> String {
        format!("{}-{}", self.name, self.id)
    }

    /// Starts a stopwatch. True when the book must [`Book::list`] this run.
    #[must_use]
    pub(super) fn start(&self, activity: Activity, now: Instant) -> bool {
        let mut state = lock(&self.state);
        state.progress.start(activity, now);
        !state.ended && !std::mem::replace(&mut state.listed, true)
    }

    /// Stops a stopwatch.
    pub(super) fn stop(&self, activity: Activity, now: Instant) {
        lock(&self.state).progress.stop(activity, now);
    }
}

/// A run in flight, and what cancels it.
#[derive(Debug)]
struct Flight<C> {
    label: String,
    cancel: C,
}

/// The book. `C` is what cancels a run; the book only keeps it.
#[derive(Debug)]
pub(super) struct Book<C> {
    totals: BTreeMap<&'static str, Totals>,
    in_flight: HashMap<u64, Flight<C>>,
    active: HashMap<u64, Arc<Run>>,
    started: u64,
    closed: bool,
}

impl<C> Default for Book<C> {
    fn default() -> Self {
        Self {
            totals: BTreeMap::new(),
            in_flight: HashMap::new(),
            active: HashMap::new(),
            started: 0,
            closed: false,
        }
    }
}

impl<C> Book<C> {
    /// Opens a run. Ids rise from 1 over all names.
    pub(super) fn begin(&mut self, name: &'static str, cancel: C, now: Instant) -> Arc<Run> {
        self.started += 1;
        let run = Arc::new(Run {
            id: self.started,
            name,
            state: Mutex::new(RunState {
                progress: Progress::new(now),
                listed: false,
                ended: false,
            }),
        });
        let label = run.label();
        self.in_flight.insert(run.id, Flight { label, cancel });
        let totals = self.totals.entry(name).or_default();
        totals.started += 1;
        totals.in_flight += 1;
        run
    }

    /// Lists a run as active, unless it has ended.
    pub(super) fn list(&mut self, run: &Arc<Run>) {
        if self.in_flight.contains_key(&run.id) {
            self.active.insert(run.id, Arc::clone(run));
        }
    }

    /// Closes a run and adds the last of its progress.
    pub(super) fn end(&mut self, run: &Run, ended: Ended, now: Instant) {
        let used = {
            let mut state = lock(&run.state);
            state.ended = true;
            state.progress.take(now)
        };
        self.active.remove(&run.id);
        if self.in_flight.remove(&run.id).is_none() {
            return;
        }
        let totals = self.totals.entry(run.name).or_default();
        totals.in_flight = totals.in_flight.saturating_sub(1);
        totals.ended[ended as usize] += 1;
        totals.usage.add(&used);
    }

    /// Adds the progress of the runs that were active since the last scrape. Returns how many it
    /// visited.
    pub(super) fn scrape(&mut self, now: Instant) -> usize {
        let visited = self.active.len();
        let totals = &mut self.totals;
        self.active.retain(|_, run| {
            let mut state = lock(&run.state);
            let used = state.progress.take(now);
            totals.entry(run.name).or_default().usage.add(&used);
            state.listed = state.progress.is_running();
            state.listed
        });
        visited
    }

    pub(super) fn totals(&self) -> &BTreeMap<&'static str, Totals> {
        &self.totals
    }

    /// From now on a run is cancelled as it begins.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The runs in flight: label and what cancels it.
    pub(super) fn flights(&self) -> impl Iterator<Item = (&str, &C)> {
        self.in_flight
            .values()
            .map(|flight| (flight.label.as_str(), &flight.cancel))
    }
}

/// Locks; a holder that panicked left whole values behind, because no step under the lock can panic
/// half-way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::progress::Cause;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HTTP: Activity = Activity::Waiting(Cause::Http);

    fn start(book: &mut Book<()>, run: &Arc<Run>, activity: Activity, now: Instant) {
        if run.start(activity, now) {
            book.list(run);
        }
    }

    fn waited(book: &Book<()>, name: &str) -> Duration {
        book.totals()[name].usage.waiting[Cause::Http as usize]
    }

    #[test]
    fn starts_and_ends_are_counted_by_name() {
        let now = crate::clock::now();
        let mut book = Book::default();
        let first = book.begin("a", (), now);
        let _second = book.begin("a", (), now);
        let _other = book.begin("b", (), now);
        book.end(&first, Ended::Failed, now);
        let totals = book.totals()["a"];
        assert_eq!((totals.started, totals.in_flight), (2, 1));
        assert_eq!(totals.ended, [0, 1, 0, 0]);
        assert_eq!(book.totals()["b"].in_flight, 1);
    }

    #[test]
    fn a_run_in_flight_shows_its_progress_before_it_ends() {
        let now = crate::clock::now();
        let mut book = Book::default();
        let run = book.begin("a", (), now);
        start(&mut book, &run, HTTP, now);
        book.scrape(now + 10 * MINUTE);
        assert_eq!(waited(&book, "a"), 10 * MINUTE);
        book.scrape(now + 11 * MINUTE);
        assert_eq!(waited(&book, "a"), 11 * MINUTE);
    }

    #[test]
    fn the_last_delta_is_added_when_a_run_ends() {
        let now = crate::clock::now();
        let mut book = Book::default();
        let run = book.begin("a", (), now);
        start(&mut book, &run, HTTP, now);
        book.scrape(now + MINUTE);
        run.stop(HTTP, now + 3 * MINUTE);
        book.end(&run, Ended::Completed, now + 4 * MINUTE);
        assert_eq!(waited(&book, "a"), 3 * MINUTE);
        book.scrape(now + 5 * MINUTE);
        assert_eq!(waited(&book, "a"), 3 * MINUTE);
    }

    #[test]
    fn only_runs_active_since_the_last_scrape_are_visited() {
        let now = crate::clock::now();
        let mut book = Book::default();
        let runs: Vec<_> = (0..3).map(|_| book.begin("a", (), now)).collect();
        start(&mut book, &runs[0], Activity::Busy, now);
        runs[0].stop(Activity::Busy, now);
        start(&mut book, &runs[1], HTTP, now);
        assert_eq!(book.scrape(now), 2, "one was polled, one waits");
        assert_eq!(book.scrape(now), 1, "the one that still waits");
        runs[1].stop(HTTP, now);
        assert_eq!(book.scrape(now), 1, "its wait ended since");
        assert_eq!(book.scrape(now), 0);
        start(&mut book, &runs[0], Activity::Busy, now);
        assert_eq!(book.scrape(now), 1, "active again");
    }

    #[test]
    fn nothing_is_left_of_ended_runs_when_nobody_scrapes() {
        let now = crate::clock::now();
        let mut book = Book::default();
        for _ in 0..1000 {
            let run = book.begin("a", (), now);
            start(&mut book, &run, Activity::Busy, now);
            book.end(&run, Ended::Completed, now);
            start(&mut book, &run, HTTP, now);
        }
        assert_eq!((book.active.len(), book.in_flight()), (0, 0));
        assert_eq!(book.totals().len(), 1);
    }

    #[test]
    fn a_second_end_changes_nothing() {
        let now = crate::clock::now();
        let mut book = Book::default();
        let run = book.begin("a", (), now);
        book.end(&run, Ended::Completed, now);
        book.end(&run, Ended::Cancelled, now);
        assert_eq!(book.totals()["a"].ended, [1, 0, 0, 0]);
    }
}
