//! The life of one run: from its start, through every poll, to its end.
//!
//! Owns the log context and the root span of the run, and closes it in the book whatever happens:
//! it returned, failed, panicked, was cancelled, or was dropped with its runtime.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{AbortHandle, AbortRegistration, Abortable};
use tokio::sync::watch;
use tracing::{Instrument, Span};

use super::Shared;
use super::book::{Ended, lock};
use super::meter::{Entered, Meter, Stopwatch, busy};
use super::progress::Activity;

/// What a run may return: nothing, or a result whose error is logged.
pub trait Ending {
    /// The error, for the log; it holds no secret.
    fn failure(self) -> Option<String>;
}

impl Ending for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Ending for Result<(), E> {
    fn failure(self) -> Option<String> {
        // The alternate form of `anyhow::Error` has the causes; for others it is the same.
        self.err().map(|error| format!("{error:#}"))
    }
}

/// A run as the one who started it sees it. Dropping it lets the run go on.
#[derive(Debug)]
pub struct Task {
    cancel: AbortHandle,
    ended: watch::Receiver<Option<Ended>>,
}

impl Task {
    /// Waits for the end of the run. May be dropped and called again.
    pub async fn ended(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(Ended::Cancelled),
            Err(_) => Ended::Cancelled,
        }
    }

    /// Ends the run at its next poll. Does nothing to an OS thread without a runtime.
    pub fn cancel(&self) {
        self.cancel.abort();
    }
}

/// A run in flight. Dropping it closes the run.
pub(super) struct Running {
    shared: Arc<Shared>,
    meter: Arc<Meter>,
    span: Span,
    registration: Option<AbortRegistration>,
    ended: watch::Sender<Option<Ended>>,
    result: Ended,
}

impl Running {
    pub(super) fn begin(shared: &Arc<Shared>, name: &'static str) -> (Self, Task) {
        let (cancel, registration) = AbortHandle::new_pair();
        let (ended, receiver) = watch::channel(None);
        let run = {
            let now = shared.now();
            let mut book = lock(&shared.book);
            if book.is_closed() {
                cancel.abort();
            }
            let run = book.begin(name, cancel.clone(), now);
            shared.in_flight.send_replace(book.in_flight());
            run
        };
        // At the level of errors, so that even the quietest log says which run an error is from.
        let span = tracing::error_span!(parent: None, "background", task = run.label());
        span.follows_from(Span::current());
        let running = Self {
            shared: Arc::clone(shared),
            meter: Meter::new(Arc::clone(shared), run),
            span,
            registration: Some(registration),
            ended,
            result: Ended::Cancelled,
        };
        let task = Task {
            cancel,
            ended: receiver,
        };
        (running, task)
    }

    /// Polls the future to its end. The future is dropped before the run is closed.
    pub(super) async fn drive<F>(mut self, future: F)
    where
        F: Future<Output: Ending>,
    {
        let Some(registration) = self.registration.take() else {
            return;
        };
        let guarded = AssertUnwindSafe(future).catch_unwind();
        let mut future =
            Box::pin(Abortable::new(guarded, registration).instrument(self.span.clone()));
        let result = poll_fn(|context| busy(&self.meter, || future.as_mut().poll(context))).await;
        drop(future);
        self.result = match result {
            Ok(returned) => self.judge(returned),
            Err(_aborted) => Ended::Cancelled,
        };
    }

    /// Calls the body of a thread.
    pub(super) fn call<E: Ending>(mut self, body: impl FnOnce() -> E) {
        let meter = Arc::clone(&self.meter);
        let span = self.span.clone();
        let _entered = Entered::new(&meter);
        let busy = Stopwatch::start(&meter, Activity::Busy);
        let returned = span.in_scope(|| catch_unwind(AssertUnwindSafe(body)));
        drop(busy);
        self.result = self.judge(returned);
    }

    fn judge<E: Ending>(&self, returned: Result<E, Box<dyn Any + Send>>) -> Ended {
        let _entered = self.span.enter();
        match returned.map(Ending::failure) {
            Ok(None) => Ended::Completed,
            Ok(Some(error)) => {
                tracing::error!(error, "background task failed");
                Ended::Failed
            }
            Err(payload) => {
                tracing::error!(panic = message(&*payload), "background task panicked");
                Ended::Panicked
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.shared.now();
        {
            let mut book = lock(&self.shared.book);
            book.end(&self.meter.run, self.result, now);
            self.shared.in_flight.send_replace(book.in_flight());
        }
        self.ended.send_replace(Some(self.result));
    }
}

/// The message of a panic; other payloads have none.
fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
