//! What happens when the group gives partitions and takes them back.
//!
//! The context of our consumer. librdkafka calls it on the consumer thread, inside `poll`, and the
//! group waits: everything here ends at a deadline. Ownership begins and ends in these callbacks and
//! nowhere else. A retired context (its consumer is being closed) only says yes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use parcelhook_kafka::Journal;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use super::commit::{self, Verdict};
use super::ffi::{CommitAnswer, Committer};
use super::inbox::PartitionId;
use super::log_offsets::list;
use super::partitions::Ownership;
use super::resolve::{self, Wanted};
use crate::clock;
use crate::failpoint::{self, Failpoint};

/// How long the cluster may take to answer where partitions start before they wait for it outside of
/// the callback. The group's other members stand still meanwhile.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The part of letting go that is kept for the last commit: a request to the coordinator usually
/// takes milliseconds, and a retry or two must fit.
const LAST_COMMIT: Duration = Duration::from_millis(1_500);

/// The part of letting go that shards have to stop what the grace did not finish.
const ABORT: Duration = Duration::from_millis(500);

/// How long the last commit waits before it is sent again, while the group is busy with a rebalance.
const COMMIT_AGAIN: Duration = Duration::from_millis(50);

/// Ownership, as the consumer thread and the callbacks it calls share it. Never contended: the lock
/// is held by one of them at a time, on one thread.
pub(super) type SharedOwnership = Arc<Mutex<Ownership>>;

/// The context of our consumer.
#[derive(Debug)]
pub(super) struct Context {
    ownership: SharedOwnership,
    committer: Mutex<Option<Committer>>,
    let_go: Duration,
    retired: AtomicBool,
    journal: Journal,
}

/// Our consumer.
pub(super) type GroupConsumer = BaseConsumer<Context>;

impl Context {
    pub(super) fn new(ownership: SharedOwnership, let_go: Duration) -> Self {
        Self {
            ownership,
            committer: Mutex::new(None),
            let_go,
            retired: AtomicBool::new(false),
            journal: Journal::default(),
        }
    }

    /// Commits go through this from now on.
    pub(super) fn commit_through(&self, committer: Option<Committer>) {
        *self.committer() = committer;
    }

    /// The consumer is about to be closed: nothing of what it says counts any more. Drops the reply
    /// queue, which would keep the consumer from being destroyed.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.commit_through(None);
    }

    /// Commits what has moved, and reads the answers that have come. Returns the gravest of them.
    pub(super) fn commit(&self, consumer: &GroupConsumer, now: Instant) -> Verdict {
        let mut ownership = self.ownership();
        let committer = self.committer();
        let Some(committer) = committer.as_ref() else {
            return Verdict::Acked;
        };
        let mut verdict = Verdict::Acked;
        if ownership.book.is_in_flight()
            && let Some(answer) = committer.answer(Duration::ZERO)
        {
            verdict = answered(&mut ownership, now, &answer);
        }
        ownership.tell_committed();
        if let Some(commits) = ownership.due_commit(now) {
            let list = ownership.commit_list(&commits);
            if let Err(error) = committer.send(consumer, &list) {
                verdict = answered(&mut ownership, now, &CommitAnswer::refused(error));
            }
        }
        verdict
    }

    /// Gives partitions back in good order: shards finish, the frontiers are committed, then nothing
    /// of them is left here. Ends at `deadline`, done or not.
    pub(super) fn let_go(
        &self,
        consumer: &GroupConsumer,
        partitions: &[PartitionId],
        deadline: Instant,
    ) {
        let mut ownership = self.ownership();
        let slots = ownership.leave(partitions);
        if slots.is_empty() {
            return;
        }
        tracing::info!(partitions = slots.len(), "letting partitions go");
        let stop = deadline.checked_sub(LAST_COMMIT).unwrap_or(deadline);
        let grace = stop.checked_sub(ABORT).unwrap_or(stop);
        ownership.ask_back(&slots, grace, stop);
        failpoint::reached(Failpoint::RevokeCallback);
        if let Some(committer) = self.committer().as_ref() {
            commit_last(&mut ownership, consumer, committer, &slots, deadline);
        }
        ownership.forget(&slots);
    }

    fn assigned(&self, consumer: &GroupConsumer, partitions: &[PartitionId]) {
        let (now, since_boot) = (clock::now(), clock::since_boot());
        let deadline = now + RESOLVE_TIMEOUT;
        let mut ownership = self.ownership();
        ownership.counters.joined = true;
        ownership.hearing.rebalanced(now);
        ownership.counters.rebalances += 1;
        ownership.rejoined(now, since_boot);
        // The group does not give what it has given; if it did, the old ownership would be void.
        let stale = ownership.leave(partitions);
        ownership.lose(&stale);
        let wanted: Vec<Wanted> = partitions.iter().cloned().map(Wanted::new).collect();
        let resolved = resolve::resolve(consumer, &wanted, &ownership.demands, deadline)
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "where partitions start is not known yet; asking again");
                Vec::new()
            });
        // What has no start yet is assigned at its end, and what comes from there is thrown away.
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            let known = resolved.iter().find(|resolved| resolved.id == *id);
            let offset = known.map_or(Offset::End, |known| Offset::Offset(known.start.offset));
            if let Err(error) = list.add_partition_offset(&id.topic, id.partition, offset) {
                tracing::error!(partition = %id, %error, "the start cannot be expressed");
            }
        }
        if let Err(error) = consumer.incremental_assign(&list) {
            tracing::error!(%error, "the assignment was not accepted");
            return;
        }
        for id in partitions {
            ownership.wait(id.clone(), None);
        }
        for resolved in resolved {
            ownership.run(resolved);
        }
        pause_again(&ownership, consumer);
    }

    fn revoked(&self, consumer: &GroupConsumer, partitions: &[PartitionId]) {
        let mut ownership = self.ownership();
        resume(&ownership, consumer, partitions);
        ownership.hearing.rebalanced(clock::now());
        ownership.counters.rebalances += 1;
        if consumer.assignment_lost() {
            tracing::warn!(
                partitions = partitions.len(),
                "the assignment was lost: this worker was too slow for the group, or cut off"
            );
            let slots = ownership.leave(partitions);
            ownership.lose(&slots);
            return;
        }
        drop(ownership);
        self.let_go(consumer, partitions, clock::now() + self.let_go);
        let mut ownership = self.ownership();
        // Topics that no target wants any more go back without an assignment at once.
        if partitions
            .iter()
            .any(|id| ownership.demands.contains_key(&*id.topic))
        {
            ownership.hearing.gave_back(clock::now());
        }
    }

    fn ownership(&self) -> MutexGuard<'_, Ownership> {
        lock(&self.ownership)
    }

    fn committer(&self) -> MutexGuard<'_, Option<Committer>> {
        lock(&self.committer)
    }
}

/// Locks; what a panic left behind is still the truth about who owns what.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let retired = self.retired.load(Ordering::SeqCst);
        let partitions = ids(list);
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !retired {
            self.assigned(consumer, &partitions);
            return;
        }
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !retired {
            self.revoked(consumer, &partitions);
        }
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::error!(%error, "the revocation was not accepted");
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.journal.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.journal.error(clock::now(), &error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}

fn ids(list: &TopicPartitionList) -> Vec<PartitionId> {
    let mut topic: Arc<str> = Arc::from("");
    list.elements()
        .iter()
        .map(|element| {
            // Lists are sorted by topic: one allocation a topic.
            if *topic != *element.topic() {
                topic = Arc::from(element.topic());
            }
            PartitionId {
                topic: topic.clone(),
                partition: element.partition(),
            }
        })
        .collect()
}

/// Settles the commit in flight, then commits the last frontiers, until the deadline.
fn commit_last(
    ownership: &mut Ownership,
    consumer: &GroupConsumer,
    committer: &Committer,
    slots: &[u32],
    deadline: Instant,
) {
    let left = || deadline.saturating_duration_since(clock::now());
    if ownership.book.is_in_flight() {
        // A later commit must not be overtaken by an earlier one.
        let Some(answer) = committer.answer(left()) else {
            tracing::warn!("the coordinator did not answer: the last frontiers are not committed");
            return;
        };
        let _ = answered(ownership, clock::now(), &answer);
    }
    while !left().is_zero() {
        let commits = ownership
            .book
            .last_commit(slots, |slot| ownership.standing(slot));
        if commits.is_empty() {
            return;
        }
        let list = ownership.commit_list(&commits);
        ownership.sent(clock::now(), commits);
        let answer = match committer.send(consumer, &list) {
            Ok(()) => committer.answer(left()),
            Err(error) => Some(CommitAnswer::refused(error)),
        };
        let Some(answer) = answer else {
            break;
        };
        match answered(ownership, clock::now(), &answer) {
            Verdict::Acked | Verdict::MemberLost | Verdict::Fenced => return,
            // Nothing is under way, so this only waits.
            Verdict::Retry => drop(committer.answer(COMMIT_AGAIN.min(left()))),
        }
    }
    tracing::warn!("the last frontiers were not committed in time; events may be repeated");
}

fn answered(ownership: &mut Ownership, now: Instant, answer: &CommitAnswer) -> Verdict {
    let partitions: Vec<(u32, Option<RDKafkaErrorCode>)> = ownership
        .running()
        .iter()
        .map(|(slot, partition)| {
            (
                *slot,
                answer.error_of(&partition.id.topic, partition.id.partition),
            )
        })
        .collect();
    let error_of = |slot: u32| {
        partitions
            .binary_search_by_key(&slot, |(slot, _)| *slot)
            .ok()
            .and_then(|index| partitions.get(index))
            .and_then(|(_, error)| *error)
    };
    let verdict = ownership.answered(|slot| commit::verdict(error_of(slot)));
    match verdict {
        Verdict::Acked => ownership.counters.commits_ok += 1,
        Verdict::Retry | Verdict::MemberLost | Verdict::Fenced => {
            ownership.counters.commits_failed += 1;
            let error = partitions.iter().find_map(|(_, error)| *error);
            let last_acked = ownership.book.last_acked();
            let since = last_acked.map(|last| now.saturating_duration_since(last));
            tracing::debug!(?verdict, ?error, ?since, "a commit was refused");
        }
    }
    verdict
}

/// Pauses were made for partitions that are still here; an assignment must not undo them.
fn pause_again(ownership: &Ownership, consumer: &GroupConsumer) {
    let paused: Vec<PartitionId> = ownership
        .running()
        .values()
        .filter(|partition| partition.paused)
        .map(|partition| partition.id.clone())
        .collect();
    apply(&paused, |list| consumer.pause(list), "pause");
}

/// librdkafka remembers a pause beyond our ownership: a partition that comes back, or begins again,
/// would never be read. Ends the pauses of those of the partitions that have one.
pub(super) fn resume(ownership: &Ownership, consumer: &GroupConsumer, partitions: &[PartitionId]) {
    let paused: Vec<PartitionId> = ownership
        .running()
        .values()
        .filter(|partition| partition.paused && partitions.contains(&partition.id))
        .map(|partition| partition.id.clone())
        .collect();
    apply(&paused, |list| consumer.resume(list), "resume");
}

/// Calls librdkafka with a list of partitions, unless it is empty, and logs a failure.
pub(super) fn apply(
    partitions: &[PartitionId],
    call: impl FnOnce(&TopicPartitionList) -> Result<(), KafkaError>,
    what: &'static str,
) {
    if partitions.is_empty() {
        return;
    }
    if let Err(error) = list(partitions, Offset::Invalid).and_then(|list| call(&list)) {
        tracing::error!(%error, what, "librdkafka refused");
    }
}
