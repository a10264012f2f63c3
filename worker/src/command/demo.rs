//! The real worker, as the demo runs it.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use parcelhook_crds::secret::Secret;

use crate::admin::Reporter as _;
use crate::config::{Cluster, Config, Kafka, Log, LogFormat, PROGRAM, TargetsFrom};
use crate::dev::{DemoWorker, PREFIX, Surroundings};
use crate::report::WorkerReport;
use crate::run::Worker;

/// Bytes of records in flight: little, so that a person sees what waits in the broker.
const BYTE_BUDGET: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Demo(Worker);

impl DemoWorker for Demo {
    async fn start(around: Surroundings) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self(Worker::start(&config(around)).await?))
    }

    async fn report(&self) -> WorkerReport {
        self.0.reporter().report().await
    }

    fn admin_address(&self) -> SocketAddr {
        self.0.admin_address()
    }

    async fn stop(self) {
        // The demo's broker goes too: nothing that was cut off can be missed.
        let _ = self.0.stop().await;
    }
}

fn config(around: Surroundings) -> Config {
    let properties: BTreeMap<String, Secret> = around
        .kafka_properties
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value)))
        .collect();
    Config {
        kafka: Kafka {
            program: PROGRAM,
            bootstrap_servers: vec![around.bootstrap_servers],
            tls: None,
            sasl: None,
            properties,
        },
        prefix: PREFIX.to_owned(),
        installation: "demo".to_owned(),
        worker_group: "default".to_owned(),
        targets: TargetsFrom::Directory {
            manifests: around.targets,
            secrets: None,
        },
        create_topics: false,
        cluster: Cluster::Demo,
        admin_listen: around.admin_listen,
        egress_allow: around.egress_allow,
        shards: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        byte_budget: BYTE_BUDGET,
        shutdown_grace: around.shutdown_grace,
        log: Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
        },
    }
}
