//! The shape of requests (I9): at most 100 events, one attempt in flight a lane, no attempt before
//! its backoff is over.
//!
//! Whether two attempts were in flight at once is only known later: a worker that gave one up has
//! hung up, but the receiver may see that after the next one has come. If the earlier one is still
//! answered, with the worker there to hear it, both were in flight.

use std::collections::HashMap;

use super::seen::{Arrived, Lane, RequestNumber, WorkerNumber};

/// The wait after the first failed attempt.
pub(crate) const INITIAL_BACKOFF_MS: u64 = 100;
/// The longest wait.
pub(crate) const MAX_BACKOFF_MS: u64 = 1_000;
/// Waits are spread by a fifth either way.
const SHORTEST_PERCENT: u64 = 80;
/// Times are whole milliseconds.
const ROUNDING_MS: u64 = 2;

/// How long after a manifest was written its change may make waiting lanes due at once.
const CHANGE_IS_LIVE_MS: u64 = 5_000;

/// How long the news of a delivery may take to lanes of other shards and workers, which are then due at
/// once: to workers it goes through a row. The receiver's answers are seen in another order than the
/// worker hears of them.
const HINT_COMES_MS: u64 = 3_000;

/// The same when brokers or workers were disturbed lately, so that the row was written late.
const LATE_HINT_COMES_MS: u64 = 30_000;

/// An exchange under way.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) arrived: Arrived,
    /// The next attempt of the same lane and worker, when that has come before this one's end.
    overlapped_by: Option<RequestNumber>,
}

/// The last attempt of a lane, when it failed in a way that the receiver chose.
#[derive(Debug)]
struct Failure {
    worker: WorkerNumber,
    transaction: String,
    attempt: u32,
    at_ms: u64,
    retry_after_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    open: HashMap<RequestNumber, Open>,
    failures: HashMap<Lane, Failure>,
    /// When a target last took something: other lanes of it may then be due at once.
    succeeded_ms: HashMap<u8, u64>,
    configured_ms: HashMap<u8, u64>,
    /// Attempts whose backoff could be measured.
    pub(crate) backoffs: u64,
}

impl Exchanges {
    /// A request arrived, while rows were written in time or not. Says what is wrong about its time.
    pub(crate) fn begin(
        &mut self,
        at_ms: u64,
        arrived: &Arrived,
        rows_are_late: bool,
    ) -> Option<String> {
        let same = |open: &Open| {
            open.arrived.lane == arrived.lane && open.arrived.worker == arrived.worker
        };
        for open in self.open.values_mut().filter(|open| same(open)) {
            open.overlapped_by = Some(arrived.request);
        }
        let open = Open {
            arrived: arrived.clone(),
            overlapped_by: None,
        };
        self.open.insert(arrived.request, open);
        self.too_early(at_ms, arrived, rows_are_late)
    }

    fn too_early(&mut self, at_ms: u64, arrived: &Arrived, rows_are_late: bool) -> Option<String> {
        let failure = self.failures.remove(&arrived.lane)?;
        let follows = failure.worker == arrived.worker
            && failure.transaction == arrived.transaction
            && failure.attempt + 1 == arrived.attempt;
        let target = &arrived.lane.target;
        let hint_comes_ms = match rows_are_late {
            true => LATE_HINT_COMES_MS,
            false => HINT_COMES_MS,
        };
        let hurried = [
            (&self.succeeded_ms, hint_comes_ms),
            (&self.configured_ms, CHANGE_IS_LIVE_MS),
        ]
        .into_iter()
        .any(|(at, lasts)| at.get(target).is_some_and(|at| at + lasts >= failure.at_ms));
        if !follows || hurried {
            return None;
        }
        self.backoffs += 1;
        let doubled = INITIAL_BACKOFF_MS << (failure.attempt - 1).min(30);
        let spread = doubled.min(MAX_BACKOFF_MS) * SHORTEST_PERCENT / 100;
        let shortest = spread.max(failure.retry_after_ms);
        let waited = at_ms - failure.at_ms;
        (waited + ROUNDING_MS < shortest).then(|| {
            format!(
                "attempt {} of {} came {waited} ms after the one before failed, not {shortest}",
                arrived.attempt, arrived.transaction
            )
        })
    }

    /// The request is answered with the worker still there. Returns it, and what is wrong.
    pub(crate) fn answered(&mut self, request: RequestNumber) -> Option<(Open, Option<String>)> {
        let open = self.open.remove(&request)?;
        let wrong = open.overlapped_by.map(|other| {
            let Lane { target, place } = open.arrived.lane;
            format!(
                "worker {} had requests {request} and {other} of target {target} at {place} in \
                 flight at once",
                open.arrived.worker
            )
        });
        Some((open, wrong))
    }

    /// The exchange ended without an answer.
    pub(crate) fn cut(&mut self, request: RequestNumber) -> Option<Open> {
        self.open.remove(&request)
    }

    /// The attempt failed at `at_ms`, by the receiver's will.
    pub(crate) fn failed(&mut self, at_ms: u64, open: &Open, retry_after_ms: u64) {
        let failure = Failure {
            worker: open.arrived.worker,
            transaction: open.arrived.transaction.clone(),
            attempt: open.arrived.attempt,
            at_ms,
            retry_after_ms,
        };
        self.failures.insert(open.arrived.lane, failure);
    }

    /// The target took something.
    pub(crate) fn succeeded(&mut self, at_ms: u64, lane: Lane) {
        self.failures.remove(&lane);
        self.succeeded_ms.insert(lane.target, at_ms);
    }

    /// The target's manifest was changed.
    pub(crate) fn configured(&mut self, at_ms: u64, target: u8) {
        self.configured_ms.insert(target, at_ms);
    }
}
