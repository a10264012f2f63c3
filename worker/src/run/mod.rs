//! The whole worker: what is started, in which order, and how it ends.
//!
//! ```text
//!   start   targets ─▶ admin port ─▶ own topics ─▶ the group's memory ─▶ producer, reader, tail ─▶ shards
//!           ─▶ consumer thread ─▶ supervisor (targets, then topics)
//!   stop    consumer (lets go, commits) ─▶ shards (their inboxes close) ─▶ everything else
//! ```
//!
//! Owns the order and the handles. What the parts do is theirs.

mod behind;
mod heap;
mod heart;
mod heartbeat;
mod memory;
mod outlet;
mod own_topics;
mod pages;
mod recall;
mod remembering;
mod reporter;
mod roster;
mod source_retention;
mod supervisor;
mod targets_from;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::report::ReportKey;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::admin::{Admin, AdminError};
use crate::background::{Background, Leftover, StartError as ThreadError, Task};
use crate::clock;
use crate::config::{Cluster, Config};
use crate::delivery::Client;
use crate::delivery::egress::Policy;
use crate::lane::driver::{Driver, Mail, REQUESTS, Request};
use crate::lane::surroundings::Surroundings;
use crate::park::Names;
use crate::park::produce::{Producer, ProducerConfig, ProducerError};
use crate::park::reader::{self, BucketEnds, ReaderConfig, ReaderError, ReaderHandle};
use crate::park::topics::{Internal, TopicsError};
use crate::source::{
    SHARD_INBOX_MESSAGES, ShardMessage, SourceConfig, SourceError, SourceHandle, SourceThread,
};
use crate::state::tail::{self, TailConfig};
use crate::targets::{ConnectError, OpenError, Snapshot};

pub(crate) use heap::limit_arenas;
use heartbeat::Heartbeats;
use outlet::ShardOutlet;
use remembering::Remembering;
pub use reporter::Reporter;
use reporter::{LateReporter, OwnTopics};
use source_retention::SourceRetention;
use supervisor::{Applied, Supervisor};
use targets_from::Targets;

/// Orders that a shard may have open with the producer.
const ORDERS_OPEN: usize = 4_096;

/// Answers of the tail and of the reader that may wait for a shard.
const ANSWERS: usize = 256;

/// What is left of the shutdown's time for shards and admin port once the partitions were let go.
const AFTER_LETTING_GO: Duration = Duration::from_millis(500);

/// Why the worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The targets cannot be read at all.
    #[error(transparent)]
    Targets(#[from] OpenError),
    /// It is not known who has the targets.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Kafka's client.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The worker's own topics.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// Kafka's producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The reader of the retry topic.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// A thread.
    #[error(transparent)]
    Thread(#[from] ThreadError),
}

/// A worker that runs.
#[derive(Debug)]
pub struct Worker {
    background: Background,
    source: SourceHandle,
    reporter: Reporter,
    producer: Producer,
    reader: ReaderHandle,
    heartbeat: Task,
    identity: ReportKey,
    admin: SocketAddr,
    grace: Duration,
}

impl Worker {
    /// Starts everything. Brokers that cannot be reached are no error: the worker keeps trying.
    ///
    /// # Errors
    /// When the targets cannot be read, the admin port is taken, or a client or thread cannot be made.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let background = Background::new();
        let targets = Targets::open(config).await?;
        let admin = Admin::bind(config.admin_listen)?;
        let address = admin.address();
        let reporter = LateReporter::default();
        admin.serve(&background, reporter.clone(), background.stopping())?;
        let internal = own_topics::settled(config).await?;
        let memory = recall::recalled(config).await;
        let started = start_shards(config, &background, &internal)?;
        let (source, consumer) = crate::source::prepare(source_config(config), started.inboxes)?;
        start_consumer(&background, consumer)?;
        let (snapshots, applied) = start_targets(&background, targets);
        let identity = ReportKey::of_worker(&config.consumer_group(), &Uuid::new_v4().to_string());
        let heartbeat = Heartbeats {
            key: identity.clone(),
            producer: started.producer.clone(),
            source: source.clone(),
            snapshots: snapshots.clone(),
            applied: applied.subscribe(),
        };
        let heartbeat = background.spawn("heartbeat", heartbeat.run());
        watch_source_retention(config, &background, &started.shards, applied.subscribe());
        let remembering = Remembering::new(memory, started.producer.clone());
        let supervisor =
            Supervisor::new(config, started.shards.clone(), source.clone(), remembering);
        let now_known = Reporter::new(
            started.shards,
            source.clone(),
            started.own_topics,
            snapshots.clone(),
            applied.subscribe(),
        );
        reporter.is(now_known.clone());
        background.spawn("supervisor", supervisor.run(snapshots, applied));
        Ok(Self {
            background,
            source,
            reporter: now_known,
            producer: started.producer,
            reader: started.reader,
            heartbeat,
            identity,
            admin: address,
            grace: config.shutdown_grace,
        })
    }

    /// Tells what the worker knows of itself.
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Where the admin port listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until reading cannot go on; the worker must be stopped then.
    pub async fn failed(&self) -> SourceError {
        self.source.failed().await
    }

    /// Lets go of everything within the configured grace: attempts in flight may end, what was
    /// delivered is committed. Tells what had to be cut off.
    pub async fn stop(mut self) -> Leftover {
        let deadline: Instant = clock::now() + self.grace;
        self.source.shut_down(deadline).await;
        self.heartbeat.cancel();
        self.heartbeat.ended().await;
        // Whoever listens need not wait until the silence is long.
        self.producer.tell(&self.identity, None);
        let rest = deadline.max(clock::now() + AFTER_LETTING_GO);
        self.producer.shut_down(rest).await;
        self.reader.shut_down(rest).await;
        let Self {
            background,
            source,
            reporter,
            reader,
            ..
        } = self;
        drop((source, reporter, reader));
        background.shutdown(rest).await
    }
}

type Shards = Arc<[mpsc::Sender<Request>]>;

/// The shards, and what they reach the worker's own topics by.
struct Started {
    inboxes: Vec<mpsc::Sender<ShardMessage>>,
    shards: Shards,
    producer: Producer,
    reader: ReaderHandle,
    own_topics: OwnTopics,
}

/// Starts the producer, the reader, the tail, and one thread a shard with a runtime and an HTTP client
/// of its own.
fn start_shards(
    config: &Config,
    background: &Background,
    internal: &Internal,
) -> Result<Started, StartError> {
    let count = config.shards.get();
    let (inboxes, messages) = channels(count, SHARD_INBOX_MESSAGES);
    let (requests, asked) = channels(count, REQUESTS);
    let (answers, produced) = channels(count, ORDERS_OPEN);
    let (tells, told) = channels(count, ANSWERS);
    let (reads, read) = channels(count, ANSWERS);
    let producer = Producer::new(producer_config(config, internal), answers)?;
    let (reader, reader_thread) = reader::prepare(reader_config(config, internal), reads)?;
    let (tail, tail_thread) = tail::prepare(tail_config(config, internal), tells)?;
    background.thread("retry-reader", move || reader_thread.run())?;
    background.thread("lanes-tail", move || tail_thread.run())?;
    let own_topics = OwnTopics {
        producer: producer.clone(),
        retry_unreadable: reader.unreadable(),
        lanes_unreadable: tail.unreadable(),
    };
    let shards: Shards = requests.into();
    let mail = messages
        .into_iter()
        .zip(asked)
        .zip(produced)
        .zip(told)
        .zip(read);
    for (shard, ((((inbox, requests), produced), told), read)) in (0_u32..).zip(mail) {
        let mail = Mail {
            inbox,
            requests,
            produced,
            told,
            read,
        };
        let outlet = ShardOutlet {
            shard,
            producer: producer.clone(),
            reader: reader.clone(),
            tail: tail.clone(),
            shards: shards.clone(),
        };
        let around = surroundings(config, internal, shard, reader.ends());
        let policy = Policy::new(config.egress_allow.clone());
        background.runtime("shard", move || {
            Driver::new(Client::new(policy), outlet, around).run(mail)
        })?;
    }
    Ok(Started {
        inboxes,
        shards,
        producer,
        reader,
        own_topics,
    })
}

fn channels<T>(count: usize, capacity: usize) -> (Vec<mpsc::Sender<T>>, Vec<mpsc::Receiver<T>>) {
    (0..count).map(|_| mpsc::channel(capacity)).unzip()
}

/// A record for each event costs a hundred times what an event in a full record costs, and nobody waits
/// for what is parked: only its commit, and its bytes, which the budget counts.
const GATHER: Duration = Duration::from_secs(2);

fn surroundings(
    config: &Config,
    internal: &Internal,
    shard: u32,
    ends: &BucketEnds,
) -> Surroundings {
    Surroundings {
        shard,
        group: config.consumer_group(),
        buckets: internal.retry_buckets,
        ends: ends.clone(),
        retention: internal.retry_retention.unwrap_or(Duration::MAX),
        unix_millis: |_| clock::unix_millis(),
        budget_bytes: config.byte_budget as u64,
        shards: config.shards.get() as u64,
        absence: roster::ABSENCE,
        gather: GATHER,
    }
}

fn producer_config(config: &Config, internal: &Internal) -> ProducerConfig {
    ProducerConfig {
        client: config.kafka_properties_of("producer"),
        names: Names::new(&config.prefix),
        lanes_partitions: internal.lanes_partitions,
        largest_record_bytes: internal.largest_record_bytes,
    }
}

fn reader_config(config: &Config, internal: &Internal) -> ReaderConfig {
    ReaderConfig {
        client: config.kafka_properties_of("retry-reader"),
        group: format!("{}.retry-reader", config.consumer_group()),
        topic: Names::new(&config.prefix).retry().into(),
        buckets: internal.retry_buckets,
    }
}

fn tail_config(config: &Config, internal: &Internal) -> TailConfig {
    TailConfig {
        client: config.kafka_properties_of("lanes-tail"),
        group: config.consumer_group(),
        topic: Names::new(&config.prefix).lanes(),
        partitions: internal.lanes_partitions,
    }
}

fn start_consumer(background: &Background, consumer: SourceThread) -> Result<(), ThreadError> {
    background.thread("consumer", move || consumer.run())?;
    Ok(())
}

type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// Watches how long source topics keep their events. The demo's brokers cannot be asked.
fn watch_source_retention(
    config: &Config,
    background: &Background,
    shards: &Shards,
    applied: watch::Receiver<Applied>,
) {
    let source_retention = SourceRetention {
        client: config.kafka_properties_of("topics").into_iter().collect(),
        shards: shards.clone(),
        applied,
    };
    if config.cluster == Cluster::Kafka {
        background.spawn("source-retention", source_retention.run());
    }
}

/// Watches the targets until the worker stops.
fn start_targets(background: &Background, targets: Targets) -> (Snapshots, watch::Sender<Applied>) {
    let (publish, snapshots) = watch::channel(targets.first());
    let stopping = background.stopping();
    background.spawn("targets", async move {
        tokio::select! {
            () = targets.watch(publish) => {}
            () = stopping => {}
        }
    });
    (snapshots, watch::Sender::default())
}

fn source_config(config: &Config) -> SourceConfig {
    SourceConfig {
        client: config.kafka_client_properties(),
        group: config.consumer_group(),
        budget_bytes: config.byte_budget as u64,
        let_go: config.shutdown_grace.min(crate::source::LET_GO),
    }
}
