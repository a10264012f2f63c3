//! Reads what the group remembers, once, before the worker runs any target.
//!
//! A consumer of its own reads the reports topic to its end and is closed. Owns nothing after that: what
//! is written later, this worker or another that runs has written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::report::ReportKey;
use parcelhook_kafka::by_hand;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::memory::Memory;
use crate::background::{Cause, waiting};
use crate::clock;
use crate::config::Config;
use crate::park::Names;

/// How long brokers may tell nothing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One wait for a record.
const POLL: Duration = Duration::from_millis(100);

/// How long to wait before brokers that did not answer are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The topic's end is told after an empty fetch.
const OWNED: [(&str, &str); 1] = [("fetch.wait.max.ms", "10")];

/// What the group remembers. Brokers that do not answer are asked again, for ever: without an answer
/// nobody knows whose events would be read past.
pub(super) async fn recalled(config: &Config) -> Memory {
    let group = config.consumer_group();
    let topic: Arc<str> = Names::new(&config.prefix).reports().into();
    let client = config.kafka_properties_of("recall");
    loop {
        let (client, group, topic) = (client.clone(), group.clone(), Arc::clone(&topic));
        let reading = tokio::task::spawn_blocking(move || read(&client, &topic, group));
        match waiting(Cause::Fetch, reading).await {
            Ok(Ok(memory)) => return memory,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the targets of before are not known yet; asking again");
            }
            Err(error) => {
                tracing::error!(%error, "reading the targets of before was interrupted; reading again");
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Reads the topic to its end.
///
/// # Errors
/// When brokers tell nothing for a while, or what was to be read next is gone.
fn read(client: &[(String, String)], topic: &str, group: String) -> KafkaResult<Memory> {
    let consumer = by_hand(client, &format!("{group}.recall"), &OWNED)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let mut memory = Memory::new(group);
    let mut last = clock::now();
    loop {
        match consumer.poll(POLL) {
            None => quiet_for(last)?,
            Some(Ok(record)) => {
                last = clock::now();
                let at = record.timestamp().to_millis().unwrap_or(0);
                if memory.read(record.key(), record.payload(), at) {
                    let key = record.key().and_then(ReportKey::decode);
                    let target = key.and_then(|key| key.target);
                    tracing::warn!(
                        topic,
                        offset = record.offset(),
                        target = target.map(tracing::field::display),
                        "what is remembered of a target cannot be read: it was written by a later version or by somebody else"
                    );
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(memory),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    return Err(error);
                }
                // Brokers come back.
                Some(_) | None => quiet_for(last)?,
            },
        }
    }
}

fn quiet_for(last: Instant) -> KafkaResult<()> {
    if clock::now().saturating_duration_since(last) < TIMEOUT {
        return Ok(());
    }
    Err(KafkaError::MessageConsumption(
        RDKafkaErrorCode::OperationTimedOut,
    ))
}
