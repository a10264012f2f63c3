//! Producing: events with keys and headers, to chosen partitions, many and fast.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _},
};

use super::{Kafka, LOOK, SILENCE_MS};

pub(super) type Producer = FutureProducer;

/// Events handed to the producer before their acknowledgements are awaited. Its own queue holds ten
/// times as many, so it is never full with one caller.
const AT_ONCE: usize = 10_000;

/// One event to produce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its partition; otherwise the key decides, or chance.
    pub partition: Option<i32>,
    /// Milliseconds since the Unix epoch; otherwise now.
    pub timestamp: Option<i64>,
}

impl Event {
    /// An event of this value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// An event without a value.
    pub fn tombstone(key: impl Into<Vec<u8>>) -> Self {
        Self::default().key(key)
    }

    /// Sets the key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Chooses the partition.
    pub fn to(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp, milliseconds since the Unix epoch.
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    fn record<'a>(&'a self, topic: &'a str) -> FutureRecord<'a, [u8], [u8]> {
        let mut record = FutureRecord::to(topic);
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record.partition = self.partition;
        record.timestamp = self.timestamp;
        if !self.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(self.headers.len());
            record.headers = Some(self.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            }));
        }
        record
    }
}

/// Where events came to lie, in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Produced {
    /// Partition and offset of each event.
    pub positions: Vec<(i32, i64)>,
}

impl Produced {
    /// The offsets of each partition, in ascending order.
    pub fn by_partition(&self) -> BTreeMap<i32, Vec<i64>> {
        let mut partitions: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for (partition, offset) in &self.positions {
            partitions.entry(*partition).or_default().push(*offset);
        }
        for offsets in partitions.values_mut() {
            offsets.sort_unstable();
        }
        partitions
    }

    /// Adds what was produced later.
    pub fn extend(&mut self, later: Self) {
        self.positions.extend(later.positions);
    }
}

pub(super) fn producer(mut config: ClientConfig) -> Result<Producer> {
    config
        // No event twice or out of order, also when a broker is killed while we produce.
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        // The topic decides what is too large.
        .set("message.max.bytes", "16000000")
        // Not longer than `socket.timeout.ms`, so that a silent leader is given up.
        .set("request.timeout.ms", SILENCE_MS)
        .create()
        .context("make a producer")
}

impl Kafka {
    /// Produces `events` to `topic`; each is acknowledged by all replicas in sync on return.
    ///
    /// # Errors
    /// When Kafka does not take one of them.
    pub async fn produce(
        &self,
        topic: &str,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Produced> {
        let mut produced = Produced::default();
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let mut handed_over = Vec::new();
            for event in events.by_ref().take(AT_ONCE) {
                handed_over.push(self.hand_over(event.record(topic)).await?);
            }
            for acknowledged in try_join_all(handed_over).await? {
                let delivery = acknowledged
                    .map_err(|(error, _)| error)
                    .with_context(|| format!("produce to {topic}"))?;
                produced
                    .positions
                    .push((delivery.partition, delivery.offset));
            }
        }
        Ok(produced)
    }

    /// Lets the producer look at a topic, and returns how many partitions it sees. By itself it looks every
    /// five minutes, and a broker that is behind the others may have told it of too few.
    ///
    /// # Errors
    /// When no broker answers soon.
    pub async fn known_to_producer(&self, topic: &str) -> Result<usize> {
        let (producer, topic) = (self.producer.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let metadata = producer.client().fetch_metadata(Some(&topic), LOOK)?;
            let topics = metadata.topics();
            Ok(topics.first().map_or(0, |topic| topic.partitions().len()))
        })
        .await?
    }

    /// Waits for room when other callers have filled the producer's queue.
    async fn hand_over(&self, mut record: FutureRecord<'_, [u8], [u8]>) -> Result<DeliveryFuture> {
        loop {
            match self.producer.send_result(record) {
                Ok(acknowledgement) => return Ok(acknowledgement),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    tokio::task::yield_now().await;
                }
                Err((error, refused)) => {
                    return Err(error).with_context(|| format!("produce to {}", refused.topic));
                }
            }
        }
    }
}
