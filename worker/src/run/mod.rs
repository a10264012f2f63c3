//! The whole worker: what is started, in which order, and how it ends.
//!
//! ```text
//!   start   targets ─▶ admin port ─▶ shards ─▶ consumer thread ─▶ supervisor (targets, then topics)
//!   stop    consumer (lets go, commits) ─▶ shards (their inboxes close) ─▶ everything else
//! ```
//!
//! Owns the order and the handles. What the parts do is theirs.

mod reporter;
mod supervisor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::admin::{Admin, AdminError};
use crate::background::{Background, Leftover, StartError as ThreadError};
use crate::clock;
use crate::config::Config;
use crate::delivery::Client;
use crate::delivery::egress::Policy;
use crate::lane::driver::{Driver, REQUESTS, Request};
use crate::park::Names;
use crate::source::{
    SHARD_INBOX_MESSAGES, ShardMessage, SourceConfig, SourceError, SourceHandle, SourceThread,
};
use crate::targets::{Directory, OpenError, Place, Snapshot, compile::Rules};

pub use reporter::Reporter;
use supervisor::Supervisor;

/// What is left of the shutdown's time for shards and admin port once the partitions were let go.
const AFTER_LETTING_GO: Duration = Duration::from_millis(500);

/// Why the worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The targets cannot be read at all.
    #[error(transparent)]
    Targets(#[from] OpenError),
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Kafka's client.
    #[error(transparent)]
    Source(#[from] SourceError),
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
        let group = config.worker_group.clone();
        let rules = Rules::new(Names::new(&config.prefix));
        let (directory, first) = Directory::open(Place::from(config), &group, rules)?;
        let admin = Admin::bind(config.admin_listen)?;
        let (inboxes, shards) = start_shards(config, &background)?;
        let (source, consumer) = crate::source::prepare(source_config(config), inboxes)?;
        start_consumer(&background, consumer)?;
        let (snapshots, applied) = start_targets(&background, directory, first);
        let supervisor = Supervisor::new(config, shards.clone(), source.clone());
        let reporter = Reporter::new(
            shards,
            source.clone(),
            snapshots.clone(),
            applied.subscribe(),
        );
        background.spawn("supervisor", supervisor.run(snapshots, applied));
        let address = admin.address();
        admin.serve(&background, reporter.clone(), background.stopping())?;
        Ok(Self {
            background,
            source,
            reporter,
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
    pub async fn stop(self) -> Leftover {
        let deadline: Instant = clock::now() + self.grace;
        self.source.shut_down(deadline).await;
        let Self {
            background,
            source,
            reporter,
            ..
        } = self;
        drop((source, reporter));
        let rest = deadline.max(clock::now() + AFTER_LETTING_GO);
        background.shutdown(rest).await
    }
}

type Shards = Arc<[mpsc::Sender<Request>]>;

/// Starts one thread a shard, each with a runtime and an HTTP client of its own.
fn start_shards(
    config: &Config,
    background: &Background,
) -> Result<(Vec<mpsc::Sender<ShardMessage>>, Shards), ThreadError> {
    let (mut inboxes, mut requests) = (Vec::new(), Vec::new());
    for _ in 0..config.shards.get() {
        let (inbox, messages) = mpsc::channel(SHARD_INBOX_MESSAGES);
        let (request, asked) = mpsc::channel(REQUESTS);
        let policy = Policy::new(config.egress_allow.clone());
        background.runtime("shard", move || {
            Driver::new(Client::new(policy)).run(messages, asked)
        })?;
        inboxes.push(inbox);
        requests.push(request);
    }
    Ok((inboxes, requests.into()))
}

fn start_consumer(background: &Background, consumer: SourceThread) -> Result<(), ThreadError> {
    background.thread("consumer", move || consumer.run())?;
    Ok(())
}

type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// Watches the directory until the worker stops.
fn start_targets(
    background: &Background,
    directory: Directory<Rules>,
    first: Arc<Snapshot>,
) -> (Snapshots, watch::Sender<Option<u64>>) {
    let (publish, snapshots) = watch::channel(first);
    let stopping = background.stopping();
    background.spawn("targets", async move {
        tokio::select! {
            () = directory.watch(publish) => {}
            () = stopping => {}
        }
    });
    (snapshots, watch::Sender::new(None))
}

fn source_config(config: &Config) -> SourceConfig {
    SourceConfig {
        client: config.kafka_client_properties(),
        group: config.consumer_group(),
        budget_bytes: config.byte_budget as u64,
        let_go: config.shutdown_grace.min(crate::source::LET_GO),
    }
}
