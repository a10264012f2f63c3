//! Carries configuration changes to those who run them: first into the group's memory, then to the shards,
//! then into the subscription.
//!
//! Invariants: no record of a topic arrives before every shard knows the targets that want it, and a
//! topic is read until no lane of it has anything left to deliver, to keep or to write. A worker that
//! lacks a configuration for too long reads nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::revision::Revision;
use tokio::sync::{oneshot, watch};

use super::behind::Behind;
use super::remembering::Remembering;
use super::roster::Roster;
use super::{Shards, Snapshots};
use super::{heap, pages};
use crate::clock;
use crate::config::Config;
use crate::lane::driver::Request;
use crate::source::{SourceError, SourceHandle, Subscription, create_missing_topics};
use crate::state::shared::WorkerTarget;
use crate::targets::Snapshot;

/// How often it is looked whether a topic that no target wants may be given up, and whether a partition
/// waits for a newer configuration.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What every shard runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Applied {
    /// How often the targets have changed; none until they were loaded once.
    pub(super) changes: Option<u64>,
    /// Their revision, when somebody numbers them.
    pub(super) revision: Option<Revision>,
    /// The revision for which the worker has left the group.
    pub(super) lacks: Option<Revision>,
    /// The targets, those that are missing included.
    pub(super) targets: Arc<[WorkerTarget]>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Supervisor {
    shards: Shards,
    source: SourceHandle,
    roster: Roster,
    remembering: Remembering,
    subscribed: Subscription,
    behind: Behind,
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
    pub(super) fn new(
        config: &Config,
        shards: Shards,
        source: SourceHandle,
        remembering: Remembering,
    ) -> Self {
        let mut roster = Roster::default();
        let now = clock::now();
        for (uid, known) in remembering.memory().targets() {
            roster.remember(uid, known, now);
        }
        let properties = || ClientProperties(config.kafka_properties_of("topics"));
        Self {
            shards,
            source,
            roster,
            remembering,
            subscribed: Subscription::new(),
            behind: Behind::default(),
            creates_topics: config.create_topics.then(properties),
        }
    }

    /// Runs until nobody publishes targets any more, or the worker stops. Publishes what every shard
    /// runs.
    pub(super) async fn run(
        mut self,
        mut snapshots: Snapshots,
        applied: watch::Sender<Applied>,
    ) -> Result<(), SourceError> {
        // Nothing is read before it is known what for.
        if !is_loaded(&mut snapshots).await {
            return Ok(());
        }
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let now = clock::now();
            self.roster.apply(&snapshot, now, clock::unix_millis());
            self.remembering.keep(self.roster.targets()).await;
            self.apply().await;
            log(&snapshot);
            if self.behind.configured(snapshot.revision) {
                tracing::info!("the configuration is new enough: the worker joins the group again");
            }
            applied.send_replace(Applied {
                changes: Some(snapshot.changes),
                revision: snapshot.revision,
                lacks: self.behind.left_for(),
                targets: self.roster.configuration().targets,
            });
            parcelhook_crds::manifest::forget_rules();
            heap::give_back();
            pages::give_back();
            if !self.look_after(&mut snapshots, &applied).await? {
                return Ok(());
            }
        }
    }

    /// Does what is a matter of time until there is another snapshot. Says whether there is one.
    async fn look_after(
        &mut self,
        snapshots: &mut Snapshots,
        applied: &watch::Sender<Applied>,
    ) -> Result<bool, SourceError> {
        let numbered = applied.borrow().revision.is_some();
        loop {
            let all_wanted = self.subscribe().await?;
            let look = (numbered || !all_wanted).then(|| clock::now() + LOOK_AGAIN);
            let remember = self.remembering.next();
            let next = [look, remember, self.roster.next_end()];
            let next = next.into_iter().flatten().min();
            tokio::select! {
                biased;
                changed = snapshots.changed() => return Ok(changed.is_ok()),
                () = sleep_until(next) => {}
            }
            let expired = self.roster.expire(clock::now());
            if expired || remember.is_some_and(|due| due <= clock::now()) {
                self.remembering.keep(self.roster.targets()).await;
            }
            if expired {
                self.apply().await;
            }
            if numbered {
                self.give_way(applied).await?;
            }
        }
    }

    /// Leaves the group when partitions have waited for too long for a newer configuration.
    async fn give_way(&mut self, applied: &watch::Sender<Applied>) -> Result<(), SourceError> {
        let partitions = self.source.report().await?.partitions;
        let lacked = partitions.iter().filter_map(|one| one.lacks).max();
        if self.behind.look(lacked, clock::now()) {
            let lacks = self.behind.left_for();
            applied.send_modify(|applied| applied.lacks = lacks);
            tracing::error!(
                event = "worker.behind",
                needs = lacks.map(tracing::field::display),
                has = applied.borrow().revision.map(tracing::field::display),
                "partitions have waited for a newer configuration: the worker leaves the group until it has it; update its targets directory"
            );
        }
        Ok(())
    }

    /// Returns when the lanes of every shard are those of the roster.
    async fn apply(&mut self) {
        let configuration = self.roster.configuration();
        let asked = self.ask(|applied| Request::Apply {
            configuration: configuration.clone(),
            applied,
        });
        asked.await;
    }

    /// Reads what the targets want, and what lanes still need. Says whether that is the same.
    async fn subscribe(&mut self) -> Result<bool, SourceError> {
        let mut wanted = match self.behind.left_for() {
            Some(_) => Subscription::new(),
            None => subscription(self.roster.targets()),
        };
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

/// Waits for the first targets. Says whether there are any to come.
async fn is_loaded(snapshots: &mut Snapshots) -> bool {
    let loaded = snapshots.wait_for(|snapshot| snapshot.changes > 0).await;
    loaded.is_ok()
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

fn log(snapshot: &Snapshot) {
    tracing::info!(
        revision = snapshot.revision.map(tracing::field::display),
        targets = snapshot.targets.len(),
        problems = snapshot.problems.len(),
        "targets applied"
    );
}

/// The topics that the targets read, and where each target wants to begin.
fn subscription<'a>(targets: impl Iterator<Item = &'a WorkerTarget>) -> Subscription {
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
