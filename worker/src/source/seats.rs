//! Where the consumer reads each partition from, and how it is set there.
//!
//! Owns nothing: the offsets are the partitions', and when to look is decided in [`super::care`].

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::care::QUESTION_TIMEOUT;
use super::inbox::PartitionId;
use super::log_offsets::log_ranges;
use super::partitions::Ownership;
use super::rebalance::{self, GroupConsumer};
use super::resolve::{self, Resolved};
use super::start::{self, LossCause, Start, StartedBy};
use super::topics::TopicStates;
use crate::clock;

/// Sets partitions on their start and lets them run. What cannot be set waits on.
pub(super) fn set_going(
    consumer: &GroupConsumer,
    ownership: &mut Ownership,
    resolved: Vec<Resolved>,
) {
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
pub(super) fn reseat(consumer: &GroupConsumer, ownership: &mut Ownership) -> KafkaResult<()> {
    let ids = ownership.all();
    let ranges = log_ranges(consumer, &ids, clock::now() + QUESTION_TIMEOUT)?;
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

/// A topic with another id is another topic: its partitions start over.
pub(super) fn restart_made_anew(
    consumer: &GroupConsumer,
    ownership: &mut Ownership,
    states: &TopicStates,
) {
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

/// Where the consumer stands, as it says itself.
pub(super) fn positions(consumer: &GroupConsumer) -> BTreeMap<PartitionId, i64> {
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
pub(super) fn pass_markers(ownership: &mut Ownership, positions: &BTreeMap<PartitionId, i64>) {
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
