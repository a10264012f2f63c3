//! What is delivered in a scenario: topics full of events that tell where they come from.
//!
//! Every value begins with a mark: the numbers of its topic and partition, and its number within
//! the partition. The receiver reads the marks in whatever body they come, so that loss and order
//! are checked in the same way for every arm. Values of a [`Flow`](crate::flow::Flow) have a stamp
//! behind the mark: when they were made.

use anyhow::{Context as _, Result};
use parcelhook_env::kafka::{Event, Kafka};

/// What stands before the three numbers of a mark. No format of the worker has it in an envelope.
pub(crate) const MARK: &[u8] = br#"{"event":""#;

/// What stands between mark and stamp.
pub(crate) const STAMP: &[u8] = br#"","at":"#;

/// Random letters that values are filled from.
const LETTERS: usize = 64 * 1024;

/// The size of a load.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Shape {
    /// Topics.
    pub(crate) topics: usize,
    /// Partitions of each topic.
    pub(crate) partitions: usize,
    /// Events in all topics together.
    pub(crate) events: u64,
    /// Bytes of each value: JSON, exactly this long.
    pub(crate) event_bytes: usize,
}

impl Shape {
    /// Events that are produced together, so that each partition gets so many bytes of them.
    fn at_once(self, batch_bytes: u32) -> usize {
        let each = batch_bytes as usize / self.event_bytes.max(1);
        each.max(1) * self.partitions
    }
}

/// Topics that hold a load.
#[derive(Debug)]
pub(crate) struct Load {
    /// Their names.
    pub(crate) topics: Vec<String>,
    /// How much is in them.
    pub(crate) shape: Shape,
}

impl Load {
    /// Makes the topics and fills them: event by event over all topics, then over all partitions,
    /// so that every partition has as many. Of a partition about `batch_bytes` lie together.
    pub(crate) async fn produce(
        kafka: &Kafka,
        shape: Shape,
        batch_bytes: Option<u32>,
        seed: u64,
    ) -> Result<Self> {
        let at_once = batch_bytes.map_or(usize::MAX, |bytes| shape.at_once(bytes));
        let mut topics = Vec::with_capacity(shape.topics);
        for _ in 0..shape.topics {
            topics.push(kafka.create_topic("bench", shape.partitions, &[]).await?);
        }
        let mut values = Values::new(shape.event_bytes, seed);
        for (number, topic) in (0u64..).zip(&topics) {
            let stride = shape.topics as u64;
            let mut events = (0u64..)
                .take_while(|index| index * stride + number < shape.events)
                .map(|index| {
                    let partition = index % shape.partitions as u64;
                    let offset = index / shape.partitions as u64;
                    let mark = format!("{number}/{partition}/{offset}");
                    Event::new(values.value(&mark, None))
                        .to(i32::try_from(partition).unwrap_or(i32::MAX))
                })
                .peekable();
            while events.peek().is_some() {
                let produced = kafka.produce(topic, events.by_ref().take(at_once)).await;
                produced.context("fill the topics")?;
            }
        }
        Ok(Self { topics, shape })
    }

    /// Removes the topics, for the sake of the disk.
    pub(crate) async fn delete(&self, kafka: &Kafka) -> Result<()> {
        for topic in &self.topics {
            kafka.delete_topic(topic).await?;
        }
        Ok(())
    }
}

/// Makes values, all of one size.
#[derive(Debug)]
pub(crate) struct Values {
    bytes: usize,
    letters: Vec<u8>,
    random: fastrand::Rng,
}

impl Values {
    /// Values of `bytes` bytes; `seed` decides what fills them.
    pub(crate) fn new(bytes: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let letters = (0..LETTERS).map(|_| random.lowercase() as u8).collect();
        Self {
            bytes,
            letters,
            random,
        }
    }

    /// `{"event":"<mark>","text":"…"}`, filled up; with a stamp `{"event":"<mark>","at":<stamp>,"text":"…"}`.
    pub(crate) fn value(&mut self, mark: &str, stamp: Option<u64>) -> Vec<u8> {
        const END: &[u8] = br#""}"#;
        let mut value = Vec::with_capacity(self.bytes);
        value.extend_from_slice(MARK);
        value.extend_from_slice(mark.as_bytes());
        match stamp {
            None => value.push(b'"'),
            Some(stamp) => {
                value.extend_from_slice(STAMP);
                value.extend_from_slice(stamp.to_string().as_bytes());
            }
        }
        value.extend_from_slice(br#","text":""#);
        let wanted = self.bytes.saturating_sub(value.len() + END.len());
        let length = wanted.min(self.letters.len());
        let start = self.random.usize(..=self.letters.len() - length);
        value.extend_from_slice(&self.letters[start..start + length]);
        value.extend_from_slice(END);
        value
    }
}
