//! `parcelhook-worker dev`: the worker at work, with nothing installed.
//!
//! ```text
//! producer ──▶ broker (in memory) ──▶ worker ──▶ receivers
//!     ▲                                 │ ▲          │
//!     └──────── room ◀──────────────────┤ └ manifests│
//!                                       ▼            ▼
//!                     screen ◀── story, table, notice
//! ```
//!
//! The worker is the real one; everything around it is made here and gone at the end. Owns the order
//! of starting and ending. All of it is one task: nothing here is left running.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::watch;

use crate::clock;
use crate::config::DevOptions;
use crate::park::Names;
use crate::report::WorkerReport;

mod age;
mod broker;
mod ending;
mod event;
mod log;
mod manifests;
mod notice;
mod order;
mod producer;
mod rates;
mod receivers;
mod room;
#[cfg(test)]
mod sample;
mod screen;
mod stage;
mod story;
mod table;
#[cfg(test)]
mod tests;
mod topics;

pub use room::TooMuch;
pub use screen::{Kind, Screen};
pub use topics::TooMany;

use broker::Broker;
use ending::Ending;
use manifests::{DEMO_TOPICS, Folder};
use notice::{Scene, farewell, welcome};
use producer::{Plan, Producer};
use receivers::Receivers;
use room::Written;
use stage::Stage;
use topics::Topics;

/// What the worker has for letting go: enough for a request to the slow receiver.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// What is added before the demo ends without it. What follows takes some milliseconds, so the demo
/// ends in under two seconds.
const STOP_MARGIN: Duration = Duration::from_millis(250);

/// What the worker needs to know of the demo around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The demo broker, `host:port`.
    pub bootstrap_servers: String,
    /// Properties of librdkafka that suit this broker. It knows no admin requests: no topic can be
    /// created through it.
    pub kafka_properties: Vec<(String, String)>,
    /// Folder of manifests.
    pub targets: PathBuf,
    /// Where the status page is served.
    pub admin_listen: SocketAddr,
    /// Networks that webhooks may be in: this machine, as the receivers are.
    pub egress_allow: Vec<ipnet::IpNet>,
    /// Whole time that letting go may take.
    pub shutdown_grace: Duration,
}

/// Begins the names of the demo worker's own topics.
pub(crate) const PREFIX: &str = "parcelhook";

/// The worker, as far as the demo knows it.
pub trait DemoWorker: Sized {
    /// Starts it. Dropping the future gives the start up. It leaves signals and logs to the demo.
    fn start(
        surroundings: Surroundings,
    ) -> impl Future<Output = Result<Self, Box<dyn std::error::Error + Send + Sync>>>;

    /// What it knows now.
    fn report(&self) -> impl Future<Output = WorkerReport>;

    /// Where the status page is served.
    fn admin_address(&self) -> SocketAddr;

    /// Lets go of everything.
    fn stop(self) -> impl Future<Output = ()>;
}

/// Why the demo did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The wanted load does not fit into the demo broker.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// No temporary folder.
    #[error("cannot make the demo's temporary folder: {0}; TMPDIR names another place")]
    Folder(#[source] io::Error),
    /// The person's own manifests.
    #[error("cannot read --targets {}: {error}", directory.display())]
    Targets {
        /// What was given.
        directory: PathBuf,
        /// Why it cannot be read.
        #[source]
        error: io::Error,
    },
    /// The topics that the person's own manifests name.
    #[error(transparent)]
    TooManyTopics(#[from] TooMany),
    /// The demo broker.
    #[error("the demo broker did not start: {0}")]
    Broker(#[source] KafkaError),
    /// The demo producer.
    #[error("the demo broker did not take an event: {0}")]
    Producer(#[source] KafkaError),
    /// The demo receivers.
    #[error("the demo receivers cannot serve on 127.0.0.1: {0}")]
    Receivers(#[source] io::Error),
    /// Signals.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(#[source] io::Error),
    /// The worker.
    #[error("the worker did not start: {0}")]
    Worker(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody can see the demo.
    #[error("cannot write to the terminal: {0}")]
    Screen(#[source] io::Error),
}

/// Plays the demo until a person ends it.
///
/// # Errors
/// When a part of it cannot start or stops by itself.
pub async fn run<D: DemoWorker>(
    options: &DevOptions,
    screen: &mut Screen<impl Write>,
) -> Result<(), DevError> {
    let mut ending = Ending::listen().map_err(DevError::Signals)?;
    let folder = Folder::create().map_err(DevError::Folder)?;
    log::to_file(&folder.log_file()).map_err(DevError::Folder)?;
    play::<D>(options, &folder, screen, ending.asked()).await
}

/// The worker's own topics: its broker has no Admin API to create them with.
fn own_topics() -> Vec<Arc<str>> {
    let topics = Names::new(PREFIX).with_partitions();
    topics.into_iter().map(|(name, _)| name.into()).collect()
}

async fn play<D: DemoWorker>(
    options: &DevOptions,
    folder: &Folder,
    screen: &mut Screen<impl Write>,
    ending: impl Future<Output = ()>,
) -> Result<(), DevError> {
    let started = clock::now();
    room::check(options.rate, options.size)?;
    let receivers = Receivers::bind(started)
        .await
        .map_err(DevError::Receivers)?;
    let targets = manifests_of(options, folder, receivers.address())?;
    let mut topics = topics_for(options)?;
    let broker = Broker::start().map_err(DevError::Broker)?;
    let mut producer = Producer::new(&broker.bootstrap_servers(), options.rate, options.size)
        .and_then(|producer| producer.create_topics(&own_topics()))
        .and_then(|producer| producer.create_topics(topics.names()))
        .map_err(DevError::Broker)?;
    let (plan, planned) = watch::channel(Plan::writing_to(&topics));
    let (progress, written) = watch::channel(Written::new());
    let mut scene = Scene {
        own_manifests: options.targets.is_some(),
        manifests: targets,
        broker: broker.bootstrap_servers(),
        receivers: receivers.address(),
        log: folder.log_file(),
        status: options.admin_listen,
    };
    let seen = receivers.seen();
    let mut worker: Option<D> = None;
    let show = async {
        let worker = worker.insert(start(&scene).await?);
        scene.status = worker.admin_address();
        screen.say(&welcome(&scene)).map_err(DevError::Screen)?;
        let mut stage = Stage::new(started, options.size, &mut topics, &seen, screen);
        stage.show(worker, &plan, &written).await
    };
    let mut serve = std::pin::pin!(receivers.serve());
    let result = tokio::select! {
        ended = show => ended.map(|never| match never {}),
        ended = producer.run(planned, progress) => {
            ended.map(|never| match never {}).map_err(DevError::Producer)
        }
        ended = &mut serve => ended.map(|never| match never {}).map_err(DevError::Receivers),
        () = ending => Ok(()),
    };
    if let Some(worker) = worker {
        // The receivers answer on, so that requests in flight can end well.
        let stopped = tokio::time::timeout(STOP_WITHIN + STOP_MARGIN, worker.stop());
        tokio::select! {
            _ = stopped => {}
            _ = serve => {}
        }
    }
    finish(result, screen, &seen)
}

/// A reader that went away (`parcelhook-worker dev | head`) ends the demo like a person.
fn finish(
    result: Result<(), DevError>,
    screen: &mut Screen<impl Write>,
    seen: &receivers::Seen,
) -> Result<(), DevError> {
    match result {
        Err(DevError::Screen(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error),
        Ok(()) => screen.end(&farewell(seen)).map_err(DevError::Screen),
    }
}

async fn start<D: DemoWorker>(scene: &Scene) -> Result<D, DevError> {
    let surroundings = Surroundings {
        bootstrap_servers: scene.broker.clone(),
        kafka_properties: broker::PROPERTIES
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        targets: scene.manifests.clone(),
        admin_listen: scene.status,
        egress_allow: vec![ipnet::IpNet::V4(broker::LOOPBACK)],
        shutdown_grace: STOP_WITHIN,
    };
    D::start(surroundings).await.map_err(DevError::Worker)
}

/// The folder of manifests: the person's own, or the demo's.
fn manifests_of(
    options: &DevOptions,
    folder: &Folder,
    receivers: SocketAddr,
) -> Result<PathBuf, DevError> {
    match &options.targets {
        Some(directory) => Ok(directory.clone()),
        None => folder.write_manifests(receivers).map_err(DevError::Folder),
    }
}

/// The demo's topics and those that a person's own manifests name.
fn topics_for(options: &DevOptions) -> Result<Topics, DevError> {
    let named = match &options.targets {
        Some(directory) => manifests::topics_in(directory).map_err(|error| DevError::Targets {
            directory: directory.clone(),
            error,
        })?,
        None => BTreeSet::new(),
    };
    let mut topics = Topics::default();
    for topic in DEMO_TOPICS
        .into_iter()
        .chain(named.iter().map(String::as_str))
    {
        topics.add(topic)?;
    }
    Ok(topics)
}
