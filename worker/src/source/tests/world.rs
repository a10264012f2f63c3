//! A mock cluster, a worker with one shard, and what the shard does with its records.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use parcelhook_crds::compiled::StartFrom;
use parcelhook_crds::lane::Epoch;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::channel;
use uuid::Uuid;

use super::shard::{Habit, Log, Seen, Shard};
use crate::clock;
use crate::report::SourceReport;
use crate::source::record::Record;
use crate::source::{
    SHARD_INBOX_MESSAGES, ShardMessage, SourceConfig, SourceHandle, Subscription, TopicDemand,
    prepare,
};

/// The byte budget of every worker here.
pub(super) const BUDGET: u64 = 512 * 1024;

/// Long enough that only a real hang reaches it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A mock cluster of one broker.
pub(super) struct Cluster {
    pub(super) mock: MockCluster<'static, DefaultProducerContext>,
    servers: String,
    producer: FutureProducer,
}

impl Cluster {
    pub(super) fn with_topic(topic: &str, partitions: i32) -> Self {
        // `RUST_LOG=debug` shows what the thread does; only the first test of a run sets it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .try_init();
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(topic, partitions, 1).unwrap();
        let servers = mock.bootstrap_servers();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .create()
            .unwrap();
        Self {
            mock,
            servers,
            producer,
        }
    }

    /// Writes records whose values are the numbers.
    pub(super) async fn produce(&self, topic: &str, partition: i32, numbers: Range<i64>) {
        for number in numbers {
            let value = number.to_string();
            let record: FutureRecord<'_, str, String> =
                FutureRecord::to(topic).partition(partition).payload(&value);
            self.producer.send(record, PATIENCE).await.unwrap();
        }
    }

    pub(super) async fn produce_large(&self, topic: &str, partition: i32, n: i64, bytes: usize) {
        let value = "x".repeat(bytes);
        for _ in 0..n {
            let record: FutureRecord<'_, str, String> =
                FutureRecord::to(topic).partition(partition).payload(&value);
            self.producer.send(record, PATIENCE).await.unwrap();
        }
    }

    /// One record with everything, one with nothing.
    pub(super) async fn produce_odd_records(&self, topic: &str) {
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "a",
                value: Some(&b"\xff"[..]),
            })
            .insert(Header {
                key: "a",
                value: None::<&[u8]>,
            });
        let full = FutureRecord::to(topic)
            .partition(0)
            .key("k")
            .payload(&b"v\0"[..])
            .headers(headers);
        self.producer.send(full, PATIENCE).await.unwrap();
        let bare: FutureRecord<'_, str, str> = FutureRecord::to(topic).partition(0);
        self.producer.send(bare, PATIENCE).await.unwrap();
    }

    pub(super) fn refuse_list_offsets(&self, errors: &[RDKafkaRespErr]) {
        self.mock.request_errors(RDKafkaApiKey::ListOffsets, errors);
    }

    /// What a group has committed, asked by a consumer that is no member.
    pub(super) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let answer = consumer.committed_offsets(list, PATIENCE).unwrap();
        let elements = answer.elements();
        if let Offset::Offset(offset) = elements[0].offset() {
            Some(offset)
        } else {
            None
        }
    }
}

/// A worker: the consumer thread and one shard.
pub(super) struct Worker {
    pub(super) handle: SourceHandle,
    seen: Arc<Seen>,
    thread: Mutex<Option<JoinHandle<()>>>,
    nudge: tokio::sync::mpsc::Sender<ShardMessage>,
}

impl Worker {
    pub(super) fn start(cluster: &Cluster, group: &str, habit: Habit) -> Self {
        let config = SourceConfig {
            client: crate::config::KAFKA_DEFAULTS
                .into_iter()
                .chain([
                    ("bootstrap.servers", cluster.servers.as_str()),
                    ("session.timeout.ms", "6000"),
                    ("heartbeat.interval.ms", "500"),
                    ("reconnect.backoff.max.ms", "500"),
                ])
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            group: group.to_owned(),
            budget_bytes: BUDGET,
            let_go: Duration::from_secs(5),
        };
        let (sender, inbox) = channel(SHARD_INBOX_MESSAGES);
        let (handle, thread) = prepare(config, vec![sender.clone()]).unwrap();
        let seen = Arc::new(Seen {
            log: Mutex::default(),
            grew: Condvar::new(),
            habit: Mutex::new(habit),
        });
        let shard = Shard::new(seen.clone());
        std::thread::Builder::new()
            .spawn(move || shard.run(inbox))
            .unwrap();
        let thread = std::thread::Builder::new()
            .spawn(move || thread.run())
            .unwrap();
        Self {
            handle,
            seen,
            thread: Mutex::new(Some(thread)),
            nudge: sender,
        }
    }

    pub(super) async fn subscribe(&self, topic: &str, from: StartFrom) {
        let demand = TopicDemand {
            starts: BTreeMap::from([(Uuid::from_u128(1), from)]),
        };
        let subscription = Subscription::from([(topic.to_owned(), demand)]);
        self.handle.subscribe(subscription).await.unwrap();
    }

    /// What came of a partition, by offset.
    pub(super) fn offsets(&self, topic: &str, partition: i32) -> Vec<i64> {
        self.seen.log.lock().unwrap().offsets(topic, partition)
    }

    /// Everything that came.
    pub(super) fn records(&self) -> Vec<Record> {
        let log = self.seen.log.lock().unwrap();
        log.records
            .iter()
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// Epochs that the group's commits had when partitions were assigned.
    pub(super) fn found(&self) -> Vec<(i32, Option<Epoch>)> {
        self.seen.log.lock().unwrap().found.clone()
    }

    /// The commits that the shard was told of.
    pub(super) fn told(&self) -> Vec<(i32, Epoch, i64)> {
        self.seen.log.lock().unwrap().told.clone()
    }

    pub(super) async fn told_of(&self, commits: usize) {
        self.until("told of commits", move |log| log.told.len() >= commits)
            .await;
    }

    pub(super) async fn received(&self, records: usize) {
        self.until("received", move |log| log.records.len() >= records)
            .await;
    }

    pub(super) async fn received_of(&self, topic: &'static str, partition: i32, records: usize) {
        self.until("received of a partition", move |log| {
            log.offsets(topic, partition).len() >= records
        })
        .await;
    }

    pub(super) async fn received_to(&self, topic: &'static str, partition: i32, offset: i64) {
        self.until("received to an offset", move |log| {
            log.offsets(topic, partition).last() == Some(&offset)
        })
        .await;
    }

    pub(super) async fn lost(&self, cause: &str) -> i64 {
        let report = self.handle.report().await.unwrap();
        report.events_lost[cause].try_into().unwrap()
    }

    pub(super) async fn paused(&self, topic: &str, partition: i32) {
        self.reports("paused", |report| {
            report
                .partitions
                .iter()
                .any(|found| &*found.topic == topic && found.partition == partition && found.paused)
        })
        .await;
    }

    async fn until(&self, what: &str, done: impl Fn(&Log) -> bool + Send + 'static) {
        let seen = self.seen.clone();
        let (count, timed_out) = tokio::task::spawn_blocking(move || {
            let log = seen.log.lock().unwrap();
            let (log, result) = seen
                .grew
                .wait_timeout_while(log, PATIENCE, |log| !done(log))
                .unwrap();
            (log.records.len(), result.timed_out())
        })
        .await
        .unwrap();
        assert!(!timed_out, "not {what}: {count} records came");
    }

    /// Waits for a report; the consumer thread answers at its own pace, which paces the loop.
    async fn reports(&self, what: &str, wanted: impl Fn(&SourceReport) -> bool) {
        let deadline = clock::now() + PATIENCE;
        loop {
            let report = self.handle.report().await.unwrap();
            if wanted(&report) {
                return;
            }
            assert!(clock::now() < deadline, "not {what}: {report:?}");
        }
    }

    /// The numbers of the partitions that the worker owns, and how many of its commits were refused.
    pub(super) async fn keeps(&self) -> (Vec<i32>, u64) {
        let report = self.handle.report().await.unwrap();
        let partitions = report.partitions.iter();
        let numbers = partitions.map(|partition| partition.partition).collect();
        (numbers, report.commits_failed)
    }

    pub(super) async fn owns(&self, partitions: usize) {
        self.reports(&format!("owner of {partitions}"), |report| {
            report.joined && report.partitions.len() == partitions
        })
        .await;
    }

    pub(super) async fn committed(&self, topic: &str, offsets: &[(i32, i64)]) {
        self.reports(&format!("committed {offsets:?}"), |report| {
            offsets.iter().all(|(partition, offset)| {
                report.partitions.iter().any(|found| {
                    &*found.topic == topic
                        && found.partition == *partition
                        && found.committed == Some(*offset)
                })
            })
        })
        .await;
    }

    /// Waits until reading has come to a stop although there is more to read.
    pub(super) async fn all_paused_or_full(&self) {
        self.reports("stopped", |report| {
            let all_paused = report.partitions.iter().all(|partition| partition.paused);
            !report.partitions.is_empty() && (all_paused || report.bytes_in_flight >= BUDGET)
        })
        .await;
    }

    /// The shard behaves otherwise from now on, also towards what it holds.
    pub(super) fn change(&self, habit: Habit) {
        *self.seen.habit.lock().unwrap() = habit;
        let nudge = ShardMessage::Records(Vec::new());
        self.nudge.try_send(nudge).unwrap();
    }

    pub(super) async fn shut_down(&self) {
        self.handle
            .shut_down(clock::now() + Duration::from_secs(10))
            .await;
        self.join().await;
    }

    pub(super) async fn drop_handle(self) {
        let thread = self.thread.lock().unwrap().take().unwrap();
        drop(self.handle);
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap();
    }

    async fn join(&self) {
        let thread = self.thread.lock().unwrap().take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(|| thread.join().unwrap())
                .await
                .unwrap();
        }
    }
}
