//! The consumer thread: one loop that obeys, reads, hands over, commits and looks after itself.
//!
//! Owns the consumer and whatever one round of the loop leaves for the next. Nothing in it sleeps,
//! and nothing waits longer than the group can bear: while records may be read it waits in `poll`,
//! else for room in the budget, and then it still serves the group. What a rebalance changes is in
//! `Ownership`; what is decided is decided in the pure modules.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;

use super::budget::Budget;
use super::bytes::{Room, WorkerBytes};
use super::care::Care;
use super::commit::Verdict;
use super::rebalance::{GroupConsumer, SharedOwnership, apply, lock};
use super::rewind::Rewind;
use super::take::Batch;
use super::{Command, SourceConfig, SourceError, Subscription, client, ffi};
use crate::background::{Cause, blocked};
use crate::clock;
use crate::report::SourceReport;

/// How long `poll` may wait when nothing comes: commands and commits are looked at that often.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// The same while a partition is paused, so that it goes on soon after it has drained.
const PAUSED_POLL: Duration = Duration::from_millis(20);

/// How long the loop waits for room at most, and how often it serves the group meanwhile.
const STAND_BY: Duration = Duration::from_millis(50);

/// How long it waits for a shard whose channel is full.
const SHARD_BUSY: Duration = Duration::from_millis(5);

/// Events of the group that are served in one go while no records are wanted.
const EVENTS_AT_ONCE: usize = 8;

/// Least time between two reviews of the budget.
const REVIEW_INTERVAL: Duration = Duration::from_millis(10);

/// Least time between two looks at what could be committed.
const COMMIT_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The part of a shutdown that is kept for leaving the group and closing.
const CLOSE: Duration = Duration::from_secs(2);

/// The consumer thread before it runs. Made by [`super::prepare`].
pub struct SourceThread {
    pub(super) config: SourceConfig,
    pub(super) consumer: Option<GroupConsumer>,
    pub(super) ownership: SharedOwnership,
    pub(super) bytes: Arc<WorkerBytes>,
    pub(super) commands: Receiver<Command>,
    pub(super) failed: watch::Sender<Option<SourceError>>,
}

impl SourceThread {
    /// Reads until it is told to shut down, the handle is dropped, or it must not go on; then every
    /// partition has been let go. Blocks its thread.
    pub fn run(mut self) {
        self.bytes.attach();
        let Some(consumer) = self.consumer.take() else {
            return;
        };
        let mut reader = Reader {
            consumer,
            budget: Budget::new(self.config.budget_bytes),
            care: Care::default(),
            rewind: Rewind::default(),
            subscribed: BTreeSet::new(),
            next_review: clock::now(),
            next_commit_look: clock::now(),
            next_service: clock::now(),
            thread: self,
        };
        let (end, failure) = match reader.work() {
            Ok(end) => (end, None),
            Err(error) => {
                tracing::error!(%error, "reading ends");
                (reader.end_by_itself(), Some(error))
            }
        };
        let failed = reader.thread.failed.clone();
        reader.shut_down(end.deadline);
        if failure.is_some() {
            failed.send_replace(failure);
        }
        if let Some(done) = end.done {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

impl fmt::Debug for SourceThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceThread")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The end that was asked for.
struct End {
    deadline: Instant,
    done: Option<tokio::sync::oneshot::Sender<()>>,
}

/// The loop's state.
struct Reader {
    thread: SourceThread,
    consumer: GroupConsumer,
    budget: Budget,
    care: Care,
    rewind: Rewind,
    subscribed: BTreeSet<String>,
    next_review: Instant,
    next_commit_look: Instant,
    next_service: Instant,
}

impl Reader {
    fn work(&mut self) -> Result<End, SourceError> {
        loop {
            if let Some(end) = self.obey() {
                return Ok(end);
            }
            let gate_is_open = self.balance(clock::now());
            let all_handed_over = lock(&self.thread.ownership).outboxes.flush();
            if gate_is_open && all_handed_over {
                let wait = if self.budget.any_paused() {
                    PAUSED_POLL
                } else {
                    IDLE_POLL
                };
                self.read(wait)?;
            } else {
                self.stand_by(gate_is_open)?;
            }
            self.commit()?;
            self.look_after(gate_is_open)?;
        }
    }

    /// Does what the rest of the worker asks for.
    fn obey(&mut self) -> Option<End> {
        loop {
            match self.thread.commands.try_recv() {
                Ok(Command::Subscribe(subscription)) => self.subscribe(subscription),
                Ok(Command::Report(answer)) => {
                    // Who asked may have stopped waiting.
                    let _ = answer.send(self.report());
                }
                Ok(Command::ShutDown { deadline, done }) => {
                    let done = Some(done);
                    return Some(End { deadline, done });
                }
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => return Some(self.end_by_itself()),
            }
        }
    }

    /// An end that nobody asked for.
    fn end_by_itself(&self) -> End {
        End {
            deadline: clock::now() + self.thread.config.let_go + CLOSE,
            done: None,
        }
    }

    fn subscribe(&mut self, subscription: Subscription) {
        let topics: BTreeSet<String> = subscription.keys().cloned().collect();
        lock(&self.thread.ownership).demands = subscription;
        if topics != self.subscribed {
            self.subscribed = topics;
            self.subscribe_now();
            self.care.ask_for_topics_now();
        }
    }

    fn subscribe_now(&self) {
        if self.subscribed.is_empty() {
            self.consumer.unsubscribe();
            return;
        }
        let topics: Vec<&str> = self.subscribed.iter().map(String::as_str).collect();
        if let Err(error) = self.consumer.subscribe(&topics) {
            tracing::error!(%error, ?topics, "the topics cannot be subscribed to");
        }
    }

    /// Pauses and resumes partitions. Returns whether records may be read.
    fn balance(&mut self, now: Instant) -> bool {
        let load = self.thread.bytes.load();
        let open = self.budget.gate_is_open(now, load);
        if now < self.next_review {
            return open;
        }
        self.next_review = now + REVIEW_INTERVAL;
        let mut ownership = lock(&self.thread.ownership);
        let usages = ownership.usages(|partition| {
            if open {
                // Nobody goes without while the gate is open.
                return i64::MIN;
            }
            let id = &partition.id;
            ffi::cached_log_end(&self.consumer, &id.topic, id.partition).unwrap_or(i64::MIN)
        });
        let review = self.budget.review(now, &usages);
        self.thread.bytes.allow_ahead(self.budget.most_ahead());
        let pause = ownership.mark_paused(&review.pause, true);
        let resume = ownership.mark_paused(&review.resume, false);
        drop(ownership);
        apply(&pause, |list| self.consumer.pause(list), "pause");
        apply(&resume, |list| self.consumer.resume(list), "resume");
        self.budget.gate_is_open(now, load)
    }

    /// Waits for records and hands one wake-up's worth to the shards.
    fn read(&mut self, wait: Duration) -> Result<(), SourceError> {
        let room = self.budget.room(self.thread.bytes.load());
        let cap = |slot| self.budget.cap(slot);
        let mut batch = Batch::default();
        let mut errors = Vec::new();
        // After an event of the group `poll` returns nothing, so no record of a batch is older than
        // the last rebalance.
        let mut polled = blocked(Cause::Fetch, || self.consumer.poll(wait));
        while let Some(next) = polled.take() {
            match next {
                Ok(message) => batch.take(&message, |topic, partition| {
                    lock(&self.thread.ownership).place(topic, partition, cap)
                }),
                Err(error) => errors.push(error),
            }
            if batch.is_full(room) || errors.len() >= EVENTS_AT_ONCE {
                self.next_review = clock::now();
                break;
            }
            polled = self.consumer.poll(Duration::ZERO);
        }
        self.hand_over(batch);
        errors.into_iter().try_for_each(|error| self.heed(error))
    }

    /// No records are wanted: waits for room, and serves the group now and then. librdkafka holds
    /// back a partition's records while a rebalance is to be served, so that comes first; a record
    /// may come along, one in each round.
    fn stand_by(&mut self, gate_is_open: bool) -> Result<(), SourceError> {
        let bytes = &self.thread.bytes;
        if gate_is_open {
            // Room there is; a shard is busy.
            blocked(Cause::Permit, || {
                bytes.wait_for_room(Room::NEVER, SHARD_BUSY)
            });
        } else {
            let room = self.budget.reopens_with();
            blocked(Cause::Permit, || bytes.wait_for_room(room, STAND_BY));
        }
        let now = clock::now();
        if now < self.next_service {
            return Ok(());
        }
        self.next_service = now + STAND_BY;
        let mut batch = Batch::default();
        for _ in 0..EVENTS_AT_ONCE {
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    batch.take(&message, |topic, partition| {
                        lock(&self.thread.ownership)
                            .place(topic, partition, |slot| self.budget.cap(slot))
                    });
                    break;
                }
                Some(Err(error)) => self.heed(error)?,
                None => {}
            }
        }
        self.hand_over(batch);
        Ok(())
    }

    fn hand_over(&self, batch: Batch) {
        if !batch.is_empty() {
            lock(&self.thread.ownership).deliver(batch);
        }
    }

    /// An error that `poll` returned. They carry no partition.
    fn heed(&mut self, error: KafkaError) -> Result<(), SourceError> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(SourceError::Fatal(error));
        }
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation,
            ) => self.care.reseat_now(),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.care.ask_for_topics_now();
            }
            // The context has told of everything else, and librdkafka goes on by itself.
            Some(_) | None => {}
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SourceError> {
        let now = clock::now();
        if now < self.next_commit_look {
            return Ok(());
        }
        self.next_commit_look = now + COMMIT_LOOK_INTERVAL;
        match self.consumer.context().commit(&self.consumer, now) {
            Verdict::Acked | Verdict::Retry => Ok(()),
            Verdict::MemberLost => {
                tracing::warn!("the group has dropped this member; waiting to be told");
                lock(&self.thread.ownership).hearing.refused(now);
                Ok(())
            }
            Verdict::Fenced => Err(SourceError::Fenced),
        }
    }

    fn look_after(&mut self, gate_is_open: bool) -> Result<(), SourceError> {
        let now = clock::now();
        if lock(&self.thread.ownership).hearing.is_deaf(now) {
            tracing::error!("the group goes on without this member; making a new consumer");
            return self.renew(now);
        }
        let topics = &self.subscribed;
        let ownership = &self.thread.ownership;
        self.care.resolve(&self.consumer, ownership, now);
        self.care.topics(&self.consumer, ownership, topics, now);
        self.care.reseat(&self.consumer, ownership, now);
        self.rewind.look(&self.consumer, ownership, now);
        if self
            .care
            .is_stalled(&self.consumer, ownership, gate_is_open, now)
        {
            self.renew(now)?;
        }
        Ok(())
    }

    /// Lets everything go and begins again with a new consumer.
    fn renew(&mut self, now: Instant) -> Result<(), SourceError> {
        let deadline = now + self.thread.config.let_go;
        let all = lock(&self.thread.ownership).all();
        self.consumer
            .context()
            .let_go(&self.consumer, &all, deadline);
        self.care.forget_questions();
        let ownership = self.thread.ownership.clone();
        {
            let mut ownership = lock(&ownership);
            ownership.counters.stalls += 1;
            ownership.hearing.renewed();
            ownership.book.abandoned();
        }
        let fresh = client::connect(&self.thread.config, ownership)?;
        let stalled = std::mem::replace(&mut self.consumer, fresh);
        client::close(stalled, deadline + CLOSE);
        self.subscribe_now();
        Ok(())
    }

    fn shut_down(mut self, deadline: Instant) {
        let all = lock(&self.thread.ownership).all();
        let let_go_by = deadline
            .checked_sub(CLOSE)
            .unwrap_or(deadline)
            .min(clock::now() + self.thread.config.let_go);
        self.consumer
            .context()
            .let_go(&self.consumer, &all, let_go_by);
        self.care.forget_questions();
        client::close(self.consumer, deadline);
    }

    fn report(&self) -> SourceReport {
        lock(&self.thread.ownership)
            .report(|id| ffi::cached_log_end(&self.consumer, &id.topic, id.partition))
    }
}
