//! Configuration of the worker: flags, environment and one YAML file become one validated
//! [`Config`], or a list of everything that is wrong.
//!
//! ```text
//! cli ─┐                            ┌─▶ Config
//! env ─┼─▶ layers ─▶ load (value,  ─┤
//! file ┘             the Kafka ones └─▶ Faults
//!                    of parcelhook_kafka)
//! ```
//!
//! `settings` has every key once; names, help and documentation follow from it. Targets are not
//! configuration in this sense: see [`crate::targets`].

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

mod cli;
mod exit;
mod file;
mod layers;
mod load;
mod nearest;
mod settings;
#[cfg(test)]
mod tests;
mod value;

pub use crate::telemetry::logs::LogFormat;
pub use cli::{Cli, Command, DevOptions, Options};
pub use exit::Exit;
pub use layers::Environment;
pub use parcelhook_kafka::connection::{
    DEFAULTS as KAFKA_DEFAULTS, Identity, Kafka, Sasl, SaslMechanism, Tls,
};
pub use parcelhook_kafka::{Fault, Faults, Origin};

/// How the worker calls itself to brokers, unless a property says otherwise.
pub const PROGRAM: &str = "parcelhook-worker";

/// The configuration of a worker. Everything is valid and in the unit the worker uses. `Debug` shows
/// no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The connection to Kafka.
    pub kafka: Kafka,
    /// Begins the names of the worker's own topics and of its consumer group.
    pub prefix: String,
    /// Tells two installations on one Kafka apart.
    pub installation: String,
    /// The workers that share one set of targets.
    pub worker_group: String,
    /// Where its targets come from.
    pub targets: TargetsFrom,
    /// Whether topics are created when the cluster lacks them: the worker's own, and those that targets
    /// read.
    pub create_topics: bool,
    /// What kind of cluster it is.
    pub cluster: Cluster,
    /// Where the admin endpoints are served; port 0 is any.
    pub admin_listen: SocketAddr,
    /// Networks that webhooks may be in although they are not public.
    pub egress_allow: Vec<IpNet>,
    /// Threads that deliver.
    pub shards: NonZeroUsize,
    /// Memory for events in flight, bytes.
    pub byte_budget: usize,
    /// Whole time for letting go after SIGTERM.
    pub shutdown_grace: Duration,
    /// The log.
    pub log: Log,
}

/// Where the targets of a worker group come from. Directories could be read when the configuration was
/// loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetsFrom {
    /// Files.
    Directory {
        /// Directory of manifests.
        manifests: PathBuf,
        /// Directory of Secrets, `<name>/<key>`.
        secrets: Option<PathBuf>,
    },
    /// Secrets of a namespace, as the operator writes them.
    Kubernetes {
        /// The namespace; none is that of the service account.
        namespace: Option<String>,
        /// Directory in which the last configuration is kept, over a restart.
        snapshots: Option<PathBuf>,
    },
}

/// What kind of cluster the worker runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Apache Kafka, or what speaks like it.
    Kafka,
    /// The demo's broker, which has no Admin API: topics are used as they are.
    Demo,
}

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// Which lines: a filter that `tracing_subscriber::EnvFilter` parses.
    pub level: String,
}

impl Config {
    /// The consumer group, `<prefix>.<installation>.<workerGroup>`.
    pub fn consumer_group(&self) -> String {
        format!(
            "{}.{}.{}",
            self.prefix, self.installation, self.worker_group
        )
    }

    /// The properties that the client of the source topics is made with: the worker's defaults, the
    /// user's properties, then what the protocol owns. Holds secrets: never log it.
    pub fn kafka_client_properties(&self) -> Vec<(String, String)> {
        self.kafka.client_properties(&self.consumer_group())
    }

    /// The properties that another client of the worker is made with; `part` ends its client id. Holds
    /// secrets: never log it.
    pub fn kafka_properties_of(&self, part: &str) -> Vec<(String, String)> {
        self.kafka.properties_of(part)
    }
}
