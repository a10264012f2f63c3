//! One configuration, put together from its shards. Pure.
//!
//! Owns the choice of what runs of each target: what its shard says, or what ran before when that cannot
//! be read. Whether the whole is believed is not decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::config::{Manifest, ShardName, Unreadable, shard_of, shard_secret};
use parcelhook_crds::report::Rejected;
use uuid::Uuid;

use super::assembly::{Held, Running};
use crate::targets::Problem;

/// One configuration that is put together.
pub(super) struct Round<'a> {
    group: &'a str,
    before: &'a BTreeMap<Uuid, Running>,
    good: BTreeMap<Uuid, Running>,
    rejected: Vec<Rejected>,
    problems: Vec<Problem>,
}

impl<'a> Round<'a> {
    pub(super) fn new(group: &'a str, before: &'a BTreeMap<Uuid, Running>) -> Self {
        Self {
            group,
            before,
            good: BTreeMap::new(),
            rejected: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes what can be read of the shards, and for what cannot what ran before.
    pub(super) fn read(&mut self, manifest: &Manifest, shards: &BTreeMap<ShardName, Held>) {
        let numbered = manifest.shards.iter().enumerate();
        let named = numbered.filter_map(|(number, name)| Some((number, name.as_ref()?)));
        for (number, name) in named {
            match shards.get(name) {
                Some(Held::Read(targets, unreadable)) => {
                    let targets = targets.iter();
                    self.good
                        .extend(targets.map(|one| (one.target.uid, one.clone())));
                    for one in unreadable {
                        self.unreadable(name, one);
                    }
                }
                Some(Held::Foreign(why)) => self.foreign(manifest, name, number, why),
                // Only a complete configuration is read.
                None => {}
            }
        }
    }

    /// A shard of which nothing can be read: which targets are in it follows from their uids.
    fn foreign(&mut self, manifest: &Manifest, name: &ShardName, number: usize, why: &str) {
        let before = self.before.iter();
        let of_it = before.filter(|(uid, _)| {
            shard_of(**uid, manifest.shards.len()) == number && !is_deleted(manifest, uid)
        });
        let mut kept = false;
        for (uid, known) in of_it {
            kept = true;
            self.good.entry(*uid).or_insert_with(|| known.clone());
            self.rejected.push(Rejected {
                target: *uid,
                generation: known.generation,
                message: why.to_owned(),
            });
        }
        self.problem(name, why.to_owned(), kept);
    }

    fn unreadable(&mut self, shard: &ShardName, unreadable: &Unreadable) {
        let kept = self.keep(unreadable.uid);
        let name = self.before.get(&unreadable.uid).map(|known| {
            let target = &known.target;
            format!("{}/{}", target.namespace, target.name)
        });
        let name = name.unwrap_or_else(|| unreadable.uid.to_string());
        self.problem(shard, format!("{name}: {unreadable}"), kept);
        self.rejected.push(Rejected {
            target: unreadable.uid,
            generation: unreadable.generation,
            message: unreadable.to_string(),
        });
    }

    /// Lets a target go on as it was. Says whether it ran.
    fn keep(&mut self, uid: Uuid) -> bool {
        let Some(known) = self.before.get(&uid) else {
            return false;
        };
        self.good.entry(uid).or_insert_with(|| known.clone());
        true
    }

    fn problem(&mut self, shard: &ShardName, message: String, last_good_runs: bool) {
        self.problems.push(Problem {
            file: shard_secret(self.group, shard),
            document: 0,
            message,
            last_good_runs,
        });
    }

    /// How many targets are there no more although nobody deleted them.
    pub(super) fn missing(&self, manifest: &Manifest) -> usize {
        let missing = self
            .before
            .keys()
            .filter(|uid| !self.good.contains_key(uid));
        missing.filter(|uid| !is_deleted(manifest, uid)).count()
    }

    /// With what is asked of each target.
    pub(super) fn finish(
        mut self,
        manifest: &Manifest,
        unix: i64,
    ) -> (BTreeMap<Uuid, Running>, Vec<Rejected>, Vec<Problem>) {
        for (uid, running) in &mut self.good {
            let requests = manifest.requests_of(*uid, unix);
            if running.target.requests == requests {
                continue;
            }
            let asked = CompiledTarget {
                requests,
                ..(*running.target).clone()
            };
            let known = self.before.get(uid).map(|known| &known.target);
            running.target = match known.filter(|known| ***known == asked) {
                Some(known) => Arc::clone(known),
                None => Arc::new(asked),
            };
        }
        (self.good, self.rejected, self.problems)
    }
}

fn is_deleted(manifest: &Manifest, uid: &Uuid) -> bool {
    let found = manifest
        .deleted
        .binary_search_by_key(uid, |deleted| deleted.uid);
    found.is_ok()
}
