//! Carries configuration changes to those who run them: first the shards, then the subscription.
//!
//! Owns what the lanes of a target share over all versions of its configuration. Invariant: no record
//! of a topic arrives before every shard knows the targets that want it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{Shards, Snapshots};
use crate::clock;
use crate::config::Config;
use crate::lane::driver::Request;
use crate::source::{SourceError, SourceHandle, Subscription, create_missing_topics};
use crate::state::shared::{TargetShared, WorkerTarget};
use crate::targets::Snapshot;

/// See the module.
#[derive(Debug)]
pub(super) struct Supervisor {
    shards: Shards,
    source: SourceHandle,
    shared: FxHashMap<Uuid, Arc<TargetShared>>,
    subscribed: Subscription,
    /// Properties of the client that creates topics, if they are to be created.
    creates_topics: Option<ClientProperties>,
}

/// May hold secrets, so they are not shown.
struct ClientProperties(Vec<(String, String)>);

impl std::fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[properties]")
    }
}

impl Supervisor {
    pub(super) fn new(config: &Config, shards: Shards, source: SourceHandle) -> Self {
        let properties = || ClientProperties(config.kafka_properties_of("topics"));
        Self {
            shards,
            source,
            shared: FxHashMap::default(),
            subscribed: Subscription::new(),
            creates_topics: config.create_topics.then(properties),
        }
    }

    /// Runs until nobody publishes targets any more, or the worker stops. Publishes the revision that
    /// every shard runs.
    pub(super) async fn run(
        mut self,
        mut snapshots: Snapshots,
        applied: watch::Sender<Option<u64>>,
    ) -> Result<(), SourceError> {
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            self.apply(&snapshot).await;
            applied.send_replace(Some(snapshot.revision));
            self.subscribe(subscription(&snapshot)).await?;
            if snapshots.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Returns when the lanes of every shard are those of the snapshot.
    async fn apply(&mut self, snapshot: &Snapshot) {
        let now = clock::now();
        let mut known = std::mem::take(&mut self.shared);
        let targets: Arc<[WorkerTarget]> = snapshot
            .targets
            .iter()
            .map(|compiled| {
                let shared = known.remove(&compiled.uid).unwrap_or_else(|| {
                    Arc::new(TargetShared::new(compiled.failure_threshold, now))
                });
                self.shared.insert(compiled.uid, Arc::clone(&shared));
                let compiled = Arc::clone(compiled);
                WorkerTarget { compiled, shared }
            })
            .collect();
        let mut answers = Vec::new();
        for shard in self.shards.iter() {
            let (applied, answer) = oneshot::channel();
            let targets = Arc::clone(&targets);
            if shard
                .send(Request::Apply { targets, applied })
                .await
                .is_ok()
            {
                answers.push(answer);
            }
        }
        for answer in answers {
            // A shard that has ended runs nothing.
            let _ = answer.await;
        }
        tracing::info!(
            revision = snapshot.revision,
            targets = snapshot.targets.len(),
            problems = snapshot.problems.len(),
            "targets applied"
        );
    }

    async fn subscribe(&mut self, wanted: Subscription) -> Result<(), SourceError> {
        if wanted == self.subscribed {
            return Ok(());
        }
        if let Some(ClientProperties(properties)) = &self.creates_topics {
            let topics: Vec<&str> = wanted.keys().map(String::as_str).collect();
            if let Err(error) = create_missing_topics(properties, &topics).await {
                tracing::error!(%error, "missing topics were not created; they are read once they exist");
            }
        }
        self.subscribed.clone_from(&wanted);
        self.source.subscribe(wanted).await
    }
}

/// The topics that the targets read, and where each target wants to begin.
fn subscription(snapshot: &Snapshot) -> Subscription {
    let mut subscription = Subscription::new();
    for target in &snapshot.targets {
        for source in &target.sources {
            let demand = subscription.entry(source.topic.clone()).or_default();
            demand.starts.insert(target.uid, target.start_from);
        }
    }
    subscription
}
