//! What only a leader has: the book, the shards, and the manifest that is there.
//!
//! A pass goes: look at what is there, plan, write. A plan is computed from what was just seen, so a pass
//! after a crash, a conflict or somebody's hand is a pass like any other. Pure: the controller asks and
//! writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parcelhook_crds::config::{Encoded, Manifest, Revision, ShardName, is_mass_loss};
use uuid::Uuid;

use super::pace::Pace;
use crate::cluster::{Loaded, Stored};
use crate::config::{Book, Found, History, Packer, Wish, collectable, first, revise};

/// How often what is there is looked at, when nothing changes.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(super) struct Led {
    /// What workers should run.
    pub(super) book: Book,
    packer: Packer,
    manifest: Manifest,
    version: Option<String>,
    history: History,
    /// Since which revision the workers have which generation of a target.
    given: BTreeMap<Uuid, (i64, Revision)>,
    pace: Pace,
    /// Whether every target was judged once: before that, what is new would be half of it.
    settled: bool,
    pass: bool,
    confirmed: bool,
    audit: Instant,
}

/// What a pass must do.
#[derive(Debug)]
pub(super) enum Plan {
    /// Somebody else has changed the manifest: read it.
    Reload,
    /// Many targets have ended at once: list them all.
    Confirm,
    /// Write.
    Write(Box<Writing>),
    /// Delete what nobody needs (possibly nothing).
    Collect(Vec<ShardName>),
}

/// What must be written.
#[derive(Debug)]
pub(super) struct Writing {
    /// Shards that are not there.
    pub(super) fresh: Vec<Encoded>,
    /// The manifest, when it changes.
    pub(super) manifest: Option<Manifest>,
    /// The version that it replaces.
    pub(super) replaces: Option<String>,
    changed: BTreeSet<Uuid>,
}

impl Led {
    /// Goes on where an earlier leader stopped. `random` and `salt` begin a lineage when there is none.
    pub(super) fn resumed(
        loaded: Loaded,
        now: Instant,
        unix_millis: i64,
        random: (u64, Uuid),
    ) -> Self {
        let inside: Vec<Uuid> = loaded.uids().collect();
        let (manifest, version) = match loaded.manifest {
            Some((manifest, version)) => (manifest, Some(version)),
            None => (first(unix_millis, random.0, random.1), None),
        };
        let given = loaded.entries.iter();
        let given = given.map(|entry| (entry.target.uid, (entry.generation, manifest.revision)));
        let mut led = Self {
            given: given.collect(),
            packer: Packer::resumed(manifest.salt, manifest.shards.clone(), inside),
            book: Book::resumed(loaded.entries, &manifest),
            manifest,
            version,
            history: History::default(),
            pace: Pace::default(),
            settled: false,
            pass: false,
            confirmed: false,
            audit: now,
        };
        led.history.add(&led.manifest);
        led.pace.changed(now);
        led
    }

    /// Somebody else has written, or deleted, the manifest: what is wanted stays, and is compared with
    /// what is there now.
    pub(super) fn adopt(
        &mut self,
        loaded: &Loaded,
        now: Instant,
        unix_millis: i64,
        random: (u64, Uuid),
    ) {
        (self.manifest, self.version) = match &loaded.manifest {
            Some((manifest, version)) => (manifest.clone(), Some(version.clone())),
            None => (first(unix_millis, random.0, random.1), None),
        };
        let shards = self.manifest.shards.clone();
        self.packer = Packer::resumed(self.manifest.salt, shards, loaded.uids());
        self.book.put_back(self.book.uids().collect());
        self.history.add(&self.manifest);
        self.pass = false;
        self.pace.changed(now);
    }

    /// Something of the book changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.pace.changed(now);
    }

    /// Every target was judged once, or could not be.
    pub(super) fn settled(&mut self) {
        self.settled = true;
    }

    /// When the next pass is due; none while one is under way, and before [`Led::settled`].
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.pace.due().unwrap_or(self.audit);
        (self.settled && !self.pass).then(|| due.min(self.audit))
    }

    /// Begins a pass.
    pub(super) fn begin(&mut self, now: Instant) {
        self.pass = true;
        self.audit = now + AUDIT_EVERY;
        if self.pace.due().is_some() {
            self.pace.published(now);
        }
    }

    /// A pass ended without having done its work: it begins again.
    pub(super) fn failed(&mut self, now: Instant, again: Duration) {
        self.pass = false;
        self.pace.changed(now + again);
    }

    /// What the pass must do about what is there. `moved` gets the targets that fit no more, or again.
    pub(super) fn plan(
        &mut self,
        stored: &Stored,
        applied: &[Option<Revision>],
        unix_millis: i64,
        moved: &mut BTreeSet<Uuid>,
    ) -> Plan {
        if stored.manifest != self.version {
            return Plan::Reload;
        }
        let lost = self.book.ending().count();
        if is_mass_loss(lost, self.given.len()) && !self.confirmed {
            return Plan::Confirm;
        }
        self.confirmed = false;
        let present: BTreeSet<ShardName> = stored
            .shards
            .iter()
            .map(|found| found.name.clone())
            .collect();
        let changed = self.book.take_changed();
        let packed = self.packer.pack(&self.book, &changed, &present);
        moved.extend(packed.moved);
        let wish = Wish {
            shards: self.packer.shards(),
            book: &self.book,
            now: unix_millis,
        };
        let manifest = revise(&self.manifest, &wish);
        if manifest.is_none() && packed.fresh.is_empty() {
            self.give(&changed, self.manifest.revision);
            self.pass = false;
            return Plan::Collect(self.garbage(&stored.shards, applied));
        }
        Plan::Write(Box::new(Writing {
            fresh: packed.fresh,
            manifest,
            replaces: self.version.clone(),
            changed,
        }))
    }

    /// What was planned is written.
    pub(super) fn wrote(&mut self, writing: Writing, version: Option<String>) {
        self.pass = false;
        if let (Some(manifest), Some(version)) = (writing.manifest, version) {
            self.book.settle(&manifest);
            self.history.add(&manifest);
            self.manifest = manifest;
            self.version = Some(version);
        }
        self.give(&writing.changed, self.manifest.revision);
    }

    /// What was planned is not written, or nobody knows.
    pub(super) fn not_written(&mut self, writing: Writing, now: Instant, again: Duration) {
        self.book.put_back(writing.changed);
        self.failed(now, again);
    }

    /// The second look at targets that have ended: these are there.
    pub(super) fn confirm(&mut self, there: &BTreeSet<Uuid>, now: Instant) -> usize {
        let ending: Vec<Uuid> = self
            .book
            .ending()
            .filter(|uid| there.contains(uid))
            .collect();
        for uid in &ending {
            self.book.undo_end(*uid);
        }
        self.confirmed = true;
        self.failed(now, Duration::ZERO);
        ending.len()
    }

    /// Since which revision workers have the generation that they should run; none when not yet.
    pub(super) fn given(&self, uid: Uuid) -> Option<Revision> {
        let (generation, revision) = self.given.get(&uid)?;
        let entry = self.book.entry(uid)?;
        (entry.generation == *generation).then_some(*revision)
    }

    /// Whether a target does not fit.
    pub(super) fn is_left_out(&self, uid: Uuid) -> bool {
        self.packer.is_left_out(uid)
    }

    /// The revision that is there.
    pub(super) fn revision(&self) -> Revision {
        self.manifest.revision
    }

    fn give(&mut self, changed: &BTreeSet<Uuid>, revision: Revision) {
        for uid in changed {
            match self.book.entry(*uid) {
                Some(entry) if !self.packer.is_left_out(*uid) => {
                    let known = self.given.get(uid);
                    if known.is_none_or(|(generation, _)| *generation != entry.generation) {
                        self.given.insert(*uid, (entry.generation, revision));
                    }
                }
                Some(_) | None => {
                    self.given.remove(uid);
                }
            }
        }
    }

    fn garbage(&self, found: &[Found], applied: &[Option<Revision>]) -> Vec<ShardName> {
        collectable(found, &self.manifest, &self.history, applied)
    }
}

#[cfg(test)]
mod tests;
