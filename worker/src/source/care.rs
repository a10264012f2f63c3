//! What the consumer thread does now and then: starts that could not be resolved, topics that are
//! missing or made anew, offsets out of range, markers without records, stalls.
//!
//! Owns when each of these is due. Each question to the cluster has a short deadline or is answered
//! later, so that no partition waits long for another's trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::ffi::{self, TopicsQuestion};
use super::inbox::PartitionId;
use super::partitions::Ownership;
use super::rebalance::{self, GroupConsumer, SharedOwnership, lock};
use super::resolve::{self, Resolved, Wanted};
use super::start::{self, LossCause, Start, StartedBy};
use super::topics::{TopicState, TopicStates};
use super::watchdog::{Sight, Watchdog};
use crate::clock;

/// How long one question may hold the loop up. Each of its requests may wait behind a fetch.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// First and longest wait before an unanswered question is asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(500);
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// How often topics are looked at: a topic that was made anew is noticed this late.
const TOPICS_INTERVAL: Duration = Duration::from_secs(60);

/// The same while a topic is missing: somebody is about to make it.
const MISSING_INTERVAL: Duration = Duration::from_secs(10);

/// Least time between two looks at the topics, whatever asks for them.
const TOPICS_SOONEST: Duration = Duration::from_secs(2);

/// How often positions are compared with the logs' ends.
const POSITIONS_INTERVAL: Duration = Duration::from_secs(1);

/// Things that come round.
#[derive(Debug, Default)]
pub(super) struct Care {
    watchdog: Watchdog,
    next_resolve: Option<Instant>,
    resolve_wait: Duration,
    resolve_turn: usize,
    question: Option<TopicsQuestion>,
    topics_due: Option<Instant>,
    topics_asked: Option<Instant>,
    reseat_due: Option<Instant>,
    reseat_wanted: bool,
    next_positions: Option<Instant>,
}

impl Care {
    /// Something was said about topics: looks at them soon.
    pub(super) fn ask_for_topics_now(&mut self) {
        self.topics_due = None;
    }

    /// Some partition's offset is out of range.
    pub(super) fn reseat_now(&mut self) {
        self.reseat_wanted = true;
    }

    /// Drops what hangs on the consumer, before it is closed.
    pub(super) fn forget_questions(&mut self) {
        self.question = None;
        self.topics_due = None;
    }

    /// Asks again where waiting partitions start, and sets those going that have an answer.
    pub(super) fn resolve(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &SharedOwnership,
        now: Instant,
    ) {
        let mut ownership = lock(ownership);
        if ownership.waiting().is_empty() {
            self.resolve_wait = ASK_AGAIN;
            self.resolve_turn = 0;
            self.next_resolve = None;
            return;
        }
        if self.next_resolve.is_some_and(|due| now < due) {
            return;
        }
        let wanted = self.whose_turn(&ownership);
        let deadline = clock::now() + QUESTION_TIMEOUT;
        match resolve::resolve(consumer, &wanted, &ownership.demands, deadline) {
            Ok(resolved) => {
                set_going(consumer, &mut ownership, resolved);
                self.resolve_turn = 0;
            }
            Err(error) => {
                tracing::debug!(%error, "where partitions start is still not known");
                self.resolve_turn += 1;
            }
        }
        self.next_resolve = Some(clock::now() + self.resolve_wait);
        self.resolve_wait = (self.resolve_wait * 2).clamp(ASK_AGAIN, ASK_AGAIN_AT_MOST);
    }

    /// All waiting partitions, and after a failure those of one topic after the other, so that the
    /// trouble of one topic does not keep the others.
    fn whose_turn(&self, ownership: &Ownership) -> Vec<Wanted> {
        let waiting = ownership.waiting();
        let topics: BTreeSet<&str> = waiting.keys().map(|id| &*id.topic).collect();
        let turn = self.resolve_turn.checked_sub(1);
        let only = turn.and_then(|turn| topics.iter().nth(turn % topics.len()).copied());
        waiting
            .iter()
            .filter(|(id, _)| only.is_none_or(|topic| *id.topic == *topic))
            .map(|(id, last_topic_id)| Wanted {
                id: id.clone(),
                last_topic_id: *last_topic_id,
            })
            .collect()
    }

    /// Looks at the topics: which are missing, which were made anew.
    pub(super) fn topics(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &SharedOwnership,
        subscribed: &BTreeSet<String>,
        now: Instant,
    ) {
        if let Some(question) = &self.question {
            if let Some(states) = question.answer(Duration::ZERO) {
                self.question = None;
                let mut ownership = lock(ownership);
                note_missing(&mut ownership, &states);
                if !ownership.counters.missing_topics.is_empty() {
                    self.topics_due = Some(now + MISSING_INTERVAL);
                }
                restart_made_anew(consumer, &mut ownership, &states);
            }
            return;
        }
        let due = self.topics_due.is_none_or(|due| now >= due);
        let too_soon = self
            .topics_asked
            .is_some_and(|asked| now.saturating_duration_since(asked) < TOPICS_SOONEST);
        if !due || too_soon {
            return;
        }
        self.topics_asked = Some(now);
        self.topics_due = Some(now + TOPICS_INTERVAL);
        if subscribed.is_empty() {
            lock(ownership).counters.missing_topics.clear();
        }
        let deadline = now + QUESTION_TIMEOUT;
        match resolve::ask_for_topics(consumer, subscribed.clone(), deadline) {
            Ok(question) => self.question = question,
            Err(error) => tracing::debug!(%error, "no broker can be asked about topics"),
        }
    }

    /// After an offset out of range: finds the partition, which the error does not name, and sets it
    /// on an offset that its log has.
    pub(super) fn reseat(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &SharedOwnership,
        now: Instant,
    ) {
        if !self.reseat_wanted || self.reseat_due.is_some_and(|due| now < due) {
            return;
        }
        self.reseat_due = Some(now + ASK_AGAIN);
        let mut ownership = lock(ownership);
        if ownership.running().is_empty() {
            self.reseat_wanted = false;
            return;
        }
        match reseat(consumer, &mut ownership) {
            Ok(()) => self.reseat_wanted = false,
            Err(error) => tracing::warn!(%error, "the logs' ranges are not known; asking again"),
        }
    }

    /// Passes on where logs moved without records, and watches for a consumer that stopped fetching.
    /// Returns whether it must be replaced.
    pub(super) fn is_stalled(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &SharedOwnership,
        reading: bool,
        now: Instant,
    ) -> bool {
        if self.next_positions.is_some_and(|due| now < due) {
            return false;
        }
        self.next_positions = Some(now + POSITIONS_INTERVAL);
        let mut ownership = lock(ownership);
        let positions = positions(consumer);
        pass_markers(&mut ownership, &positions);
        let sights: Vec<Sight> = ownership
            .running()
            .iter()
            .map(|(slot, partition)| {
                let id = &partition.id;
                let cached = ffi::cached_log_end(consumer, &id.topic, id.partition);
                let position = positions.get(id).copied().unwrap_or(partition.next);
                Sight {
                    slot: *slot,
                    position: position.max(partition.next),
                    end: Some(cached.unwrap_or(0).max(partition.log_end)),
                    paused: partition.paused,
                }
            })
            .collect();
        let stalled = self.watchdog.look(now, reading, &sights);
        if stalled.is_empty() {
            return false;
        }
        let confirmed = self.confirm(consumer, &ownership, &sights, &stalled);
        if confirmed {
            self.watchdog.alarmed(now);
        }
        confirmed
    }

    /// The cached end counts records of transactions that are still open; the cluster knows better.
    fn confirm(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &Ownership,
        sights: &[Sight],
        stalled: &[u32],
    ) -> bool {
        let ids: Vec<PartitionId> = stalled
            .iter()
            .filter_map(|slot| Some(ownership.running().get(slot)?.id.clone()))
            .collect();
        let Ok(ranges) = resolve::log_ranges(consumer, &ids, clock::now() + QUESTION_TIMEOUT)
        else {
            // The cluster does not answer: a new consumer would not be better off.
            return false;
        };
        let mut confirmed = false;
        for sight in sights.iter().filter(|sight| stalled.contains(&sight.slot)) {
            let Some(partition) = ownership.running().get(&sight.slot) else {
                continue;
            };
            match ranges.get(&partition.id) {
                Some((_, end)) if sight.position < *end => {
                    tracing::error!(
                        partition = %partition.id,
                        position = sight.position,
                        end,
                        "nothing was fetched although there is something to fetch; making a new consumer"
                    );
                    confirmed = true;
                }
                Some(_) | None => self.watchdog.acquit(sight.slot),
            }
        }
        confirmed
    }
}

/// Sets partitions on their start and lets them run. What cannot be set waits on.
fn set_going(consumer: &GroupConsumer, ownership: &mut Ownership, resolved: Vec<Resolved>) {
    for resolved in resolved {
        match seat(consumer, &resolved.id, resolved.start.offset) {
            Ok(()) => ownership.run(resolved),
            Err(error) => {
                tracing::debug!(partition = %resolved.id, %error, "cannot be set on its start yet");
            }
        }
    }
}

/// Sets a partition on an offset. Records that were fetched before do not come any more.
///
/// librdkafka stops a partition for good after an offset out of range or a refused query, and seeks
/// no more in it: then it is taken out of the assignment and put back. (Done while the group has a
/// revocation under way that we have not seen yet, this would end that revocation early, and another
/// worker could begin while ours lets go: some events twice. It takes a rebalance in the microseconds
/// since the last poll.)
pub(super) fn seat(consumer: &GroupConsumer, id: &PartitionId, offset: i64) -> KafkaResult<()> {
    let mut place = TopicPartitionList::with_capacity(1);
    place.add_partition_offset(&id.topic, id.partition, Offset::Offset(offset))?;
    let answer = consumer.seek_partitions(place.clone(), QUESTION_TIMEOUT)?;
    let sought = answer
        .elements()
        .iter()
        .try_for_each(|element| element.error());
    match sought {
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::State)) => {
            consumer.incremental_unassign(&place)?;
            consumer.incremental_assign(&place)
        }
        Ok(()) | Err(_) => sought,
    }
}

/// Sets every partition on its place again: librdkafka does not say which one it has stopped.
fn reseat(consumer: &GroupConsumer, ownership: &mut Ownership) -> KafkaResult<()> {
    let ids = ownership.all();
    let ranges = resolve::log_ranges(consumer, &ids, clock::now() + QUESTION_TIMEOUT)?;
    let above_end =
        |next: i64, id: &PartitionId| ranges.get(id).is_some_and(|(_, end)| next > *end);
    let suspects: BTreeSet<String> = ownership
        .running()
        .values()
        .filter(|partition| above_end(partition.next, &partition.id))
        .map(|partition| partition.id.topic.to_string())
        .collect();
    // A log that ends too early was truncated, or is another topic's by now.
    let question = resolve::ask_for_topics(consumer, suspects, clock::now() + QUESTION_TIMEOUT)?;
    if let Some(states) = question.and_then(|question| question.answer(QUESTION_TIMEOUT)) {
        restart_made_anew(consumer, ownership, &states);
    }
    let places: Vec<(u32, PartitionId, i64)> = ownership
        .running()
        .iter()
        .map(|(slot, partition)| (*slot, partition.id.clone(), partition.next))
        .collect();
    for (slot, id, next) in places {
        if let Some(range) = ranges.get(&id) {
            let start = start::follow(next, *range);
            seat(consumer, &id, start.offset)?;
            go_on(consumer, ownership, slot, (start, range.1));
        }
    }
    Ok(())
}

/// A running partition was set on where it can go on.
fn go_on(
    consumer: &GroupConsumer,
    ownership: &mut Ownership,
    slot: u32,
    (start, log_end): (Start, i64),
) {
    let (Some(loss), Some(partition)) = (start.lost, ownership.running().get(&slot)) else {
        return;
    };
    let (id, note) = (partition.id.clone(), ownership.note(slot));
    match loss.cause {
        LossCause::Retention => {
            ownership.count_loss(&id, loss);
            ownership.advance(slot, start.offset);
        }
        // Offsets are about to come again: everything known of the partition is void.
        LossCause::Truncation => {
            rebalance::resume(ownership, consumer, std::slice::from_ref(&id));
            ownership.lose(&[slot]);
            ownership.run(Resolved {
                id,
                start,
                started_by: StartedBy::Commit,
                log_end,
                committed: None,
                note,
            });
        }
    }
}

fn note_missing(ownership: &mut Ownership, states: &TopicStates) {
    let missing: Vec<String> = states
        .iter()
        .filter(|(_, state)| **state == TopicState::Missing)
        .map(|(topic, _)| topic.clone())
        .collect();
    let known = &mut ownership.counters.missing_topics;
    for topic in missing.iter().filter(|topic| !known.contains(topic)) {
        tracing::warn!(
            topic,
            "a target names a topic that the cluster does not have"
        );
    }
    *known = missing;
}

/// A topic with another id is another topic: its partitions start over.
fn restart_made_anew(consumer: &GroupConsumer, ownership: &mut Ownership, states: &TopicStates) {
    let anew: Vec<(u32, PartitionId, _)> = ownership
        .running()
        .iter()
        .filter_map(|(slot, partition)| {
            let then = partition.note.topic_id?;
            let now = resolve::id_of(states, &partition.id.topic)?;
            (then != now).then(|| (*slot, partition.id.clone(), then))
        })
        .collect();
    for (slot, id, then) in anew {
        tracing::warn!(partition = %id, "the topic was deleted and made anew: reading it from its start");
        rebalance::resume(ownership, consumer, std::slice::from_ref(&id));
        ownership.lose(&[slot]);
        ownership.wait(id, Some(then));
    }
}

fn positions(consumer: &GroupConsumer) -> BTreeMap<PartitionId, i64> {
    let Ok(list) = consumer.position() else {
        return BTreeMap::new();
    };
    list.elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => {
                let id = PartitionId {
                    topic: element.topic().into(),
                    partition: element.partition(),
                };
                Some((id, offset))
            }
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        })
        .collect()
}

/// A position beyond the last record means that only markers came since. It is believed once a record
/// of this ownership was read: before, it may still be that of an earlier ownership or seek.
fn pass_markers(ownership: &mut Ownership, positions: &BTreeMap<PartitionId, i64>) {
    let passed: Vec<(u32, i64)> = ownership
        .running()
        .iter()
        .filter(|(_, partition)| partition.has_read())
        .filter_map(|(slot, partition)| {
            let position = *positions.get(&partition.id)?;
            (position > partition.next).then_some((*slot, position))
        })
        .collect();
    for (slot, position) in passed {
        ownership.advance(slot, position);
    }
}
