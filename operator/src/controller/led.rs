//! What only a leader has: the book, the shards, and the manifest that is there.
//!
//! A pass goes: look at what is there, plan, write. A plan is computed from what was just seen, so a pass
//! after a crash, a conflict or somebody's hand is a pass like any other. Pure: the controller asks and
//! writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parcelhook_crds::config::{Encoded, Manifest, Revision, ShardName};
use uuid::Uuid;

use super::pace::Pace;
use crate::cluster::{Loaded, Stored};
use crate::config::{
    Book, Found, History, Packer, Wish, collectable, first, needs_second_look, revise,
};

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
        if needs_second_look(lost, self.given.len()) && !self.confirmed {
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
mod tests {
    use super::*;
    use crate::clock;
    use crate::target::sample;

    const NOTHING: Loaded = Loaded {
        manifest: None,
        entries: Vec::new(),
    };

    /// Secrets as an API server keeps them.
    #[derive(Default)]
    struct Server {
        manifest: Option<(Manifest, String)>,
        shards: Vec<Encoded>,
        versions: u32,
    }

    impl Server {
        fn stored(&self) -> Stored {
            let found = |encoded: &Encoded| Found {
                name: encoded.name.clone(),
                age: None,
            };
            Stored {
                manifest: self.manifest.as_ref().map(|(_, version)| version.clone()),
                shards: self.shards.iter().map(found).collect(),
            }
        }

        fn write(&mut self, writing: &Writing) -> Option<String> {
            for fresh in &writing.fresh {
                // What is there is there: the same name is the same content.
                if !self.shards.contains(fresh) {
                    self.shards.push(fresh.clone());
                }
            }
            let manifest = writing.manifest.clone()?;
            assert_eq!(writing.replaces, self.stored().manifest);
            for name in manifest.named() {
                assert!(
                    self.shards.iter().any(|shard| shard.name == *name),
                    "a shard is missing"
                );
            }
            self.versions += 1;
            self.manifest = Some((manifest, self.versions.to_string()));
            Some(self.versions.to_string())
        }

        fn loaded(&self) -> Loaded {
            let named: Vec<_> = self
                .manifest
                .iter()
                .flat_map(|(manifest, _)| manifest.named())
                .collect();
            let shards = self
                .shards
                .iter()
                .filter(|shard| named.contains(&&shard.name));
            let read = |shard: &Encoded| {
                parcelhook_crds::config::Shard::decode(&shard.name, &shard.bytes)
                    .unwrap()
                    .entries
            };
            Loaded {
                manifest: self.manifest.clone(),
                entries: shards.flat_map(read).collect(),
            }
        }
    }

    fn led(loaded: Loaded) -> Led {
        Led::resumed(loaded, clock::now(), 1_000, (7, Uuid::from_u128(3)))
    }

    /// A book with these targets, as if an earlier leader had left them unpublished.
    fn with(targets: impl IntoIterator<Item = u128>) -> Led {
        let mut led = led(NOTHING);
        let plain = sample::entry(1);
        let entries = targets.into_iter().map(|number| {
            let mut entry = plain.clone();
            entry.target.uid = Uuid::from_u128(number);
            entry
        });
        led.book = Book::resumed(entries, &led.manifest);
        led.book.put_back(led.book.uids().collect());
        led
    }

    /// Passes until nothing is left to do.
    fn settle(led: &mut Led, server: &mut Server) -> usize {
        let mut writes = 0;
        loop {
            led.begin(clock::now());
            match led.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new()) {
                Plan::Write(writing) => {
                    let version = server.write(&writing);
                    led.wrote(*writing, version);
                    writes += 1;
                }
                Plan::Collect(_) => return writes,
                plan @ (Plan::Reload | Plan::Confirm) => panic!("{plan:?}"),
            }
        }
    }

    #[test]
    fn what_is_wanted_is_written_once_and_then_it_is_quiet() {
        let (mut led, mut server) = (with(1..20), Server::default());
        assert_eq!(settle(&mut led, &mut server), 1);
        assert_eq!(settle(&mut led, &mut server), 0);
        assert_eq!(server.loaded().entries.len(), 19);
        assert_eq!(led.given(Uuid::from_u128(1)), Some(led.revision()));
    }

    #[test]
    fn a_group_without_targets_has_a_manifest_all_the_same() {
        let (mut led, mut server) = (led(NOTHING), Server::default());
        assert_eq!(settle(&mut led, &mut server), 1);
        assert_eq!((server.manifest.is_some(), server.shards.len()), (true, 0));
    }

    #[test]
    fn another_leader_finds_nothing_to_do() {
        let mut server = Server::default();
        settle(&mut with(1..20), &mut server);
        let mut next = led(server.loaded());
        assert_eq!(settle(&mut next, &mut server), 0);
        assert!(next.given(Uuid::from_u128(1)).is_some());
    }

    #[test]
    fn a_crash_between_two_writes_leaves_nothing_that_the_next_pass_does_not_mend() {
        let (mut first, mut server) = (with(1..20), Server::default());
        first.begin(clock::now());
        let Plan::Write(writing) = first.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new())
        else {
            panic!("nothing to write")
        };
        server.shards.extend(writing.fresh.iter().take(3).cloned());
        let mut next = with(1..20);
        assert_eq!(settle(&mut next, &mut server), 1);
        assert_eq!(server.loaded().entries.len(), 19);
    }

    #[test]
    fn a_shard_that_somebody_deleted_comes_back_without_a_new_revision() {
        let (mut led, mut server) = (with(1..20), Server::default());
        settle(&mut led, &mut server);
        let before = led.revision();
        server.shards.remove(0);
        assert_eq!(settle(&mut led, &mut server), 1);
        assert_eq!(
            (led.revision(), server.loaded().entries.len()),
            (before, 19)
        );
    }

    #[test]
    fn a_manifest_that_somebody_else_wrote_is_read_and_revised() {
        let (mut led, mut server) = (with(1..20), Server::default());
        settle(&mut led, &mut server);
        let mut other = super::tests::led(server.loaded());
        other.book.end(Uuid::from_u128(5), 1_500);
        settle(&mut other, &mut server);
        led.begin(clock::now());
        let plan = led.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new());
        assert!(matches!(plan, Plan::Reload));
        led.adopt(
            &server.loaded(),
            clock::now(),
            2_000,
            (8, Uuid::from_u128(4)),
        );
        settle(&mut led, &mut server);
        let (manifest, _) = server.manifest.as_ref().unwrap();
        assert!(manifest.revision > other.revision());
        assert_eq!(manifest.deleted.len(), 1, "the other's word stands");
    }

    #[test]
    fn a_manifest_that_was_deleted_begins_a_newer_lineage_with_the_same_targets() {
        let (mut led, mut server) = (with(1..20), Server::default());
        settle(&mut led, &mut server);
        let before = led.revision();
        server.manifest = None;
        led.adopt(
            &server.loaded(),
            clock::now(),
            3_000,
            (8, Uuid::from_u128(4)),
        );
        settle(&mut led, &mut server);
        assert!(led.revision() > before && led.revision().lineage > before.lineage);
        assert_eq!(server.loaded().entries.len(), 19);
    }

    #[test]
    fn many_deletions_at_once_need_a_second_look() {
        let (mut led, mut server) = (with(1..50), Server::default());
        settle(&mut led, &mut server);
        for number in 1..30 {
            led.book.end(Uuid::from_u128(number), 1_500);
        }
        led.begin(clock::now());
        let plan = led.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new());
        assert!(matches!(plan, Plan::Confirm));
        let there = (10..50).map(Uuid::from_u128).collect();
        assert_eq!(led.confirm(&there, clock::now()), 20);
        settle(&mut led, &mut server);
        assert_eq!(server.loaded().entries.len(), 40);
        let (manifest, _) = server.manifest.as_ref().unwrap();
        assert_eq!(manifest.deleted.len(), 9);
    }

    #[test]
    fn a_write_that_failed_is_planned_again() {
        let (mut led, mut server) = (with(1..20), Server::default());
        led.begin(clock::now());
        assert_eq!(led.due(), None);
        let Plan::Write(writing) = led.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new())
        else {
            panic!("nothing to write")
        };
        led.not_written(*writing, clock::now(), Duration::from_secs(1));
        assert_eq!(led.due(), None, "not every target was judged");
        led.settled();
        assert!(led.due().is_some());
        assert_eq!(led.given(Uuid::from_u128(1)), None);
        settle(&mut led, &mut server);
        assert_eq!(server.loaded().entries.len(), 19);
    }
}
