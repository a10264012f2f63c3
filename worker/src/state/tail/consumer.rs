//! The consumer of the lanes topic: its properties, and the one question it asks brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parcelhook_kafka::{ByHand, by_hand};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::TailConfig;
use crate::source::SourceError;

/// Properties that the tail rests on, whatever is configured for the source topics.
const OWNED: [(&str, &str); 3] = [
    // A question to a broker waits behind an empty fetch, and a new owner waits for the answer.
    ("fetch.wait.max.ms", "100"),
    // Rows are small, and are folded faster than they come.
    ("queued.max.messages.kbytes", "2048"),
    ("queued.min.messages", "1000"),
];

/// Makes the consumer. It does nothing before it is assigned.
///
/// # Errors
/// When librdkafka refuses a property.
pub(super) fn connect(config: &TailConfig) -> Result<ByHand, SourceError> {
    let name = format!("{}.lanes-tail", config.group);
    by_hand(&config.client, &name, &OWNED).map_err(SourceError::configuration)
}

/// Whether an error says that the offset that is wanted is not in the log.
pub(super) fn is_lost(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation
        )
    )
}

/// The ends of partitions of a topic, as far as brokers named them.
///
/// # Errors
/// When a whole question fails or the time is over.
pub(super) fn ends(
    consumer: &ByHand,
    topic: &str,
    partitions: &BTreeSet<i32>,
    timeout: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    // ListOffsets takes -1 in the place of a timestamp for the end.
    let answer = consumer.offsets_for_times(list(topic, partitions, Offset::End)?, timeout)?;
    let named = answer.elements();
    let ends = named
        .iter()
        .filter(|element| element.error().is_ok())
        .filter_map(|element| match element.offset() {
            Offset::Offset(end) => Some((element.partition(), end)),
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        });
    Ok(ends.collect())
}

/// A list for librdkafka with one offset for all.
///
/// # Errors
/// When the offset cannot be expressed.
pub(super) fn list<'a>(
    topic: &str,
    partitions: impl IntoIterator<Item = &'a i32>,
    offset: Offset,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}
