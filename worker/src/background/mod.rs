//! The one place where long-running tasks and threads start.
//!
//! Every run has a literal name. Owns what is counted about runs (starts, ends, runs in flight, busy
//! time, waiting time by cause) and the means to stop them. Invariants: a failure or panic of a run
//! is logged with its name and counted, and never reaches the one who started it; a run is in flight
//! until its last byte is dropped; nothing grows while nobody scrapes. It does not restart what
//! ended: whoever needs a task awaits [`Task::ended`] and decides.
//!
//! `book` keeps the figures and `progress` the stopwatches, both pure; `meter` connects running code to
//! them; `run` is the life of one run.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::AbortHandle;
use tokio::sync::watch;

mod book;
mod meter;
mod progress;
mod run;
#[cfg(test)]
mod tests;

use book::{Book, lock};
pub use book::{Ended, Totals};
pub use meter::{blocked, waiting};
pub use progress::{Cause, Usage};
use run::Running;
pub use run::{Ending, Task};

/// How long [`Background::shutdown`] waits past its deadline for cancelled tasks to be dropped. A
/// task is dropped at its next poll, which takes longer only when a poll blocks.
const CANCEL_GRACE: Duration = Duration::from_millis(250);

/// Starts and stops background work. Clones share everything.
#[derive(Clone, Debug)]
pub struct Background {
    shared: Arc<Shared>,
}

struct Shared {
    book: Mutex<Book<AbortHandle>>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    stopping: watch::Sender<bool>,
    in_flight: watch::Sender<usize>,
}

impl Shared {
    fn now(&self) -> Instant {
        (self.clock)()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("in_flight", &*self.in_flight.borrow())
            .field("stopping", &*self.stopping.borrow())
            .finish_non_exhaustive()
    }
}

/// A thread or its runtime could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot start background thread `{name}`: {source}; raise the process's thread limit")]
pub struct StartError {
    name: &'static str,
    source: std::io::Error,
}

/// What was left when the deadline of [`Background::shutdown`] passed. Labels are `name-id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Leftover {
    /// Runs that did not end in time and were cancelled.
    pub cancelled: Vec<String>,
    /// Those among them that still ran a moment later: threads, which nothing can cancel.
    pub still_running: Vec<String>,
}

impl Default for Background {
    fn default() -> Self {
        Self::new()
    }
}

impl Background {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::with_clock(crate::clock::now)
    }

    fn with_clock(clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                book: Mutex::default(),
                clock: Box::new(clock),
                stopping: watch::Sender::new(false),
                in_flight: watch::Sender::new(0),
            }),
        }
    }

    /// Starts a task on the current tokio runtime. `name` becomes a metric label and part of the
    /// log context.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the function that the ban points to"
    )]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Task
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let (running, task) = Running::begin(&self.shared, name);
        drop(tokio::spawn(running.drive(future)));
        task
    }

    /// Starts a task on this thread; only inside of [`Background::runtime`]. It may hold what cannot
    /// leave the thread.
    ///
    /// # Panics
    /// Outside of [`Background::runtime`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the function that the ban points to"
    )]
    pub fn spawn_local<F>(&self, name: &'static str, future: F) -> Task
    where
        F: Future<Output: Ending> + 'static,
    {
        let (running, task) = Running::begin(&self.shared, name);
        drop(tokio::task::spawn_local(running.drive(future)));
        task
    }

    /// Starts an OS thread. All of its time counts as busy, but for what it spends in [`blocked`].
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn thread<F, E>(&self, name: &'static str, body: F) -> Result<Task, StartError>
    where
        F: FnOnce() -> E + Send + 'static,
        E: Ending,
    {
        let (running, task) = Running::begin(&self.shared, name);
        start_thread(name, move || running.call(body))?;
        Ok(task)
    }

    /// Starts an OS thread with a single-threaded tokio runtime of its own, and runs there the
    /// future that `make` returns. Only its polls count as busy.
    ///
    /// # Errors
    /// When the system refuses another thread or what a runtime needs.
    pub fn runtime<M, F>(&self, name: &'static str, make: M) -> Result<Task, StartError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output: Ending>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| StartError { name, source })?;
        let (running, task) = Running::begin(&self.shared, name);
        start_thread(name, move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, running.drive(async move { make().await }));
        })?;
        Ok(task)
    }

    /// Asks all work to end in its own time: [`Background::stopping`] resolves.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    /// Whether [`Background::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        *self.shared.stopping.borrow()
    }

    /// Resolves when [`Background::stop`] was called, at once when it was before.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.shared.stopping.subscribe();
        async move {
            // An error says that the last handle is gone: then nobody can ask any more, and the
            // work has nothing to wait for either.
            let _gone = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Stops, waits for every run until `deadline`, then cancels the rest and whatever starts later.
    /// A run must not call this: it would wait for itself.
    pub async fn shutdown(&self, deadline: Instant) -> Leftover {
        self.stop();
        let grace = deadline.saturating_duration_since(self.shared.now());
        if self.ended_within(grace).await {
            return Leftover::default();
        }
        let cancelled = self.cancel_all();
        tracing::warn!(tasks = ?cancelled, "background work cancelled at the deadline");
        let still_running = if self.ended_within(CANCEL_GRACE).await {
            Vec::new()
        } else {
            self.in_flight()
        };
        Leftover {
            cancelled,
            still_running,
        }
    }

    /// What every task has used up to now, by name. Reading changes nothing that another reader sees.
    pub fn totals(&self) -> BTreeMap<&'static str, Totals> {
        let now = self.shared.now();
        let mut book = lock(&self.shared.book);
        book.scrape(now);
        book.totals().clone()
    }

    async fn ended_within(&self, grace: Duration) -> bool {
        let mut in_flight = self.shared.in_flight.subscribe();
        let none = in_flight.wait_for(|count| *count == 0);
        tokio::time::timeout(grace, none).await.is_ok()
    }

    fn cancel_all(&self) -> Vec<String> {
        let mut book = lock(&self.shared.book);
        book.close();
        let mut labels = Vec::with_capacity(book.in_flight());
        for (label, cancel) in book.flights() {
            cancel.abort();
            labels.push(label.to_owned());
        }
        labels.sort_unstable();
        labels
    }

    fn in_flight(&self) -> Vec<String> {
        let book = lock(&self.shared.book);
        let mut labels: Vec<_> = book.flights().map(|(label, _)| label.to_owned()).collect();
        labels.sort_unstable();
        labels
    }
}

/// Starts an OS thread beside the run that calls this, for a call that may hang: what hangs is counted,
/// and told at the shutdown. Outside of any run it is a thread that nobody counts.
///
/// # Errors
/// When the system refuses another thread; `body` is dropped then.
pub fn beside<F, E>(name: &'static str, body: F) -> Result<(), StartError>
where
    F: FnOnce() -> E + Send + 'static,
    E: Ending,
{
    match meter::shared() {
        Some(shared) => Background { shared }.thread(name, body).map(drop),
        None => start_thread(name, move || drop(body())),
    }
}

fn start_thread(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<(), StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|source| StartError { name, source })
}
