//! Asks the cluster where logs begin and end, and what lies at a time.
//!
//! Each question is one request a broker. A partition the cluster says nothing about is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::inbox::PartitionId;
use crate::clock;

/// First and last offsets of a log.
pub(super) type LogRange = (i64, i64);

/// The first and last offsets of logs. What a transaction has not decided yet is beyond the end.
pub(super) fn log_ranges<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    ids: &[PartitionId],
    deadline: Instant,
) -> KafkaResult<BTreeMap<PartitionId, LogRange>> {
    // ListOffsets takes -2 and -1 in the place of a timestamp for the start and the end.
    let starts = offsets_at(consumer, ids, Offset::Beginning, deadline)?;
    let ends = offsets_at(consumer, ids, Offset::End, deadline)?;
    Ok(starts
        .into_iter()
        .filter_map(|(id, start)| {
            let end = (*ends.get(&id)?)?;
            Some((id, (start?, end)))
        })
        .collect())
}

/// The first offset at a timestamp; none inside when the log has no record that late.
pub(super) fn offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    ids: &[PartitionId],
    at: Offset,
    deadline: Instant,
) -> KafkaResult<BTreeMap<PartitionId, Option<i64>>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = consumer.offsets_for_times(list(ids, at)?, left(deadline))?;
    let names = names(ids);
    Ok(answer
        .elements()
        .iter()
        .filter(|element| element.error().is_ok())
        .filter_map(|element| {
            let id = PartitionId {
                topic: names.get(element.topic())?.clone(),
                partition: element.partition(),
            };
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::Invalid
                | Offset::OffsetTail(_) => None,
            };
            Some((id, offset))
        })
        .collect())
}

/// A list for librdkafka with one offset for all.
///
/// # Errors
/// When the offset cannot be expressed.
pub(super) fn list(ids: &[PartitionId], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(ids.len());
    for id in ids {
        list.add_partition_offset(&id.topic, id.partition, offset)?;
    }
    Ok(list)
}

/// The topics of partitions.
pub(super) fn names(ids: &[PartitionId]) -> BTreeSet<Arc<str>> {
    ids.iter().map(|id| id.topic.clone()).collect()
}

/// What is left until the deadline. Never zero, which some of librdkafka's calls take for "for ever".
pub(super) fn left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(clock::now())
        .max(Duration::from_millis(1))
}
