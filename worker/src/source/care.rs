//! What the consumer thread does now and then: starts that could not be resolved, topics that are
//! missing or made anew, offsets out of range, markers without records, stalls.
//!
//! Owns when each of these is due. Each question to the cluster has a short deadline or is answered
//! later, so that no partition waits long for another's trouble.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::ffi::{self, TopicsQuestion};
use super::inbox::PartitionId;
use super::log_offsets::log_ranges;
use super::partitions::Ownership;
use super::rebalance::{GroupConsumer, SharedOwnership, lock};
use super::resolve::{self, Wanted};
use super::seats::{pass_markers, positions, reseat, restart_made_anew, set_going};
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
        let Ok(ranges) = log_ranges(consumer, &ids, clock::now() + QUESTION_TIMEOUT) else {
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
