//! The load: events written to every partition at a steady rate, with the time of their writing.
//!
//! A partition's events are written one after the other. While its leader is away they are late, and
//! then come in a burst.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::{Kafka, Produced},
};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    judge::Seen,
    source::{PARTITIONS, PARTITIONS_MOST, Place, Source},
    witness::Witness,
};

/// How long a partition more may take, also while brokers are away.
const GROWS: Duration = Duration::from_secs(180);

/// How often an event is produced again that a broker takes to be too large.
const TRIES: u32 = 600;

/// The pause before that.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Writes until it is told to stop.
#[derive(Debug)]
pub(crate) struct Load {
    kafka: Arc<Kafka>,
    topics: Vec<String>,
    source: Source,
    /// The pause between two events of a partition.
    every: Duration,
    witness: Arc<Witness>,
    writers: Mutex<JoinSet<Result<()>>>,
    /// How many partitions of each topic are written.
    partitions: Mutex<Vec<u8>>,
    stop: Arc<AtomicBool>,
}

struct Writer {
    kafka: Arc<Kafka>,
    topic: String,
    place: Place,
    source: Source,
    witness: Arc<Witness>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Begins to write `rate` events a second to each partition of `topics`.
    pub(crate) async fn start(
        kafka: &Arc<Kafka>,
        topics: &[String],
        source: Source,
        rate: u32,
        witness: &Arc<Witness>,
    ) -> Result<Self> {
        let load = Self {
            kafka: Arc::clone(kafka),
            topics: topics.to_vec(),
            source,
            every: Duration::from_secs(1) / rate.max(1),
            witness: Arc::clone(witness),
            writers: Mutex::default(),
            partitions: Mutex::new(vec![PARTITIONS; topics.len()]),
            stop: Arc::default(),
        };
        for place in Place::first() {
            load.write(place).await?;
        }
        Ok(load)
    }

    /// Adds a partition to a topic and begins to write it. Says no when it has enough.
    pub(crate) async fn add_partition(&self, topic: u8) -> Result<bool> {
        let mut partitions = self.partitions.lock().await;
        let count = partitions.get_mut(usize::from(topic)).context("a topic")?;
        if *count == PARTITIONS_MOST {
            return Ok(false);
        }
        let partition = *count;
        let (name, total) = (self.topic(topic)?, usize::from(partition) + 1);
        eventually(
            &format!("a partition more of {name}"),
            GROWS,
            async || match self.kafka.partitions(name).await?.len() == total {
                true => Ok(()),
                false => self.kafka.add_partitions(name, total).await,
            },
        )
        .await?;
        *count += 1;
        drop(partitions);
        self.write(Place { topic, partition }).await?;
        Ok(true)
    }

    /// Stops, and waits until what was begun is written.
    ///
    /// # Errors
    /// When Kafka did not take an event, or did not put it where it belongs.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut writers = self.writers.lock().await;
        while let Some(ended) = writers.join_next().await {
            ended.context("a writer of the load")??;
        }
        Ok(())
    }

    async fn write(&self, place: Place) -> Result<()> {
        let writer = Writer {
            kafka: Arc::clone(&self.kafka),
            topic: self.topic(place.topic)?.to_owned(),
            place,
            source: self.source,
            witness: Arc::clone(&self.witness),
            stop: Arc::clone(&self.stop),
        };
        let writing = writer.write(self.every);
        self.writers.lock().await.spawn(writing);
        Ok(())
    }

    fn topic(&self, number: u8) -> Result<&str> {
        let topic = self.topics.get(usize::from(number));
        topic
            .map(String::as_str)
            .context("a topic for every number")
    }
}

impl Writer {
    async fn write(self, every: Duration) -> Result<()> {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut seq = 0;
        while !self.stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            let produced = self.produce(seq).await?;
            // What else is said about offsets stands on this.
            let expected = [(i32::from(self.place.partition), seq)];
            let place = self.place;
            ensure!(
                produced.positions == expected,
                "event {seq} of {place} came to lie at {:?}",
                produced.positions
            );
            seq += 1;
            self.witness.see(&Seen::Produced { place, end: seq });
        }
        Ok(())
    }
}

impl Writer {
    /// Brokers that have just come back may not know yet how large the topic's events may be, nor all of
    /// its partitions.
    async fn produce(&self, seq: i64) -> Result<Produced> {
        let made = now_ms();
        let mut left = TRIES;
        loop {
            let event = self.source.event(self.place, seq, made);
            match self.kafka.produce(&self.topic, [event]).await {
                Err(error) if was_not_written(&error) && left > 0 => left -= 1,
                // Of any other error nobody knows what became of the event.
                answer => return answer,
            }
            sleep(BETWEEN_TRIES).await;
            // Whether it hears anything is seen at the next try.
            let _ = self.kafka.known_to_producer(&self.topic).await;
        }
    }
}

/// Whether the event was refused before it was written anywhere.
fn was_not_written(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<KafkaError>();
    matches!(
        code.and_then(KafkaError::rdkafka_error_code),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::UnknownPartition)
    )
}

/// Milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the time of day is read"
)]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
