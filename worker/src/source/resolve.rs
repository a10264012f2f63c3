//! Asks the cluster what `start` needs to know, for many partitions at once.
//!
//! Every question is one request a broker, not one a partition, and all of them share one deadline. A
//! partition the cluster says nothing about is left out of the answer: the caller asks again later.
//! Does not decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::compiled::StartFrom;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;

use super::ffi::{self, TopicsQuestion};
use super::inbox::PartitionId;
use super::log_offsets::{left, list, log_ranges, names, offsets_at};
use super::note::CommitNote;
use super::start::{self, Known, Siblings, Start, StartedBy, TopicDemand};
use super::topics::{TopicId, TopicState, TopicStates};

/// A partition whose start is decided.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// Which one.
    pub(super) id: PartitionId,
    /// Where it starts.
    pub(super) start: Start,
    /// What decided it.
    pub(super) started_by: StartedBy,
    /// The end of its log at that moment.
    pub(super) log_end: i64,
    /// The group's commit, unless it must be replaced whatever the frontier does.
    pub(super) committed: Option<i64>,
    /// What its commits say from now on.
    pub(super) note: CommitNote,
}

/// A partition to resolve.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Which one.
    pub(super) id: PartitionId,
    /// The topic's id when this worker last read it; stands in for a commit that names none.
    pub(super) last_topic_id: Option<TopicId>,
}

impl Wanted {
    /// A partition of which this worker remembers nothing.
    pub(super) fn new(id: PartitionId) -> Self {
        Self {
            id,
            last_topic_id: None,
        }
    }
}

type Commits = BTreeMap<PartitionId, (i64, CommitNote)>;

/// Asks the cluster and decides where each partition starts. What could not be learned is missing
/// from the answer.
///
/// # Errors
/// When a whole question fails or the deadline passes.
pub(super) fn resolve<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wanted: &[Wanted],
    demands: &BTreeMap<String, TopicDemand>,
    deadline: Instant,
) -> KafkaResult<Vec<Resolved>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<PartitionId> = wanted.iter().map(|wanted| wanted.id.clone()).collect();
    // Under way while the other questions are asked.
    let question = ask_for_topics(consumer, topics_of(&ids), deadline)?;
    let mut commits = committed(consumer, &ids, deadline)?;
    for wanted in wanted
        .iter()
        .filter(|wanted| wanted.last_topic_id.is_some())
    {
        // What was read before counts like a commit, so that a topic made anew starts at its beginning.
        let (_, note) = commits.entry(wanted.id.clone()).or_default();
        note.topic_id = note.topic_id.or(wanted.last_topic_id);
    }
    let ranges = log_ranges(consumer, &ids, deadline)?;
    let topics = question
        .and_then(|question| question.answer(left(deadline)))
        .ok_or(KafkaError::MetadataFetch(
            RDKafkaErrorCode::OperationTimedOut,
        ))?;
    let new: Vec<PartitionId> = ids
        .iter()
        .filter(|id| !commits.contains_key(id))
        .cloned()
        .collect();
    let counts = partition_counts(&new, &topics);
    let siblings = siblings(consumer, &counts, deadline)?;
    let times = at_times(consumer, &new, demands, deadline)?;
    let resolved = ids.into_iter().filter_map(|id| {
        let (log_start, log_end) = *ranges.get(&id)?;
        let Some(TopicState::Present { id: topic_id, .. }) = topics.get(&*id.topic) else {
            return None;
        };
        let known = Known {
            commit: commits.get(&id).copied(),
            siblings: siblings.get(&id.topic).copied().unwrap_or(Siblings::None),
            log_start,
            log_end,
            topic_id: *topic_id,
            at_times: times
                .iter()
                .filter_map(|(time, offsets)| Some((*time, *offsets.get(&id)?)))
                .collect(),
        };
        let count = counts.get(&id.topic).copied();
        Some(decided(id, &known, count, demands))
    });
    Ok(resolved.collect())
}

fn decided(
    id: PartitionId,
    known: &Known,
    count: Option<i32>,
    demands: &BTreeMap<String, TopicDemand>,
) -> Resolved {
    let start = start::decide(id.partition, known, demands.get(&*id.topic));
    let followed = known
        .commit
        .filter(|(offset, note)| *offset <= start.offset && note.topic_id == known.topic_id);
    Resolved {
        note: CommitNote {
            epoch: known.commit.and_then(|(_, note)| note.epoch),
            topic_id: known.topic_id,
            cfg: known.commit.and_then(|(_, note)| note.cfg),
            // A commit that does not say how many partitions there were never learns it: then a
            // partition without a commit counts as added, and nothing of it is skipped.
            first_count: known.commit.map_or(count, |(_, note)| note.first_count),
        },
        committed: followed.map(|(offset, _)| offset),
        log_end: known.log_end,
        started_by: match known.commit {
            Some(_) => StartedBy::Commit,
            None => StartedBy::StartFrom,
        },
        start,
        id,
    }
}

fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    ids: &[PartitionId],
    deadline: Instant,
) -> KafkaResult<Commits> {
    if ids.is_empty() {
        return Ok(Commits::new());
    }
    let answer = consumer.committed_offsets(list(ids, Offset::Invalid)?, left(deadline))?;
    let names = names(ids);
    let mut commits = Commits::new();
    for (element, metadata) in answer.elements().iter().zip(ffi::metadata(&answer)) {
        // "No commit" and "not known" must never be taken for each other.
        element.error()?;
        if let (Offset::Offset(offset), Some(topic)) =
            (element.offset(), names.get(element.topic()))
        {
            let id = PartitionId {
                topic: topic.clone(),
                partition: element.partition(),
            };
            commits.insert(id, (offset, CommitNote::parse(&metadata)));
        }
    }
    Ok(commits)
}

/// How many partitions the topics of these partitions have.
fn partition_counts(ids: &[PartitionId], topics: &TopicStates) -> BTreeMap<Arc<str>, i32> {
    names(ids)
        .into_iter()
        .filter_map(|name| match topics.get(&*name) {
            Some(TopicState::Present { partitions, .. }) => Some((name, *partitions)),
            Some(TopicState::Missing | TopicState::Unknown) | None => None,
        })
        .collect()
}

/// Asks for the state of topics, without waiting for the answer. None when there are no topics.
///
/// # Errors
/// When no broker can be asked.
pub(super) fn ask_for_topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: BTreeSet<String>,
    deadline: Instant,
) -> KafkaResult<Option<TopicsQuestion>> {
    let Some(topic) = topics.first() else {
        return Ok(None);
    };
    let metadata = consumer.fetch_metadata(Some(topic), left(deadline))?;
    let leaders = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions());
    let broker = leaders
        .map(|partition| partition.leader())
        .chain(metadata.brokers().iter().map(|broker| broker.id()))
        .find(|broker| *broker >= 0)
        .ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::AllBrokersDown))?;
    Ok(TopicsQuestion::ask(
        consumer,
        topics,
        broker,
        left(deadline),
    ))
}

/// The state of one topic. Waits for the answer, until `deadline` at the latest.
///
/// # Errors
/// When no broker can be asked.
pub(crate) fn topic_state<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    deadline: Instant,
) -> KafkaResult<TopicState> {
    let question = ask_for_topics(consumer, BTreeSet::from([topic.to_owned()]), deadline)?;
    let answer = question.and_then(|question| question.answer(left(deadline)));
    let state = answer.and_then(|mut states| states.remove(topic));
    Ok(state.unwrap_or(TopicState::Unknown))
}

/// What the group has committed of whole topics.
fn siblings<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    counts: &BTreeMap<Arc<str>, i32>,
    deadline: Instant,
) -> KafkaResult<BTreeMap<Arc<str>, Siblings>> {
    let all: Vec<PartitionId> = counts
        .iter()
        .flat_map(|(topic, count)| {
            (0..*count).map(|partition| PartitionId {
                topic: topic.clone(),
                partition,
            })
        })
        .collect();
    let mut siblings = BTreeMap::new();
    for (id, (_, note)) in committed(consumer, &all, deadline)? {
        let one = Siblings::Committed {
            first_count: note.first_count,
        };
        siblings
            .entry(id.topic)
            .and_modify(|known| *known = lower(*known, note.first_count))
            .or_insert(one);
    }
    Ok(siblings)
}

/// One commit that does not say is enough to know nothing.
fn lower(known: Siblings, count: Option<i32>) -> Siblings {
    match known {
        Siblings::None => Siblings::Committed { first_count: count },
        Siblings::Committed { first_count } => Siblings::Committed {
            first_count: first_count.zip(count).map(|(one, other)| one.min(other)),
        },
    }
}

/// The offsets of the timestamps that targets want to start new topics from.
fn at_times<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    new: &[PartitionId],
    demands: &BTreeMap<String, TopicDemand>,
    deadline: Instant,
) -> KafkaResult<BTreeMap<i64, BTreeMap<PartitionId, i64>>> {
    let times: BTreeSet<(i64, &Arc<str>)> = new
        .iter()
        .flat_map(|id| {
            let starts = demands
                .get(&*id.topic)
                .into_iter()
                .flat_map(|demand| demand.starts.values());
            starts.filter_map(|start| match start {
                StartFrom::Timestamp(millis) => Some((*millis, &id.topic)),
                StartFrom::Latest | StartFrom::Earliest => None,
            })
        })
        .collect();
    let mut found: BTreeMap<i64, BTreeMap<PartitionId, i64>> = BTreeMap::new();
    for (time, topic) in times {
        let ids: Vec<PartitionId> = new
            .iter()
            .filter(|id| id.topic == *topic)
            .cloned()
            .collect();
        let offsets = offsets_at(consumer, &ids, Offset::Offset(time.max(0)), deadline)?;
        found.entry(time).or_default().extend(
            offsets
                .into_iter()
                .filter_map(|(id, offset)| Some((id, offset?))),
        );
    }
    Ok(found)
}

/// The id of a topic, if it is there and has one.
pub(super) fn id_of(topics: &TopicStates, topic: &str) -> Option<TopicId> {
    match topics.get(topic) {
        Some(TopicState::Present { id, .. }) => *id,
        Some(TopicState::Missing | TopicState::Unknown) | None => None,
    }
}

fn topics_of(ids: &[PartitionId]) -> BTreeSet<String> {
    names(ids).iter().map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sibling_that_does_not_say_makes_every_new_partition_an_added_one() {
        let said = |first_count| Siblings::Committed { first_count };
        assert_eq!(lower(said(Some(4)), Some(8)), said(Some(4)));
        assert_eq!(lower(said(Some(4)), None), said(None));
        assert_eq!(lower(said(None), Some(4)), said(None));
    }
}
