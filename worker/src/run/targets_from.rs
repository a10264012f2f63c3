//! Where the targets come from: a directory of manifests, or the operator's Secrets.

use std::sync::Arc;

use tokio::sync::watch;

use super::StartError;
use crate::config::{Config, TargetsFrom};
use crate::park::Names;
use crate::targets::{Directory, Kubernetes, Place, Snapshot, compile::Rules};

/// Where the targets come from, opened.
pub(super) enum Targets {
    Directory(Box<Directory<Rules>>, Arc<Snapshot>),
    Kubernetes(Box<Kubernetes>),
}

impl Targets {
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let group = &config.worker_group;
        match &config.targets {
            TargetsFrom::Directory { manifests, secrets } => {
                let place = Place {
                    targets: manifests.clone(),
                    secrets: secrets.clone(),
                };
                let rules = Rules::new(Names::new(&config.prefix));
                let (directory, first) = Directory::open(place, group, rules)?;
                Ok(Self::Directory(Box::new(directory), first))
            }
            TargetsFrom::Kubernetes {
                namespace,
                snapshots,
            } => {
                let namespace = namespace.as_deref();
                let kubernetes = Kubernetes::connect(namespace, group, snapshots.clone()).await?;
                Ok(Self::Kubernetes(Box::new(kubernetes)))
            }
        }
    }

    /// What there is at once: nothing, from Kubernetes.
    pub(super) fn first(&self) -> Arc<Snapshot> {
        match self {
            Self::Directory(_, first) => Arc::clone(first),
            Self::Kubernetes(_) => Arc::default(),
        }
    }

    pub(super) async fn watch(self, publish: watch::Sender<Arc<Snapshot>>) {
        match self {
            Self::Directory(directory, _) => directory.watch(publish).await,
            Self::Kubernetes(kubernetes) => kubernetes.watch(publish).await,
        }
    }
}
