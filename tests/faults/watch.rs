//! The watch beside a run: it reads what the group has committed, again and again, then what was
//! parked until then, and how much memory the workers have.
//!
//! It never joins the group. Brokers that are away make a look fail; the next one is soon. A look is
//! judged when the retry and the lanes topic were read beyond where they ended after it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use parcelhook_env::kafka::{Access, Kafka};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::task::JoinHandle;

use crate::{
    fleet::Fleet,
    judge::Seen,
    source::{Place, Source},
    tail::{Ends, Tail},
    witness::Witness,
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(3);
/// How long reading what is parked may keep the next look waiting.
const READ: Duration = Duration::from_millis(400);
/// How long it may take when the run is over.
const READ_AT_LAST: Duration = Duration::from_secs(60);
/// Every so many looks memory is looked at.
const MEMORY_EVERY: u64 = 5;

/// A running watch.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: SyncSender<()>,
    thread: JoinHandle<u64>,
}

struct Watcher {
    consumer: BaseConsumer,
    wanted: TopicPartitionList,
    topics: Vec<String>,
    fleet: Arc<Fleet>,
    witness: Arc<Witness>,
    last: BTreeMap<Place, (i64, Option<String>)>,
    tail: Tail,
    /// The last look that nobody has judged, and where the topics ended after it, at which time.
    unjudged: Option<(u64, Option<(Ends, u64)>)>,
}

impl Watch {
    /// Begins to look at the commits of `group`.
    pub(crate) fn start(
        kafka: &Kafka,
        (group, source): (&str, Source),
        topics: &[String],
        fleet: &Arc<Fleet>,
        witness: &Arc<Witness>,
    ) -> Result<Self> {
        let mut config = kafka.client(Access::Plaintext);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("socket.timeout.ms", "3000")
            .set("auto.offset.reset", "error");
        let mut wanted = TopicPartitionList::new();
        for place in Place::every() {
            let topic = topics.get(usize::from(place.topic)).context("a topic")?;
            wanted.add_partition(topic, place.partition.into());
        }
        let watcher = Watcher {
            consumer: config.create().context("make a client for the watch")?,
            wanted,
            topics: topics.to_vec(),
            fleet: Arc::clone(fleet),
            witness: Arc::clone(witness),
            last: BTreeMap::new(),
            tail: Tail::new(kafka, source, topics)?,
            unjudged: None,
        };
        let (stop, stops) = sync_channel(1);
        let thread = tokio::task::spawn_blocking(move || watcher.watch(&stops));
        Ok(Self { stop, thread })
    }

    /// Ends it, and returns how many looks at the commits came to something.
    pub(crate) async fn stop(self) -> Result<u64> {
        // Full or without a listener, it stops all the same.
        let _ = self.stop.try_send(());
        self.thread.await.context("the watch")
    }
}

impl Watcher {
    fn watch(mut self, stops: &Receiver<()>) -> u64 {
        let mut looks = 0;
        for turn in 0.. {
            match stops.recv_timeout(PAUSE) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.look(looks) {
                looks += 1;
            }
            self.judge(READ);
            if turn % MEMORY_EVERY == 0 {
                self.fleet.sample();
            }
        }
        self.judge(READ_AT_LAST);
        if self.look(looks) {
            looks += 1;
        }
        self.judge(READ_AT_LAST);
        looks
    }

    /// Reads the commits, and tells those that have moved. Returns whether anybody answered.
    fn look(&mut self, look: u64) -> bool {
        let Ok(found) = self.consumer.committed_offsets(self.wanted.clone(), LOOK) else {
            return false;
        };
        for element in found.elements() {
            let topic = self
                .topics
                .iter()
                .position(|topic| topic == element.topic());
            let topic = topic.and_then(|topic| u8::try_from(topic).ok());
            let partition = u8::try_from(element.partition()).ok();
            let (Some(topic), Some(partition), Offset::Offset(offset)) =
                (topic, partition, element.offset())
            else {
                continue;
            };
            let place = Place { topic, partition };
            let epoch = epoch(element.metadata()).map(str::to_owned);
            let found = (offset, epoch.clone());
            if self.last.insert(place, found.clone()) != Some(found) {
                self.witness.see(&Seen::Committed {
                    look,
                    place,
                    offset,
                    epoch,
                });
            }
        }
        // One whose ends are known is judged first, or none ever were while much is parked.
        if !matches!(self.unjudged, Some((_, Some(_)))) {
            self.unjudged = Some((look, None));
        }
        true
    }

    /// Reads what was parked, so that the look that waits can be judged.
    fn judge(&mut self, lasts: Duration) {
        let Some((look, ends)) = self.unjudged.take() else {
            return;
        };
        let asked_ms = self.witness.ms();
        let ends = ends.or_else(|| Some((self.tail.ends()?, asked_ms)));
        let Some((ends, asked_ms)) = ends else {
            self.unjudged = Some((look, None));
            return;
        };
        if self.tail.read(&ends, lasts, &self.witness) {
            self.witness.see(&Seen::Tailed { look, asked_ms });
        } else {
            self.unjudged = Some((look, Some((ends, asked_ms))));
        }
    }
}

/// The epoch in the metadata of a commit.
fn epoch(metadata: &str) -> Option<&str> {
    let mut parts = metadata.strip_prefix("v1;")?.split(';');
    parts.find_map(|part| part.strip_prefix("epoch="))
}
