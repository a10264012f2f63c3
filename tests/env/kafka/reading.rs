//! Reading a topic back, from its first event to its last.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::Headers as _,
};

use super::{CALL, Event, Kafka};
use crate::clock;

/// One event as it lies in Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What was produced; its partition and timestamp are those that Kafka shows.
    pub event: Event,
}

impl Kafka {
    /// Every event that `topic` has now; each partition's in offset order.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub async fn read(&self, topic: &str) -> Result<Vec<Read>> {
        let bounds = self.bounds(topic).await?;
        let name = topic.to_owned();
        self.ask("nobody", move |consumer| {
            let mut events = Vec::new();
            for (partition, (beginning, end)) in bounds {
                read_partition(consumer, &name, partition, beginning..end, &mut events)?;
            }
            Ok(events)
        })
        .await
        .with_context(|| format!("read topic {topic}"))
    }
}

/// Reads until the position reaches the end: the last offsets may be taken by transaction markers
/// or have been compacted away, so the last event need not be at `end - 1`.
fn read_partition(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    offsets: std::ops::Range<i64>,
    events: &mut Vec<Read>,
) -> Result<()> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(offsets.start))?;
    consumer.assign(&assignment)?;
    let deadline = clock::now() + CALL;
    let mut next = offsets.start;
    // A broker that was killed or paused makes errors until another one leads.
    let mut last_error = None;
    while next < offsets.end {
        ensure!(
            clock::now() < deadline,
            "{topic}/{partition}: at offset {next} of {} after {CALL:?}; last error: {last_error:?}",
            offsets.end
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                next = message.offset() + 1;
                events.push(Read {
                    partition,
                    offset: message.offset(),
                    event: event(&message),
                });
            }
            Some(Err(error)) => last_error = Some(error),
            None => next = position(consumer, topic, partition)?.unwrap_or(next),
        }
    }
    Ok(())
}

/// The offset of the next event to come, once one has come.
fn position(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<Option<i64>> {
    let positions = consumer.position()?;
    let found = positions.find_partition(topic, partition);
    Ok(found.and_then(|element| element.offset().to_raw().filter(|offset| *offset >= 0)))
}

fn event(message: &rdkafka::message::BorrowedMessage<'_>) -> Event {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let all = headers.iter();
        all.map(|header| {
            let value = header.value.unwrap_or_default();
            (header.key.to_owned(), value.to_vec())
        })
        .collect()
    });
    Event {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        partition: Some(message.partition()),
        timestamp: message.timestamp().to_millis(),
    }
}
