//! The driver of one shard: the only file here that waits.
//!
//! Owns the attempts in flight and the shard's two mailboxes. Each turn handles one message, or all
//! attempts that have ended, and then starts what may start; so neither a flood of records nor a
//! flood of answers can starve the other, and a partition is let go within one turn.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::{Abortable, Aborted};
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::LaneKey;
use super::request::Sent;
use super::shard::{Launch, Shard};
use crate::background::{Cause, waiting};
use crate::clock;
use crate::delivery::{Attempt, Deliver};
use crate::report::TargetReport;
use crate::source::{Revoked, ShardMessage};
use crate::state::shared::WorkerTarget;

/// What the worker asks of a shard. Few and rare: one a configuration change, one a scrape.
#[derive(Debug)]
pub enum Request {
    /// Take over a complete set of targets; answered when the lanes are those of the set.
    Apply {
        /// The targets.
        targets: Arc<[WorkerTarget]>,
        /// Told when done.
        applied: oneshot::Sender<()>,
    },
    /// Tell what is known.
    Report(oneshot::Sender<Vec<TargetReport>>),
}

/// Requests that may wait for a shard.
pub const REQUESTS: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Driver<D: Deliver> {
    deliver: Rc<D>,
    shard: Shard<D::Prepared>,
    /// Partitions that are let go as soon as their attempts ended, at the latest when their grace is over.
    closing: Vec<Revoked>,
}

struct Ended {
    key: LaneKey,
    sent: Sent,
    began: Instant,
    attempt: Result<Attempt, Aborted>,
}

impl<D: Deliver> Driver<D> {
    /// A shard that delivers with `deliver`.
    pub fn new(deliver: D) -> Self {
        Self {
            deliver: Rc::new(deliver),
            shard: Shard::default(),
            closing: Vec::new(),
        }
    }

    /// Runs until the consumer thread closes the inbox.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<ShardMessage>,
        mut requests: mpsc::Receiver<Request>,
    ) {
        let mut in_flight = FuturesUnordered::new();
        loop {
            let now = clock::now();
            while let Some(launch) = self.shard.launch(now) {
                in_flight.push(attempt(Rc::clone(&self.deliver), launch));
            }
            self.let_go(now);
            let wake = self.wake(now);
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.message(message),
                    None => return,
                },
                Some(request) = requests.recv() => self.request(request),
                Some(ended) = in_flight.next(), if !in_flight.is_empty() => self.ended(ended),
                () = sleep_until(wake) => {}
            }
            // Everything that has ended meanwhile, so that lanes start together and none waits a turn.
            while let Some(Some(ended)) = futures::FutureExt::now_or_never(in_flight.next()) {
                self.ended(ended);
            }
        }
    }

    fn message(&mut self, message: ShardMessage) {
        let now = clock::now();
        match message {
            ShardMessage::Assigned(assigned) => self.shard.assigned(assigned),
            ShardMessage::Records(records) => self.shard.records(records, now),
            // Nothing waits for a commit yet.
            ShardMessage::Committed { .. } => {}
            ShardMessage::Position { slot, position } => self.shard.passed(slot, position),
            ShardMessage::Revoked(revoked) => {
                self.shard.close(&revoked.slots);
                self.closing.push(revoked);
            }
            ShardMessage::Lost { slots } => self.shard.drop_partitions(&slots, now),
        }
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Apply { targets, applied } => {
                let deliver = Rc::clone(&self.deliver);
                self.shard.apply(
                    &targets,
                    |target| deliver.prepare(&target.compiled),
                    clock::now(),
                );
                // Whoever asked may have gone; the targets are applied all the same.
                let _ = applied.send(());
            }
            Request::Report(answer) => {
                let _ = answer.send(self.shard.report());
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.shard.over(ended.began);
        if let Ok(attempt) = ended.attempt {
            ended.sent.span.clone().end(&attempt);
            self.shard
                .ended(ended.key, &ended.sent, attempt, clock::now());
        }
    }

    /// Lets partitions go whose attempts have ended or whose grace is over.
    fn let_go(&mut self, now: Instant) {
        let shard = &mut self.shard;
        self.closing.retain(|closing| {
            let over = closing.grace <= now || shard.is_quiet(&closing.slots);
            if over {
                shard.drop_partitions(&closing.slots, now);
                // The consumer thread waits with a deadline of its own.
                let _ = closing.done.try_send(());
            }
            !over
        });
    }

    fn wake(&mut self, now: Instant) -> Option<Instant> {
        self.closing
            .iter()
            .map(|closing| closing.grace)
            .chain(self.shard.next_due(now))
            .min()
    }
}

async fn attempt<D: Deliver>(deliver: Rc<D>, launch: Launch<D::Prepared>) -> Ended {
    let Launch {
        key,
        prepared,
        request,
        sent,
        began,
        registration,
    } = launch;
    let span = sent.span.span().clone();
    let attempt = deliver.attempt(&prepared, request).instrument(span);
    let attempt = waiting(Cause::Http, attempt);
    let attempt = Abortable::new(attempt, registration).await;
    Ended {
        key,
        sent,
        began,
        attempt,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
