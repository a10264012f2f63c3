//! What passes promise, with an API server of plain data.

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
    let mut other = self::led(server.loaded());
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
    let Plan::Write(writing) = led.plan(&server.stored(), &[], 2_000, &mut BTreeSet::new()) else {
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
