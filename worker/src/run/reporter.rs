//! Gathers what the worker knows of itself: asks every shard and the consumer thread, and merges.
//!
//! Owns nothing but the ways to ask. It waits for the slowest; who asks sets the bound.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::supervisor::Applied;
use super::{Shards, Snapshots};
use crate::admin;
use crate::lane::driver::Request;
use crate::park::produce::Producer;
use crate::report::{OwnTopicsReport, TargetReport, WorkerReport};
use crate::source::SourceHandle;

/// See the module.
#[derive(Clone, Debug)]
pub struct Reporter {
    shards: Shards,
    source: SourceHandle,
    own_topics: OwnTopics,
    snapshots: Snapshots,
    applied: watch::Receiver<Applied>,
}

/// Where the worker's own topics are counted. It keeps no thread from ending.
#[derive(Clone, Debug)]
pub(super) struct OwnTopics {
    pub(super) producer: Producer,
    pub(super) retry_unreadable: Arc<AtomicU64>,
    pub(super) lanes_unreadable: Arc<AtomicU64>,
}

impl OwnTopics {
    fn report(&self) -> OwnTopicsReport {
        OwnTopicsReport {
            producers_replaced: self.producer.generation(),
            unanswered_bytes: self.producer.unanswered_bytes() as u64,
            retry_unreadable: self.retry_unreadable.load(Ordering::Relaxed),
            lanes_unreadable: self.lanes_unreadable.load(Ordering::Relaxed),
        }
    }
}

impl Reporter {
    pub(super) fn new(
        shards: Shards,
        source: SourceHandle,
        own_topics: OwnTopics,
        snapshots: Snapshots,
        applied: watch::Receiver<Applied>,
    ) -> Self {
        Self {
            shards,
            source,
            own_topics,
            snapshots,
            applied,
        }
    }

    async fn targets(&self) -> BTreeMap<Uuid, TargetReport> {
        let mut answers = Vec::new();
        for shard in self.shards.iter() {
            let (ask, answer) = oneshot::channel();
            if shard.send(Request::Report(ask)).await.is_ok() {
                answers.push(answer);
            }
        }
        let mut merged: BTreeMap<Uuid, TargetReport> = BTreeMap::new();
        for answer in answers {
            for report in answer.await.unwrap_or_default() {
                match merged.entry(report.target.uid) {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(report);
                    }
                    std::collections::btree_map::Entry::Occupied(mut known) => {
                        known.get_mut().merge(report);
                    }
                }
            }
        }
        merged
    }
}

impl admin::Reporter for Reporter {
    async fn report(&self) -> WorkerReport {
        let applied = self.applied.borrow().clone();
        WorkerReport {
            changes: applied.changes,
            revision: applied.revision,
            lacks: applied.lacks,
            targets: self.targets().await,
            source: self.source.report().await.unwrap_or_default(),
            own_topics: self.own_topics.report(),
            problems: self.snapshots.borrow().problems.clone(),
        }
    }

    async fn retry(&self, target: Uuid) {
        for shard in self.shards.iter() {
            // A shard that has ended has nothing to try.
            let _ = shard.send(Request::Retry(target)).await;
        }
    }
}

/// A reporter for those who ask before the worker has begun: it knows nothing then.
#[derive(Clone, Debug, Default)]
pub(super) struct LateReporter(Arc<OnceLock<Reporter>>);

impl LateReporter {
    /// The worker has begun. Only the first counts.
    pub(super) fn is(&self, reporter: Reporter) {
        self.0.get_or_init(|| reporter);
    }
}

impl admin::Reporter for LateReporter {
    async fn report(&self) -> WorkerReport {
        match self.0.get() {
            Some(reporter) => reporter.report().await,
            None => WorkerReport::default(),
        }
    }

    async fn retry(&self, target: Uuid) {
        if let Some(reporter) = self.0.get() {
            reporter.retry(target).await;
        }
    }
}
