//! Judging targets: what is taken from the queue, and what becomes of the verdict.

use std::time::Instant;

use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use parcelhook_crds::spec::DeliveryTarget;
use uuid::Uuid;

use super::index::Change;
use super::jobs::{self, Judged};
use super::{Controller, Role};
use crate::clock;
use crate::cluster::{ClusterError, Presence, Scope};
use crate::health::Touched;
use crate::queue::Ended;
use crate::target::references;

impl Controller {
    /// A watch of targets tells.
    pub(super) fn target_seen(
        &mut self,
        scope: Scope,
        event: watcher::Event<DeserializeGuard<DeliveryTarget>>,
    ) {
        for change in self.index.apply(scope, event) {
            match change {
                Change::Judge(uid) => {
                    if let Some(object) = self.index.get(uid) {
                        let names = object.body.as_ref().map(|target| references(&target.spec));
                        let namespace = object.namespace.clone();
                        self.references
                            .set(uid, &namespace, names.unwrap_or_default());
                    }
                    self.queue.add(uid);
                    self.statuses.touch([uid]);
                }
                Change::Seen(uid) => self.statuses.touch([uid]),
                Change::Missing(uid) => {
                    self.references.forget(uid);
                    self.queue.add(uid);
                }
            }
        }
    }

    /// Something of these targets looks different.
    pub(super) fn touch(&mut self, touched: Touched) {
        match touched {
            Touched::All => {
                let all: Vec<Uuid> = self.index.objects().map(|object| object.uid).collect();
                self.statuses.touch(all);
            }
            Touched::Only(some) => self.statuses.touch(some),
        }
    }

    /// Everything must be judged: the targets that are there, and those that workers run.
    pub(super) fn queue_all(&mut self) {
        let there = self.index.objects().map(|object| object.uid);
        let mut all: Vec<Uuid> = there.collect();
        if let Role::Leader(led) = &self.role {
            all.extend(led.book.uids());
        }
        all.into_iter().for_each(|uid| self.queue.add(uid));
    }

    /// Starts to judge what waits. Before every watch has listed everything, nothing is missing.
    pub(super) fn judge_next(&mut self, now: Instant) {
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        if !self.index.is_complete() {
            return;
        }
        while let Some(uid) = self.queue.take(now) {
            let cluster = self.around.cluster.clone();
            if let Some(object) = self.index.get(uid) {
                let (policy, object) = (self.around.policy.clone(), object.clone());
                let metrics = self.around.metrics.clone();
                if led.book.is_past(uid, object.generation) {
                    let job = jobs::judged_if_there(cluster, policy, object);
                    self.jobs
                        .spawn(jobs::timed(metrics, |all| &all.judge_seconds, job));
                } else {
                    let job = jobs::judged(cluster, policy, object);
                    self.jobs
                        .spawn(jobs::timed(metrics, |all| &all.judge_seconds, job));
                }
            } else if let Some(entry) = led.book.entry(uid) {
                let target = &entry.target;
                let name = (target.namespace.clone(), target.name.clone());
                self.jobs.spawn(jobs::looked(cluster, uid, name));
            } else {
                // It never ran, and is gone.
                led.book.end(uid, 0);
                self.queue.ended(uid, Ended::Done, now, 0.0);
                self.queue.forget(uid);
                self.statuses.forget(uid);
                self.known.forget(uid);
            }
        }
    }

    /// A target was judged.
    pub(super) fn on_judged(&mut self, judged: Judged, now: Instant) {
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        let uid = judged.uid;
        let again = match judged.verdict {
            Ok((verdict, again)) => {
                led.book
                    .apply(uid, judged.generation, judged.suspend, verdict);
                led.changed(now);
                self.statuses.touch([uid]);
                again
            }
            Err(error) => {
                tracing::warn!(%uid, %error, "a target could not be judged; trying again");
                true
            }
        };
        let ended = if again { Ended::Failed } else { Ended::Done };
        self.around.metrics.judged(ended);
        self.queue.ended(uid, ended, now, fastrand::f64());
    }

    /// A target that was missing was looked for.
    pub(super) fn on_looked(
        &mut self,
        uid: Uuid,
        presence: Result<Presence, ClusterError>,
        now: Instant,
    ) {
        let Role::Leader(led) = &mut self.role else {
            return;
        };
        let ended = match presence {
            Ok(Presence::Gone) => {
                if led.book.end(uid, clock::unix_millis()) {
                    tracing::debug!(%uid, "a target has ended");
                    led.changed(now);
                }
                self.statuses.forget(uid);
                self.known.forget(uid);
                Ended::Done
            }
            // The watch is behind, or the target is of a namespace that is no longer watched: it stays.
            Ok(Presence::There) => Ended::Failed,
            Err(error) => {
                tracing::warn!(%uid, %error, "whether a target is there is not known");
                Ended::Failed
            }
        };
        self.around.metrics.judged(ended);
        self.queue.ended(uid, ended, now, fastrand::f64());
    }
}
