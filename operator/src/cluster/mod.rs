//! The API server: everything that is asked of it and written to it, each with a name and a deadline.
//!
//! Decides nothing and keeps nothing. The client's own retries are off: who asked tries again, with its
//! own backoff, and what takes too long is over.

mod config;
mod events;
mod leases;
mod targets;
mod watches;

use std::future::Future;
use std::time::Duration;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

pub use config::{Loaded, Published, Stored};
pub use targets::{Fetching, Presence};
pub use watches::secrets as watch_secrets;
pub use watches::{Scope, SecretSeen, targets as watch_targets};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Objects of one page of a list. A page is in memory as a whole, and the objects' managed fields, which
/// nobody here wants, are the larger part of it.
const PAGE: u32 = 100;

/// The name under which the operator owns what it writes.
pub const FIELD_MANAGER: &str = "parcelhook-operator";

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server said no, or could not be reached.
    #[error("{what}: {source}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("{what}: no answer within {} s", TIMEOUT.as_secs())]
    TimedOut {
        /// What was asked.
        what: &'static str,
    },
    /// What the watch shows is older than what is there.
    #[error("{what}: the watch is behind; it is done when the watch has caught up")]
    Behind {
        /// What was to be done.
        what: &'static str,
    },
    /// What was read there is not ours.
    #[error("{what}: {message}")]
    Foreign {
        /// What was read.
        what: &'static str,
        /// What is wrong, and how to mend it.
        message: String,
    },
}

impl ClusterError {
    /// Whether something had changed since it was read, or was there already.
    pub fn is_conflict(&self) -> bool {
        self.status(|status| status.is_conflict() || status.is_already_exists())
    }

    /// Whether an object of that name is there. A conflict alone says no such thing: a quota may have one.
    pub fn is_already_exists(&self) -> bool {
        self.status(kube::core::Status::is_already_exists)
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.status(kube::core::Status::is_not_found)
    }

    /// Whether the operator has no right to it.
    pub fn is_forbidden(&self) -> bool {
        self.status(kube::core::Status::is_forbidden)
    }

    fn status(&self, is: impl Fn(&kube::core::Status) -> bool) -> bool {
        match self {
            Self::Refused { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if is(status))
            }
            Self::TimedOut { .. } | Self::Behind { .. } | Self::Foreign { .. } => false,
        }
    }
}

/// See the module. Clones share the connections.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// The worker group that is served.
    group: String,
    /// Where the workers' configuration and the Lease are.
    namespace: String,
    /// The operator's own Deployment, for what concerns no target alone.
    deployment: String,
    recorder: Recorder,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("group", &self.group)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// `namespace` is where the workers read their configuration, `deployment` the operator's own, and
    /// `identity` tells this process from others of it.
    pub fn new(
        client: Client,
        (group, namespace): (&str, &str),
        deployment: &str,
        identity: &str,
    ) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            deployment: deployment.to_owned(),
        }
    }

    /// The worker group that is served.
    pub fn group(&self) -> &str {
        &self.group
    }
}

/// Awaits a request, no longer than it may take.
async fn asked<T>(
    what: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(ClusterError::Refused {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(ClusterError::TimedOut { what }),
    }
}
