//! A worker whose target refuses connections until it is healed, so that everything is parked.
//!
//! The worker's own topics have a prefix of their own: nothing that others parked lies in the way, and
//! they can be removed afterwards.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually, network,
    worker::{Settings, Worker},
};
use parcelhook_worker::park::Names;
use serde_json::json;

use super::stage::{Stage, group};
use crate::{
    load::Load,
    manifest::{Format, Manifests, Spec},
    receiver::Receiver,
};

/// Between two looks at what is committed: the worker answers them, so they must cost it little. It
/// commits every 100 ms.
const LOOK: Duration = Duration::from_millis(100);
/// How long everything may take to be parked, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the admin port may fail to answer in time.
const ANSWER: Duration = Duration::from_secs(60);

/// Targets that come back are looked for every second or two, so that no run waits long for the first
/// delivery.
pub(super) fn tried_soon() -> Spec {
    Spec {
        format: Format::Json,
        retry: Some(json!({ "initialBackoff": "1s", "maxBackoff": "2s" })),
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    stage: &'a Stage<'a>,
    load: &'a Load,
    /// Where nobody listens yet.
    address: SocketAddr,
    prefix: String,
    settings: Settings,
}

impl<'a> Refused<'a> {
    /// One target for the one topic of `load`.
    pub(super) fn new(stage: &'a Stage<'a>, load: &'a Load, spec: &Spec) -> Result<Self> {
        Self::beside(stage, load, spec, None)
    }

    /// The same, and a target that has its own topic and URL.
    pub(super) fn beside(
        stage: &'a Stage<'a>,
        load: &'a Load,
        spec: &Spec,
        other: Option<(String, String)>,
    ) -> Result<Self> {
        let host = network::fresh_host();
        let [port] = network::free_ports(host)?;
        let address = SocketAddr::from((host, port));
        let topic = load.topics.first().context("no topic")?.clone();
        let own = (topic, format!("http://{address}/0"));
        let (topics, urls): (Vec<_>, Vec<_>) = [own].into_iter().chain(other).unzip();
        let prefix = group();
        let manifests = Manifests::write(prefix.clone(), urls, &topics, spec)?;
        let settings = stage.settings(&manifests).flag("--prefix", &prefix);
        Ok(Self {
            stage,
            load,
            address,
            prefix,
            settings,
        })
    }

    /// Starts a worker, and waits until its admin port listens.
    pub(super) async fn start(&self) -> Result<Worker> {
        self.settings.clone().listen().await
    }

    /// Events of the load that `worker` has committed, so parked or delivered.
    pub(super) async fn committed(&self, worker: &Worker) -> Result<u64> {
        tokio::time::sleep(LOOK).await;
        let shown = eventually("what is committed", ANSWER, async || worker.targets().await);
        let shown = shown.await?;
        let partitions = shown["source"]["partitions"].as_array();
        let partitions = partitions.context("no partitions in /targets")?;
        let own = partitions.iter().filter(|partition| {
            self.load
                .topics
                .iter()
                .any(|topic| partition["topic"] == **topic)
        });
        Ok(own.filter_map(|one| one["committed"].as_u64()).sum())
    }

    /// Waits until everything is parked.
    pub(super) async fn all_parked(&self, worker: &Worker) -> Result<()> {
        let wanted = self.load.shape.events;
        let parked = eventually("everything parked", PATIENCE, async || {
            let committed = self.committed(worker).await?;
            ensure!(committed == wanted, "{committed} of {wanted}");
            Ok(())
        });
        parked.await.with_context(|| worker.process().tail())
    }

    /// Records of the retry topic: runs, when nothing was parked twice.
    pub(super) async fn records(&self) -> Result<u64> {
        let ends = self
            .stage
            .kafka
            .ends(&Names::new(&self.prefix).retry())
            .await?;
        Ok(u64::try_from(ends.values().sum::<i64>())?)
    }

    /// From now on the target takes everything.
    pub(super) async fn heal(&self) -> Result<Receiver> {
        Receiver::start_at(self.load.shape, self.address).await
    }

    /// Removes the worker's own topics. No worker may run.
    pub(super) async fn end(self) -> Result<()> {
        self.stage.delete_own_topics(&self.prefix).await
    }
}
