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
use parcelhook_env::kafka::Kafka;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    judge::Seen,
    source::{Place, Source},
    witness::Witness,
};

/// Writes until it is told to stop.
#[derive(Debug)]
pub(crate) struct Load {
    writers: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Begins to write `rate` events a second to each partition of `topics`.
    pub(crate) fn start(
        kafka: &Arc<Kafka>,
        topics: &[String],
        source: Source,
        rate: u32,
        witness: &Arc<Witness>,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for place in Place::all() {
            let topic = topics.get(usize::from(place.topic));
            let writer = Writer {
                kafka: Arc::clone(kafka),
                topic: topic.context("a topic for every number")?.clone(),
                place,
                source,
                witness: Arc::clone(witness),
                stop: Arc::clone(&stop),
            };
            writers.spawn(writer.write(Duration::from_secs(1) / rate.max(1)));
        }
        Ok(Self { writers, stop })
    }

    /// Stops, and waits until what was begun is written.
    ///
    /// # Errors
    /// When Kafka did not take an event, or did not put it where it belongs.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended.context("a writer of the load")??;
        }
        Ok(())
    }
}

struct Writer {
    kafka: Arc<Kafka>,
    topic: String,
    place: Place,
    source: Source,
    witness: Arc<Witness>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    async fn write(self, every: Duration) -> Result<()> {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut seq = 0;
        while !self.stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            let event = self.source.event(self.place, seq, now_ms());
            let produced = self.kafka.produce(&self.topic, [event]).await?;
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

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where events get the time of their writing"
)]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
