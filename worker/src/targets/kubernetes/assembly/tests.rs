//! Promises of the assembly.

use parcelhook_crds::compiled::Request;
use parcelhook_crds::config::{Asked, Deleted, shard_of};

use super::*;
use crate::clock;
use crate::targets::sample;

const SALT: Uuid = Uuid::from_u128(1);

/// Shards of a test's configuration.
const SHARDS: usize = 4;

/// A configuration as the operator writes it.
pub(in super::super) struct Written {
    pub(in super::super) manifest: Vec<u8>,
    pub(in super::super) shards: Vec<(ShardName, Vec<u8>)>,
}

/// The configuration of this number, with these targets.
pub(in super::super) fn written(
    number: u64,
    targets: impl IntoIterator<Item = CompiledTarget>,
) -> Written {
    with(number, targets, |_| {})
}

fn with(
    number: u64,
    targets: impl IntoIterator<Item = CompiledTarget>,
    change: impl FnOnce(&mut Manifest),
) -> Written {
    let mut entries: Vec<Vec<Entry>> = vec![Vec::new(); SHARDS];
    for target in targets {
        entries[shard_of(target.uid, SHARDS)].push(Entry {
            generation: 1,
            held: false,
            target,
        });
    }
    let mut shards = Vec::new();
    let mut named = Vec::new();
    for entries in entries {
        let encoded = Shard::encode(SALT, &entries.iter().collect::<Vec<_>>());
        let is_there = !entries.is_empty();
        named.push(is_there.then(|| encoded.name.clone()));
        if is_there {
            shards.push((encoded.name, encoded.bytes));
        }
    }
    let mut manifest = Manifest {
        revision: revision(number),
        salt: SALT,
        published_at: 0,
        shards: named,
        deleted: Vec::new(),
        requests: Vec::new(),
    };
    change(&mut manifest);
    Written {
        manifest: manifest.encode(),
        shards,
    }
}

fn revision(number: u64) -> Revision {
    Revision { lineage: 7, number }
}

fn target(number: u128) -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::from_u128(number),
        name: format!("t{number:03}"),
        ..sample::target()
    }
}

/// Shows everything of a configuration, and says what comes of it.
fn show(assembly: &mut Assembly, written: &Written) -> (Assembled, Option<Snapshot>) {
    assembly.seen(Some(&written.manifest));
    for (name, bytes) in &written.shards {
        assembly.fetched(name, bytes).unwrap();
    }
    let assembled = assembly.assemble(clock::now(), 0);
    (assembled, assembly.publish())
}

fn applied(assembly: &mut Assembly, written: &Written) -> Snapshot {
    let (assembled, snapshot) = show(assembly, written);
    assert_eq!(assembled, Assembled::Applied);
    snapshot.unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    let targets = snapshot.targets.iter();
    targets.map(|target| target.name.as_str()).collect()
}

#[test]
fn a_configuration_runs_only_when_every_shard_is_there() {
    let mut assembly = Assembly::new("default");
    let whole = written(1, (1..=8).map(target));
    assert!(assembly.seen(Some(&whole.manifest)));
    let (last, others) = whole.shards.split_last().unwrap();
    for (name, bytes) in others {
        assembly.fetched(name, bytes).unwrap();
    }
    assert_eq!(assembly.missing(), std::slice::from_ref(&last.0));
    assert_eq!(assembly.assemble(clock::now(), 0), Assembled::Incomplete);
    assert!(assembly.publish().is_none());
    assembly.not_fetched("it is away".to_owned());
    let told = assembly.publish().unwrap();
    assert_eq!((told.changes, told.targets.len()), (0, 0));
    assert!(told.problems[0].message.contains("it is away"));
    assembly.fetched(&last.0, &last.1).unwrap();
    assert_eq!(assembly.assemble(clock::now(), 0), Assembled::Applied);
    let snapshot = assembly.publish().unwrap();
    assert_eq!((snapshot.changes, snapshot.targets.len()), (1, 8));
    assert_eq!(snapshot.revision, Some(revision(1)));
    assert!(snapshot.problems.is_empty());
}

#[test]
fn an_older_configuration_never_runs_and_a_new_lineage_does() {
    let mut assembly = Assembly::new("default");
    applied(&mut assembly, &written(5, [target(1)]));
    let (assembled, told) = show(&mut assembly, &written(4, [target(2)]));
    assert_eq!(assembled, Assembled::Nothing);
    let told = told.unwrap();
    assert_eq!(names(&told), ["t001"]);
    assert!(told.problems[0].message.contains("older than 7:5"));
    let anew = with(1, [target(2)], |manifest| manifest.revision.lineage = 8);
    let snapshot = applied(&mut assembly, &anew);
    assert_eq!(names(&snapshot), ["t002"]);
    assert!(snapshot.problems.is_empty());
}

#[test]
fn a_manifest_that_is_gone_or_unreadable_changes_nothing() {
    let mut assembly = Assembly::new("default");
    let good = written(1, [target(1)]);
    applied(&mut assembly, &good);
    for bad in [None, Some(&b"x"[..])] {
        assert!(!assembly.seen(bad));
        assert_eq!(assembly.assemble(clock::now(), 0), Assembled::Nothing);
        let told = assembly.publish().unwrap();
        assert_eq!((names(&told), told.problems.len()), (vec!["t001"], 1));
    }
    assert!(!assembly.seen(Some(&good.manifest)), "it runs already");
    assert!(assembly.publish().unwrap().problems.is_empty());
}

#[test]
fn a_target_that_did_not_change_is_the_same() {
    let mut assembly = Assembly::new("default");
    let first = applied(&mut assembly, &written(1, [target(1), target(2)]));
    let changed = CompiledTarget {
        event_type: "other".to_owned(),
        ..target(2)
    };
    let second = applied(&mut assembly, &written(2, [target(1), changed]));
    let same = |number: usize| Arc::ptr_eq(&first.targets[number], &second.targets[number]);
    assert_eq!((same(0), same(1)), (true, false));
}

#[test]
fn a_request_reaches_its_target_and_no_other() {
    let mut assembly = Assembly::new("default");
    let asks = |number| {
        with(number, [target(1), target(2)], |manifest| {
            manifest.requests = vec![Asked {
                uid: Uuid::from_u128(1),
                request: "retry-at=2026-01-31T12:00:00Z".to_owned(),
                since: 0,
            }];
        })
    };
    let before = applied(&mut assembly, &written(1, [target(1), target(2)]));
    let asked = applied(&mut assembly, &asks(2));
    let wanted = Request::RetryAt("2026-01-31T12:00:00Z".to_owned());
    assert_eq!(asked.targets[0].requests, [wanted]);
    assert!(Arc::ptr_eq(&before.targets[1], &asked.targets[1]));
    let again = applied(&mut assembly, &asks(3));
    assert!(Arc::ptr_eq(&asked.targets[0], &again.targets[0]));
    let over = applied(&mut assembly, &written(4, [target(1), target(2)]));
    assert!(over.targets[0].requests.is_empty());
}

#[test]
fn a_deleted_target_ends_and_a_missing_one_is_only_missing() {
    let mut assembly = Assembly::new("default");
    applied(
        &mut assembly,
        &written(1, [target(1), target(2), target(3)]),
    );
    let one_deleted = with(2, [target(3)], |manifest| {
        manifest.deleted = vec![Deleted {
            uid: Uuid::from_u128(1),
            at: 0,
        }];
    });
    let snapshot = applied(&mut assembly, &one_deleted);
    assert_eq!(names(&snapshot), ["t003"]);
    assert_eq!(snapshot.ended, [Uuid::from_u128(1)]);
}

#[test]
fn many_targets_at_once_are_missed_only_after_a_while_unless_they_were_deleted() {
    let mut assembly = Assembly::new("default");
    applied(&mut assembly, &written(1, (1..=20).map(target)));
    let few = written(2, (1..=5).map(target));
    let (assembled, told) = show(&mut assembly, &few);
    let Assembled::Doubted(until) = assembled else {
        panic!("{assembled:?}");
    };
    let told = told.unwrap();
    assert_eq!((told.targets.len(), told.revision), (20, Some(revision(1))));
    assert!(told.problems[0].message.contains("lacks 15 of 20 targets"));
    assert_eq!(assembly.assemble(until, 0), Assembled::Applied);
    assert_eq!(assembly.publish().unwrap().targets.len(), 5);

    let mut assembly = Assembly::new("default");
    applied(&mut assembly, &written(1, (1..=20).map(target)));
    let deleted = (6..=20).map(|number| Deleted {
        uid: Uuid::from_u128(number),
        at: 0,
    });
    let few = with(2, (1..=5).map(target), |manifest| {
        manifest.deleted = deleted.collect();
    });
    assert_eq!(applied(&mut assembly, &few).targets.len(), 5);
}

#[test]
fn a_shard_that_is_not_what_its_name_says_is_missing() {
    let mut assembly = Assembly::new("default");
    let one = written(1, [target(1)]);
    let other = written(1, [target(2)]);
    assembly.seen(Some(&one.manifest));
    let name = &one.shards[0].0;
    for bytes in [&other.shards[0].1[..], b"x"] {
        assert!(assembly.fetched(name, bytes).is_err());
        assert_eq!(assembly.missing(), std::slice::from_ref(name));
    }
}

/// The configuration, with the one shard of its one target unreadable in this way.
fn of_a_later_version(number: u64, json: &str) -> Written {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(json.as_bytes()).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, json.as_bytes());
    let hex = digest.as_ref()[..16].iter();
    let hex: String = hex.map(|byte| format!("{byte:02x}")).collect();
    let name = ShardName::parse(&hex).unwrap();
    let mut later = with(number, [], |manifest| {
        manifest.shards[shard_of(Uuid::from_u128(1), SHARDS)] = Some(name.clone());
    });
    later.shards = vec![(name, packed.finish().unwrap())];
    later
}

#[test]
fn a_target_that_cannot_be_read_goes_on_as_it_was_and_is_told() {
    let uid = Uuid::from_u128(1);
    let entry = format!(r#"{{"uid":"{uid}","generation":2,"target":{{"later":1}}}}"#);
    for (json, generation) in [
        (format!(r#"{{"salt":"{SALT}","entries":[{entry}]}}"#), 2),
        (r#"{"another":"form"}"#.to_owned(), 1),
    ] {
        let mut assembly = Assembly::new("default");
        let before = applied(&mut assembly, &written(1, [target(1)]));
        let snapshot = applied(&mut assembly, &of_a_later_version(2, &json));
        assert!(Arc::ptr_eq(&before.targets[0], &snapshot.targets[0]));
        assert!(snapshot.problems[0].last_good_runs, "{json}");
        let rejected = &snapshot.rejected[0];
        assert_eq!((rejected.target, rejected.generation), (uid, generation));
        let back = applied(&mut assembly, &written(3, [target(1)]));
        assert!(back.problems.is_empty() && back.rejected.is_empty());
        assert!(Arc::ptr_eq(&before.targets[0], &back.targets[0]));
    }
}

#[test]
fn a_held_target_keeps_its_events() {
    let entry = Entry {
        generation: 1,
        held: true,
        target: target(1),
    };
    let encoded = Shard::encode(SALT, &[&entry]);
    let mut held = with(1, [], |manifest| {
        manifest.shards[0] = Some(encoded.name.clone());
    });
    held.shards = vec![(encoded.name, encoded.bytes)];
    assert!(applied(&mut Assembly::new("default"), &held).targets[0].suspend);
}
