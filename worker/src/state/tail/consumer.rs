//! The consumer of the lanes topic: its properties, its log, and the one question it asks brokers.
//!
//! It is assigned by hand and a member of no group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parcelhook_kafka::Journal;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::TailConfig;
use crate::clock;
use crate::source::SourceError;

/// Properties that the tail rests on, whatever is configured for the source topics.
const OWNED: [(&str, &str); 10] = [
    // Nothing of its own is remembered: each start reads everything.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // A stray transaction in our topic must not hold its readers up.
    ("isolation.level", "read_uncommitted"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
    ("statistics.interval.ms", "0"),
    // A question to a broker waits behind an empty fetch, and a new owner waits for the answer.
    ("fetch.wait.max.ms", "100"),
    // Rows are small, and are folded faster than they come.
    ("queued.max.messages.kbytes", "2048"),
    ("queued.min.messages", "1000"),
];

/// The consumer of the lanes topic.
pub(super) type TailConsumer = BaseConsumer<Context>;

/// The context of the tail's consumer: its log.
#[derive(Debug, Default)]
pub(super) struct Context(Journal);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Who reads is told of the topic's end, and that is no news.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.0.error(clock::now(), &error, reason);
        }
    }
}

impl ConsumerContext for Context {}

/// Makes the consumer. It does nothing before it is assigned.
///
/// # Errors
/// When librdkafka refuses a property.
pub(super) fn connect(config: &TailConfig) -> Result<TailConsumer, SourceError> {
    let mut client = ClientConfig::new();
    for (key, value) in &config.client {
        client.set(key, value);
    }
    for (key, value) in OWNED {
        client.set(key, value);
    }
    // librdkafka wants a group to assign by hand; it is never joined.
    client.set("group.id", format!("{}.lanes-tail", config.group));
    client.remove("group.instance.id");
    client.set_log_level(RDKafkaLogLevel::Info);
    client
        .create_with_context(Context::default())
        .map_err(SourceError::configuration)
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
    consumer: &TailConsumer,
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
