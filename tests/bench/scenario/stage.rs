//! What all scenarios stand on: Kafka, the worker's executable, and one run of one arm.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use parcelhook_env::{
    kafka::{Access, Kafka},
    process::Process,
    worker,
};
use parcelhook_worker::park::Names;

use crate::{
    Options,
    arm::{self, Arm, READ, Task, WorkerBinary},
    load::{Load, Shape},
    manifest::{Format, Manifests},
    measure::{self, Run},
    receiver::Receiver,
};

/// How a run is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The worker's targets.
    pub(crate) targets: usize,
    /// The worker's body format.
    pub(crate) format: Format,
    /// How long the receiver takes to answer.
    pub(crate) delay: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) kafka: &'static Kafka,
    pub(crate) options: &'a Options,
    bootstrap: String,
    worker: WorkerBinary,
    earlier: Option<WorkerBinary>,
}

impl<'a> Stage<'a> {
    /// Starts Kafka.
    pub(crate) async fn new(options: &'a Options) -> Result<Self> {
        let kafka = Kafka::shared().await?;
        Ok(Self {
            kafka,
            options,
            bootstrap: kafka.bootstrap(Access::Plaintext),
            worker: WorkerBinary::new(options.worker.clone())?,
            earlier: options.earlier.clone().map(WorkerBinary),
        })
    }

    /// Rounds to run: `own` unless another number was asked for.
    pub(crate) fn rounds(&self, own: u32) -> u32 {
        self.options.runs.unwrap_or(own)
    }

    /// Makes topics of this shape, with the number of events that was asked for.
    pub(crate) async fn load(&self, mut shape: Shape) -> Result<Load> {
        shape.events = match shape.events {
            0 => 0,
            own => self.events(own),
        };
        let (batch_bytes, seed) = (self.options.batch_bytes, self.options.seed);
        Load::produce(self.kafka, shape, batch_bytes, seed).await
    }

    /// Events of a run: `own` unless another number was asked for.
    pub(crate) fn events(&self, own: u64) -> u64 {
        self.options.events.unwrap_or(own)
    }

    /// The settings of a worker that runs these manifests.
    pub(crate) fn settings(&self, manifests: &Manifests) -> worker::Settings {
        self.worker.settings(&self.bootstrap, manifests)
    }

    /// The settings of a worker of the group `default` that gets its targets from a namespace.
    pub(crate) fn worker_in_kubernetes(
        &self,
        (namespace, kubeconfig): (&str, &Path),
    ) -> worker::Settings {
        let place = (namespace, kubeconfig);
        let settings =
            worker::Settings::in_kubernetes(&self.worker.0, &self.bootstrap, "default", place);
        settings.flag("--installation", namespace)
    }

    /// The brokers to ask first.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Removes the topics that workers with this prefix made for themselves.
    pub(crate) async fn delete_own_topics(&self, prefix: &str) -> Result<()> {
        let names = Names::new(prefix);
        for topic in [
            names.retry(),
            names.lanes(),
            names.reports(),
            names.dead_letter(),
        ] {
            self.kafka.delete_topic(&topic).await?;
        }
        Ok(())
    }

    /// A worker that has never run before, and its targets.
    pub(crate) fn worker(
        &self,
        load: &Load,
        setting: Setting,
        receiver: SocketAddr,
    ) -> Result<(worker::Settings, Manifests)> {
        let urls = (0..setting.targets).map(|number| format!("http://{receiver}/{number}"));
        let manifests = Manifests::write(group(), urls, &load.topics, &setting.format.into())?;
        Ok((self.settings(&manifests), manifests))
    }

    /// Runs `arm` over all events of `load`, from its start.
    pub(crate) async fn run(&self, arm: Arm, load: &Load, setting: Setting) -> Result<Run> {
        let receiver = Receiver::start(load.shape, setting.delay).await?;
        let process = match arm {
            Arm::Worker => {
                let (worker, _) = self.worker(load, setting, receiver.address())?;
                worker.launch()?
            }
            Arm::Earlier => {
                let earlier = self.earlier.as_ref().context("no earlier worker")?;
                let (_, manifests) = self.worker(load, setting, receiver.address())?;
                earlier.settings(&self.bootstrap, &manifests).launch()?
            }
            Arm::Parking | Arm::Draining => bail!("{} has a stage of its own", arm.name()),
            Arm::Naive | Arm::NaiveSigned | Arm::Hyper | Arm::Reading => {
                let topic = load.topics.first().context("no topic")?;
                let address = receiver.address();
                arm::start_loop(&Task::new(arm, &self.bootstrap, &group(), topic, address))?
            }
        };
        if arm == Arm::Reading {
            let seen = async || read(&process);
            return measure::follow(&process, load.shape.events, seen).await;
        }
        let seen = async || Ok(receiver.counts().await?.events);
        let expected = expected(load.shape, setting.targets);
        let run = measure::follow(&process, expected, seen).await?;
        Ok(Run {
            counts: Some(receiver.counts().await?),
            ..run
        })
    }
}

/// Deliveries that are due when target `n` has topic `n` modulo the number of topics.
fn expected(shape: Shape, targets: usize) -> u64 {
    let topics = shape.topics as u64;
    (0..targets as u64)
        .map(|target| {
            let number = target % topics;
            shape.events / topics + u64::from(number < shape.events % topics)
        })
        .sum()
}

/// How many events the reading arm says that it has read.
fn read(process: &Process) -> Result<u64> {
    let last = process.stdout().tail(1);
    match last.strip_prefix(READ) {
        Some(number) => number.parse().context("read the arm's output"),
        None => Ok(0),
    }
}

/// A consumer group that has never read.
pub(super) fn group() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    format!("bench-{}", GIVEN.fetch_add(1, Ordering::Relaxed))
}
