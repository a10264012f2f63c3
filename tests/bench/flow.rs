//! Events that come at a steady rate, each stamped with the moment when it was made.
//!
//! They go to the topics in turn, and in each to its partitions in turn. A flow that was held up
//! catches up at once; an event's stamp is always the moment when it was really made.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use parcelhook_env::{
    clock,
    kafka::{Event, Kafka},
};
use parcelhook_worker::clock::since_boot;

use crate::load::{Shape, Values};

/// Pause between two portions.
const PORTIONS: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Flow {
    topics: Vec<String>,
    partitions: u64,
    /// Events a second.
    rate: f64,
    values: Values,
    made: u64,
    since: Option<Instant>,
}

impl Flow {
    /// Makes topics of this shape; the events come later.
    pub(crate) async fn new(kafka: &Kafka, shape: Shape, rate: f64, seed: u64) -> Result<Self> {
        let mut topics = Vec::with_capacity(shape.topics);
        for _ in 0..shape.topics {
            topics.push(kafka.create_topic("flow", shape.partitions, &[]).await?);
        }
        Ok(Self {
            topics,
            partitions: shape.partitions as u64,
            rate,
            values: Values::new(shape.event_bytes, seed),
            made: 0,
            since: None,
        })
    }

    /// Its topics.
    pub(crate) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Events made up to now.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Goes on until this many events were made in all.
    pub(crate) async fn until(&mut self, kafka: &Kafka, events: u64) -> Result<()> {
        self.flow(kafka, events, || true).await
    }

    /// Goes on while `wanted` says so.
    pub(crate) async fn while_wanted(
        &mut self,
        kafka: &Kafka,
        wanted: impl Fn() -> bool,
    ) -> Result<()> {
        self.flow(kafka, u64::MAX, wanted).await
    }

    async fn flow(&mut self, kafka: &Kafka, events: u64, wanted: impl Fn() -> bool) -> Result<()> {
        let since = *self.since.get_or_insert_with(clock::now);
        while self.made < events && wanted() {
            let passed = clock::now().saturating_duration_since(since);
            let due = ((passed.as_secs_f64() * self.rate) as u64).min(events);
            self.portion(kafka, due).await?;
            tokio::time::sleep(PORTIONS).await;
        }
        Ok(())
    }

    /// Makes what is due, and waits until Kafka has it.
    async fn portion(&mut self, kafka: &Kafka, due: u64) -> Result<()> {
        let topics = self.topics.len() as u64;
        let mut portions = vec![Vec::new(); self.topics.len()];
        for index in self.made..due {
            let (topic, turn) = (index % topics, index / topics);
            let (partition, offset) = (turn % self.partitions, turn / self.partitions);
            let mark = format!("{topic}/{partition}/{offset}");
            let stamp = u64::try_from(since_boot().as_micros()).unwrap_or(u64::MAX);
            let value = self.values.value(&mark, Some(stamp));
            let event = Event::new(value).to(i32::try_from(partition)?);
            portions[usize::try_from(topic)?].push(event);
        }
        self.made = self.made.max(due);
        let portions = self.topics.iter().zip(portions);
        let made = portions.filter(|(_, events)| !events.is_empty());
        try_join_all(made.map(|(topic, events)| kafka.produce(topic, events))).await?;
        Ok(())
    }

    /// Removes the topics, for the sake of the disk.
    pub(crate) async fn delete(self, kafka: &Kafka) -> Result<()> {
        for topic in &self.topics {
            kafka.delete_topic(topic).await?;
        }
        Ok(())
    }
}
