//! From Secrets to snapshots: which of them make a complete configuration, what of it is applied, and
//! what is refused and why. Pure.
//!
//! ```text
//!   manifest ──▶ seen ──▶ next ── missing ──▶ fetched ──▶ shards ── assemble ──▶ running, Snapshot
//! ```
//!
//! Invariants: a configuration runs only when every shard that its manifest names is there, and only
//! until a newer one does. A target ends only because the manifest says that it was deleted; one that
//! cannot be read goes on as it last was, and is told. A target that did not change keeps its `Arc`.
//! Bounded by the shards of two manifests, and by the targets of one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::config::{
    Entry, Manifest, Shard, ShardError, ShardName, Unreadable, manifest_secret,
};
use parcelhook_crds::report::Rejected;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::round::Round;
use super::shrink::Shrink;
use crate::targets::{Problem, Snapshot};

/// See the module.
#[derive(Debug)]
pub(super) struct Assembly {
    group: String,
    revision: Option<Revision>,
    running: BTreeMap<Uuid, Running>,
    ended: Vec<Uuid>,
    /// Newer than what runs, and not complete yet.
    next: Option<Manifest>,
    /// Those that the present manifest or the next one names.
    shards: BTreeMap<ShardName, Held>,
    shrink: Shrink,
    /// What is wrong with the configuration as a whole.
    trouble: Option<Trouble>,
    /// What is wrong with single targets of what runs.
    rejected: Vec<Rejected>,
    of_targets: Vec<Problem>,
    last: Snapshot,
}

/// A target that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// The generation that was compiled.
    pub(super) generation: i64,
    pub(super) target: Arc<CompiledTarget>,
}

/// A shard that was read.
#[derive(Debug)]
pub(super) enum Held {
    /// Its targets, and those that cannot be read.
    Read(Vec<Running>, Vec<Unreadable>),
    /// A later version wrote it: nothing of it can be read.
    Foreign(String),
}

/// Why a configuration does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no manifest any more.
    #[error("the manifest is gone; what ran goes on; the operator writes it again")]
    Gone,
    /// It cannot be read.
    #[error("{0}; what ran goes on; run a worker of the operator's version")]
    Unreadable(String),
    /// It is older than what runs.
    #[error("the manifest says {said}, which is older than {runs}; what runs goes on")]
    Older {
        /// What it says.
        said: Revision,
        /// What runs.
        runs: Revision,
    },
    /// Something of it could not be fetched.
    #[error("revision {revision} is not complete: {why}; what ran goes on, and it is tried again")]
    Incomplete {
        /// Which.
        revision: Revision,
        /// What is missing, and why.
        why: String,
    },
    /// It lacks many targets.
    #[error(
        "revision {revision} lacks {missing} of {running} targets, and does not say that they were deleted; what ran goes on for a minute"
    )]
    Shrinks {
        /// Which.
        revision: Revision,
        /// Targets that it lacks.
        missing: usize,
        /// Targets that run.
        running: usize,
    },
}

/// What became of the next configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Assembled {
    /// There is none.
    Nothing,
    /// It runs now.
    Applied,
    /// Shards are missing.
    Incomplete,
    /// It is not believed until then.
    Doubted(Instant),
}

impl Assembly {
    /// Nothing is known of the group.
    pub(super) fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            revision: None,
            running: BTreeMap::new(),
            ended: Vec::new(),
            next: None,
            shards: BTreeMap::new(),
            shrink: Shrink::default(),
            trouble: None,
            rejected: Vec::new(),
            of_targets: Vec::new(),
            last: Snapshot::default(),
        }
    }

    /// Takes a manifest; none says that there is none. Says whether it is newer than what runs.
    pub(super) fn seen(&mut self, manifest: Option<&[u8]>) -> bool {
        let Some(bytes) = manifest else {
            self.trouble = Some(Trouble::Gone);
            return false;
        };
        let manifest = match Manifest::decode(bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.trouble = Some(Trouble::Unreadable(error.to_string()));
                return false;
            }
        };
        let said = manifest.revision;
        match self.revision {
            Some(runs) if said < runs => {
                self.trouble = Some(Trouble::Older { said, runs });
                false
            }
            // A revision stands for one content.
            Some(runs) if said == runs => {
                self.trouble = None;
                self.shrink.forget();
                self.next = None;
                false
            }
            Some(_) | None => {
                self.trouble = None;
                self.next = Some(manifest);
                true
            }
        }
    }

    /// The shards that the next configuration needs.
    pub(super) fn missing(&self) -> Vec<ShardName> {
        let named: BTreeSet<&ShardName> = self.next.iter().flat_map(Manifest::named).collect();
        let missing = named
            .into_iter()
            .filter(|name| !self.shards.contains_key(*name));
        missing.cloned().collect()
    }

    /// Takes a shard.
    ///
    /// # Errors
    /// When it is not the one of that name: then it is still missing.
    pub(super) fn fetched(&mut self, name: &ShardName, bytes: &[u8]) -> Result<(), ShardError> {
        let held = match Shard::decode(name, bytes) {
            Ok(shard) => {
                let entries = shard
                    .entries
                    .into_iter()
                    .map(|entry| self.same_or_new(entry));
                Held::Read(entries.collect(), shard.unreadable)
            }
            Err(error @ ShardError::Form { .. }) => Held::Foreign(error.to_string()),
            Err(error @ (ShardError::Packed(_) | ShardError::Changed { .. })) => return Err(error),
        };
        self.shards.insert(name.clone(), held);
        Ok(())
    }

    /// Something of the next configuration could not be had.
    pub(super) fn not_fetched(&mut self, why: String) {
        if let Some(Manifest { revision, .. }) = self.next {
            self.trouble = Some(Trouble::Incomplete { revision, why });
        }
    }

    /// Gives up what is not complete.
    pub(super) fn give_up(&mut self) {
        self.next = None;
        self.trouble = None;
        self.shards.clear();
    }

    /// The configuration that runs; none until there was one.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Runs the next configuration when it is complete. `unix` is the same moment as `now`, in
    /// milliseconds since the Unix epoch.
    pub(super) fn assemble(&mut self, now: Instant, unix: i64) -> Assembled {
        if !self.missing().is_empty() {
            return Assembled::Incomplete;
        }
        let Some(manifest) = self.next.take() else {
            return Assembled::Nothing;
        };
        let mut round = Round::new(&self.group, &self.running);
        round.read(&manifest, &self.shards);
        let missing = round.missing(&manifest);
        if let Some(until) = self.shrink.doubted(missing, self.running.len(), now) {
            self.trouble = Some(Trouble::Shrinks {
                revision: manifest.revision,
                missing,
                running: self.running.len(),
            });
            self.next = Some(manifest);
            return Assembled::Doubted(until);
        }
        let (running, rejected, problems) = round.finish(&manifest, unix);
        self.ended = manifest
            .deleted
            .iter()
            .map(|deleted| deleted.uid)
            .filter(|uid| !running.contains_key(uid))
            .collect();
        (self.running, self.rejected, self.of_targets) = (running, rejected, problems);
        self.revision = Some(manifest.revision);
        self.trouble = None;
        let named: BTreeSet<&ShardName> = manifest.named().collect();
        self.shards.retain(|name, _| named.contains(name));
        Assembled::Applied
    }

    /// What runs, and what is wrong; none when neither has changed. Counts as no change of the targets
    /// until there was a configuration.
    pub(super) fn publish(&mut self) -> Option<Snapshot> {
        let trouble = self.trouble.as_ref().map(|trouble| Problem {
            file: manifest_secret(&self.group),
            document: 0,
            message: trouble.to_string(),
            last_good_runs: false,
        });
        let problems: Vec<Problem> = trouble.into_iter().chain(self.of_targets.clone()).collect();
        if self.last.revision == self.revision && self.last.problems == problems {
            return None;
        }
        self.last = Snapshot {
            changes: self.last.changes + u64::from(self.revision.is_some()),
            revision: self.revision,
            targets: self.targets(),
            ended: self.ended.clone(),
            problems,
            rejected: self.rejected.clone(),
            of_other_groups: 0,
        };
        Some(self.last.clone())
    }

    /// By namespace and name.
    fn targets(&self) -> Vec<Arc<CompiledTarget>> {
        let running = self.running.values();
        let mut targets: Vec<_> = running.map(|one| Arc::clone(&one.target)).collect();
        targets.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        targets
    }

    /// Keeps the identity of a target that did not change.
    fn same_or_new(&self, entry: Entry) -> Running {
        let generation = entry.generation;
        let target = entry.into_target();
        let known = self.running.get(&target.uid).map(|known| &known.target);
        let target = match known.filter(|known| ***known == target) {
            Some(known) => Arc::clone(known),
            None => Arc::new(target),
        };
        Running { generation, target }
    }
}

#[cfg(test)]
pub(super) mod tests;
