//! Publishing: the passes that bring the workers' configuration to what it should be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parcelhook_crds::config::Revision;
use uuid::Uuid;

use super::led::{Led, Plan, Writing};
use super::{Controller, Role, jobs};
use crate::clock;
use crate::cluster::{ClusterError, Loaded, Published, Stored};

/// How long to wait after something failed.
const AGAIN: Duration = Duration::from_secs(2);

impl Controller {
    /// What an earlier leader left was read.
    pub(super) fn on_loaded(&mut self, loaded: Result<Loaded, ClusterError>, now: Instant) {
        let random = (fastrand::u64(..), Uuid::new_v4());
        let unix_millis = clock::unix_millis();
        match (&mut self.role, loaded) {
            (Role::Leader(led), Ok(loaded)) => led.adopt(&loaded, now, unix_millis, random),
            (Role::Leader(led), Err(error)) => {
                tracing::warn!(%error, "the configuration could not be read");
                led.failed(now, AGAIN);
            }
            (Role::Loading, Ok(loaded)) => {
                let led = Led::resumed(loaded, now, unix_millis, random);
                tracing::info!(revision = %led.revision(), "this operator leads");
                self.around.metrics.published(led.revision());
                self.role = Role::Leader(Box::new(led));
                self.queue_all();
            }
            (Role::Loading, Err(error)) => {
                tracing::warn!(%error, "the configuration could not be read");
                self.role = Role::LoadingAgain(now + AGAIN);
            }
            (Role::Follower | Role::LoadingAgain(_), _) => {}
        }
    }

    /// Begins a pass when one is due. Before everything was listed and judged once there is nothing new to
    /// publish.
    pub(super) fn publish_next(&mut self, now: Instant) {
        let leads = self.leads(now);
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        if self.index.is_complete() && self.queue.is_idle() {
            led.settled();
        }
        if leads && led.due().is_some_and(|due| due <= now) {
            led.begin(now);
            self.jobs.spawn(jobs::stored(self.around.cluster.clone()));
        }
    }

    /// What is there is known: the pass goes on.
    pub(super) fn on_stored(&mut self, stored: Result<Stored, ClusterError>, now: Instant) {
        let leads = self.leads(now);
        let applied: Vec<Option<Revision>> = self
            .known
            .fleet
            .live(now)
            .map(|report| report.revision)
            .collect();
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        let stored = match stored {
            Ok(stored) if leads => stored,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "what is published is not known");
                led.failed(now, AGAIN);
                return;
            }
        };
        let mut moved = BTreeSet::new();
        let plan = led.plan(&stored, &applied, clock::unix_millis(), &mut moved);
        self.statuses.touch(moved);
        let cluster = self.around.cluster.clone();
        match plan {
            Plan::Reload => drop(self.jobs.spawn(jobs::loaded(cluster))),
            Plan::Confirm => {
                tracing::warn!("many targets have ended at once; listing all of them to be sure");
                let namespaces = self.around.namespaces.clone();
                self.jobs.spawn(jobs::listed(cluster, namespaces));
            }
            Plan::Write(writing) => {
                for shard in &writing.fresh {
                    self.around.metrics.shard_bytes.add(shard.bytes.len());
                }
                let job = jobs::published(cluster, writing);
                let metrics = self.around.metrics.clone();
                self.jobs
                    .spawn(jobs::timed(metrics, |all| &all.publish_seconds, job));
            }
            Plan::Collect(shards) if shards.is_empty() => {}
            Plan::Collect(shards) => drop(self.jobs.spawn(jobs::collected(cluster, shards))),
        }
        self.around.metrics.passes.add(1);
    }

    /// The second look at targets that have ended.
    pub(super) fn on_listed(&mut self, listed: Result<BTreeSet<Uuid>, ClusterError>, now: Instant) {
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        match listed {
            Ok(there) => {
                let back = led.confirm(&there, now);
                if back > 0 {
                    tracing::error!(
                        back,
                        "targets that the API server had said to be gone are there; they go on"
                    );
                    self.queue_all();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the targets could not be listed; nothing is published");
                led.failed(now, AGAIN);
            }
        }
    }

    /// A configuration was published, or not.
    pub(super) fn on_published(
        &mut self,
        writing: Writing,
        result: Result<Option<Published>, ClusterError>,
        now: Instant,
    ) {
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        match result {
            Ok(None) => led.wrote(writing, None),
            Ok(Some(Published::Done(version))) => {
                led.wrote(writing, Some(version));
                tracing::info!(revision = %led.revision(), "configuration published");
                self.around.metrics.published(led.revision());
            }
            Ok(Some(Published::Conflict)) => {
                tracing::warn!("another has changed the manifest; reading it again");
                led.not_written(writing, now, Duration::ZERO);
            }
            Err(error) => {
                tracing::warn!(%error, "the configuration could not be published; trying again");
                led.not_written(writing, now, AGAIN);
            }
        }
        let all: Vec<Uuid> = self.index.objects().map(|object| object.uid).collect();
        self.statuses.touch(all);
    }
}
