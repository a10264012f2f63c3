//! The driver of one shard: the only file here that waits.
//!
//! Owns the attempts in flight and the shard's two mailboxes. Each turn handles one message, or all
//! attempts that have ended, and then starts what may start; so neither a flood of records nor a
//! flood of answers can starve the other, and a partition is let go within one turn.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::{Abortable, Aborted};
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;
use uuid::Uuid;

use super::LaneKey;
use super::outlet::Outlet;
use super::request::Sent;
use super::shard::{Launch, Shard};
use super::surroundings::Surroundings;
use crate::background::{Cause, waiting};
use crate::clock;
use crate::delivery::{Attempt, Deliver};
use crate::park::{Produced, Read};
use crate::report::TargetReport;
use crate::source::{OnWay, Revoked, ShardMessage};
use crate::state::Told;
use crate::state::shared::Configuration;

/// What the worker asks of a shard. Few and rare: one a configuration change, one a scrape.
#[derive(Debug)]
pub enum Request {
    /// Take a configuration over; answered when the lanes are those of it.
    Apply {
        /// The configuration.
        configuration: Configuration,
        /// Told when done.
        applied: oneshot::Sender<()>,
    },
    /// A lane of this target was delivered for the first time after failing, on another shard.
    Hint(Uuid),
    /// Source topics keep their events for so long, as far as the cluster tells.
    SourcesKeep(Arc<BTreeMap<String, Duration>>),
    /// A person asks: what waits for its next attempt is due now.
    Retry(Uuid),
    /// Tell which topics must be read for lanes that nobody's configuration may want any more.
    TopicsInUse(oneshot::Sender<BTreeSet<Arc<str>>>),
    /// Tell what is known.
    Report(oneshot::Sender<Vec<TargetReport>>),
}

/// Everything that a shard hears.
#[derive(Debug)]
pub struct Mail {
    /// From the consumer thread.
    pub inbox: mpsc::Receiver<ShardMessage>,
    /// From the rest of the worker.
    pub requests: mpsc::Receiver<Request>,
    /// What became of what was to be written.
    pub produced: mpsc::Receiver<Produced>,
    /// From the tail of the lanes topic.
    pub told: mpsc::Receiver<Told>,
    /// From the reader of the retry topic.
    pub read: mpsc::Receiver<Read>,
}

/// How long an order waits for room with whom it is for, before it is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(5);

/// Requests that may wait for a shard.
pub const REQUESTS: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Driver<D: Deliver, O: Outlet> {
    deliver: Rc<D>,
    shard: Shard<D::Prepared>,
    outlet: O,
    /// Partitions that are let go as soon as their attempts ended, at the latest when their grace is over.
    closing: Vec<Revoked>,
}

struct Ended {
    key: LaneKey,
    sent: Sent,
    on_way: Option<OnWay>,
    began: Instant,
    attempt: Result<Attempt, Aborted>,
}

impl<D: Deliver, O: Outlet> Driver<D, O> {
    /// A shard that delivers with `deliver` and asks for everything else through `outlet`.
    pub fn new(deliver: D, outlet: O, surroundings: Surroundings) -> Self {
        Self {
            deliver: Rc::new(deliver),
            shard: Shard::new(surroundings),
            outlet,
            closing: Vec::new(),
        }
    }

    /// Runs until the consumer thread closes the inbox.
    pub async fn run(mut self, mut mail: Mail) {
        let mut in_flight = FuturesUnordered::new();
        loop {
            let now = clock::now();
            while let Some(launch) = self.shard.launch(now) {
                in_flight.push(attempt(Rc::clone(&self.deliver), launch));
            }
            self.let_go(now);
            let all_sent = self.send_orders();
            let wake = self.wake(now, all_sent);
            tokio::select! {
                biased;
                message = mail.inbox.recv() => match message {
                    Some(message) => self.message(message),
                    None => return,
                },
                Some(produced) = mail.produced.recv() => self.shard.produced(produced, clock::now()),
                Some(request) = mail.requests.recv() => self.request(request),
                Some(told) = mail.told.recv() => self.shard.told(told, clock::now()),
                Some(read) = mail.read.recv() => self.shard.read(read, clock::now()),
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
            ShardMessage::Assigned(assigned) => self.shard.assigned(assigned, now),
            ShardMessage::Committed {
                slot,
                epoch,
                cfg,
                offset,
            } => self.shard.committed(slot, (epoch, cfg), offset, now),
            ShardMessage::Records(records) => self.shard.records(records, now),
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
            Request::Apply {
                configuration,
                applied,
            } => {
                let deliver = Rc::clone(&self.deliver);
                self.shard.apply(
                    &configuration,
                    |target| deliver.prepare(&target.compiled),
                    clock::now(),
                );
                // Whoever asked may have gone; the targets are applied all the same.
                let _ = applied.send(());
            }
            Request::Hint(uid) => self.shard.hinted(uid, clock::now()),
            Request::SourcesKeep(retention) => self.shard.sources_keep(retention),
            Request::Retry(uid) => self.shard.retry(uid, clock::now()),
            Request::TopicsInUse(answer) => {
                let _ = answer.send(self.shard.topics_in_use());
            }
            Request::Report(answer) => {
                let _ = answer.send(self.shard.report());
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.shard.over(ended.began, &ended.sent);
        if let Ok(attempt) = ended.attempt {
            ended.sent.span.clone().end(&attempt);
            self.shard
                .ended(ended.key, &ended.sent, attempt, clock::now());
        }
        // Only now: what was delivered is released, and never counts as waiting.
        drop(ended.on_way);
    }

    /// Lets partitions go whose attempts have ended or whose grace is over.
    fn let_go(&mut self, now: Instant) {
        let shard = &mut self.shard;
        self.closing.retain(|closing| {
            shard.write_last_rows(&closing.slots, now);
            let over = closing.grace <= now || shard.is_quiet(&closing.slots);
            if over {
                shard.drop_partitions(&closing.slots, now);
                // The consumer thread waits with a deadline of its own.
                let _ = closing.done.try_send(());
            }
            !over
        });
    }

    /// Hands the shard's orders over. Returns whether none is left.
    fn send_orders(&mut self) -> bool {
        while let Some(out) = self.shard.take_order() {
            if let Err(out) = self.outlet.send(out) {
                self.shard.put_back(*out);
                return false;
            }
        }
        true
    }

    fn wake(&mut self, now: Instant, all_sent: bool) -> Option<Instant> {
        self.closing
            .iter()
            .map(|closing| closing.grace)
            .chain(self.shard.next_due(now))
            .chain((!all_sent).then(|| now + OFFER_AGAIN))
            .min()
    }
}

async fn attempt<D: Deliver>(deliver: Rc<D>, launch: Launch<D::Prepared>) -> Ended {
    let Launch {
        key,
        prepared,
        request,
        sent,
        on_way,
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
        on_way,
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
