//! Carries configuration changes to those who run them: first the shards, then the subscription.
//!
//! Invariants: no record of a topic arrives before every shard knows the targets that want it, and a
//! topic is read until no lane of it has anything left to deliver, to keep or to write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::roster::Roster;
use super::{Shards, Snapshots};
use crate::clock;
use crate::config::Config;
use crate::lane::driver::Request;
use crate::source::{SourceError, SourceHandle, Subscription, create_missing_topics};
use crate::state::shared::WorkerTarget;
use crate::targets::Snapshot;

/// How often it is looked whether a topic that no target wants may be given up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Supervisor {
    shards: Shards,
    source: SourceHandle,
    roster: Roster,
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
            roster: Roster::default(),
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
            let now = clock::now();
            self.roster.apply(&snapshot, now, clock::unix_millis());
            self.apply().await;
            log(&snapshot);
            applied.send_replace(Some(snapshot.revision));
            if !self.look_after(&mut snapshots).await? {
                return Ok(());
            }
        }
    }

    /// Does what is a matter of time until there is another snapshot. Says whether there is one.
    async fn look_after(&mut self, snapshots: &mut Snapshots) -> Result<bool, SourceError> {
        loop {
            let all_wanted = self.subscribe().await?;
            let look = (!all_wanted).then(|| clock::now() + LOOK_AGAIN);
            let next = [look, self.roster.next_end()].into_iter().flatten().min();
            tokio::select! {
                biased;
                changed = snapshots.changed() => return Ok(changed.is_ok()),
                () = sleep_until(next) => {}
            }
            if self.roster.expire(clock::now()) {
                self.apply().await;
            }
        }
    }

    /// Returns when the lanes of every shard are those of the roster.
    async fn apply(&mut self) {
        let (targets, ended) = (self.roster.targets(), self.roster.ended());
        let asked = self.ask(|applied| Request::Apply {
            targets: Arc::clone(&targets),
            ended: Arc::clone(&ended),
            applied,
        });
        asked.await;
    }

    /// Reads what the targets want, and what lanes still need. Says whether that is the same.
    async fn subscribe(&mut self) -> Result<bool, SourceError> {
        let mut wanted = subscription(&self.roster.targets());
        let in_use = self.topics_in_use(&wanted).await;
        let all_wanted = in_use.is_empty();
        for topic in in_use {
            let demand = self.subscribed.get(&topic).cloned().unwrap_or_default();
            wanted.insert(topic, demand);
        }
        if wanted == self.subscribed {
            return Ok(all_wanted);
        }
        if let Some(ClientProperties(properties)) = &self.creates_topics {
            let topics: Vec<&str> = wanted.keys().map(String::as_str).collect();
            if let Err(error) = create_missing_topics(properties, &topics).await {
                tracing::error!(%error, "missing topics were not created; they are read once they exist");
            }
        }
        self.subscribed.clone_from(&wanted);
        self.source.subscribe(wanted).await?;
        Ok(all_wanted)
    }

    /// The topics that no target wants, and that are read for what is left of their lanes.
    async fn topics_in_use(&self, wanted: &Subscription) -> BTreeSet<String> {
        if self
            .subscribed
            .keys()
            .all(|topic| wanted.contains_key(topic))
        {
            return BTreeSet::new();
        }
        let in_use = self.ask(Request::TopicsInUse).await;
        let topics = in_use.into_iter().flatten();
        topics
            .map(|topic| topic.to_string())
            .filter(|topic| self.subscribed.contains_key(topic) && !wanted.contains_key(topic))
            .collect()
    }

    /// Asks every shard at once, and waits for all answers. A shard that has ended gives none.
    async fn ask<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Request) -> Vec<T> {
        let mut answers = Vec::new();
        for shard in self.shards.iter() {
            let (ask, answer) = oneshot::channel();
            if shard.send(question(ask)).await.is_ok() {
                answers.push(answer);
            }
        }
        let answers = futures::future::join_all(answers).await;
        answers.into_iter().flatten().collect()
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

fn log(snapshot: &Snapshot) {
    tracing::info!(
        revision = snapshot.revision,
        targets = snapshot.targets.len(),
        problems = snapshot.problems.len(),
        "targets applied"
    );
}

/// The topics that the targets read, and where each target wants to begin.
fn subscription(targets: &[WorkerTarget]) -> Subscription {
    let mut subscription = Subscription::new();
    for target in targets {
        let compiled = &target.compiled;
        for source in &compiled.sources {
            let demand = subscription.entry(source.topic.clone()).or_default();
            demand.starts.insert(compiled.uid, compiled.start_from);
        }
    }
    subscription
}
