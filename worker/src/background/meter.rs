//! Attributes time to the run that spends it.
//!
//! Owns the link between the code that runs now and its run: set for the length of a poll, or of a
//! thread. Outside of any run, waits are not measured and nothing fails.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::Shared;
use super::book::{Run, lock};
use super::progress::{Activity, Cause};

thread_local! {
    /// The run whose code this thread executes at this moment.
    static CURRENT: RefCell<Option<Arc<Meter>>> = const { RefCell::new(None) };
}

/// The stopwatches of one run, with the clock that they read.
#[derive(Debug)]
pub(super) struct Meter {
    shared: Arc<Shared>,
    pub(super) run: Arc<Run>,
}

impl Meter {
    pub(super) fn new(shared: Arc<Shared>, run: Arc<Run>) -> Arc<Self> {
        Arc::new(Self { shared, run })
    }

    pub(super) fn start(&self, activity: Activity) {
        if self.run.start(activity, self.shared.now()) {
            lock(&self.shared.book).list(&self.run);
        }
    }

    pub(super) fn stop(&self, activity: Activity) {
        self.run.stop(activity, self.shared.now());
    }
}

/// Makes a run the current one of this thread until dropped.
pub(super) struct Entered {
    outer: Option<Arc<Meter>>,
}

impl Entered {
    pub(super) fn new(meter: &Arc<Meter>) -> Self {
        Self {
            outer: CURRENT.replace(Some(Arc::clone(meter))),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

/// A stopwatch that stops when dropped.
pub(super) struct Stopwatch {
    meter: Arc<Meter>,
    activity: Activity,
}

impl Stopwatch {
    pub(super) fn start(meter: &Arc<Meter>, activity: Activity) -> Self {
        meter.start(activity);
        Self {
            meter: Arc::clone(meter),
            activity,
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.meter.stop(self.activity);
    }
}

/// Polls under a run: busy for the length of the poll.
pub(super) fn busy<T>(meter: &Arc<Meter>, poll: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(meter);
    let _stopwatch = Stopwatch::start(meter, Activity::Busy);
    poll()
}

/// Awaits `future`, and counts the time in which it is pending as waiting for `cause`. The time
/// inside its polls stays busy time.
pub async fn waiting<F: Future>(cause: Cause, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut pending: Option<Stopwatch> = None;
    poll_fn(|context| {
        drop(pending.take());
        let poll: Poll<F::Output> = future.as_mut().poll(context);
        if poll.is_pending() {
            pending = current().map(|meter| Stopwatch::start(&meter, Activity::Waiting(cause)));
        }
        poll
    })
    .await
}

/// Runs a call that blocks the thread, and counts its time as waiting for `cause` instead of busy.
pub fn blocked<T>(cause: Cause, call: impl FnOnce() -> T) -> T {
    let Some(meter) = current() else {
        return call();
    };
    meter.stop(Activity::Busy);
    let waiting = Stopwatch::start(&meter, Activity::Waiting(cause));
    let _busy_again = BusyAgain(&meter);
    let result = call();
    drop(waiting);
    result
}

/// Restarts the busy stopwatch, also when the call panics.
struct BusyAgain<'a>(&'a Meter);

impl Drop for BusyAgain<'_> {
    fn drop(&mut self) {
        self.0.start(Activity::Busy);
    }
}

/// Where the run is counted whose code this thread executes.
pub(super) fn shared() -> Option<Arc<Shared>> {
    current().map(|meter| Arc::clone(&meter.shared))
}

fn current() -> Option<Arc<Meter>> {
    CURRENT.with_borrow(Clone::clone)
}
