//! What packing promises.

use parcelhook_crds::config::{Manifest, Revision};
use parcelhook_crds::secret::Secret;
use proptest::prelude::*;

use super::*;
use crate::target::sample;

const SALT: Uuid = Uuid::from_u128(5);

/// A book of targets, each with some bytes that do not pack.
fn book(targets: impl IntoIterator<Item = (u128, usize)>) -> Book {
    let nothing = Manifest {
        revision: Revision {
            lineage: 1,
            number: 1,
        },
        salt: SALT,
        published_at: 0,
        shards: Vec::new(),
        deleted: Vec::new(),
        requests: Vec::new(),
    };
    let plain = sample::entry(1);
    let entries = targets.into_iter().map(|(number, bytes)| {
        let mut entry = plain.clone();
        entry.target.uid = Uuid::from_u128(number);
        let mut random = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(bytes)
            .collect();
        entry.target.signing_keys = vec![Secret::new(noise)];
        entry
    });
    Book::resumed(entries.collect::<Vec<_>>(), &nothing)
}

fn packer(max_bytes: usize) -> Packer {
    Packer {
        max_bytes,
        ..Packer::resumed(SALT, Vec::new(), [])
    }
}

fn pack(packer: &mut Packer, book: &Book) -> Packed {
    let all = book.uids().collect();
    packer.pack(book, &all, &BTreeSet::new())
}

/// The shards as they are when everything was written, and nobody has touched them.
fn present(packer: &Packer) -> BTreeSet<ShardName> {
    packer.shards().iter().flatten().cloned().collect()
}

/// Who stands in the shards.
fn inside(packed: &Packed) -> BTreeSet<Uuid> {
    let shards = packed.fresh.iter();
    shards
        .flat_map(|encoded| {
            Shard::decode(&encoded.name, &encoded.bytes)
                .unwrap()
                .entries
        })
        .map(|entry| entry.target.uid)
        .collect()
}

#[test]
fn what_was_not_written_whole_goes_on_with_what_is_missing() {
    let book = book((1..100).map(|number| (number, 32)));
    let mut packer = packer(SHARD_MAX_BYTES);
    let first = pack(&mut packer, &book);
    let (written, rest) = first.fresh.split_at(3);
    let present = written.iter().map(|encoded| encoded.name.clone());
    let again = packer.pack(&book, &book.uids().collect(), &present.collect());
    assert_eq!(again.fresh, rest);
}

#[test]
fn every_target_stands_in_one_shard_of_its_number() {
    let book = book((1..100).map(|number| (number, 32)));
    let mut packer = packer(SHARD_MAX_BYTES);
    let packed = pack(&mut packer, &book);
    assert_eq!(inside(&packed).len(), 99);
    assert_eq!(packer.shards().len(), SHARDS_MIN);
    for (number, name) in packer.shards().iter().enumerate() {
        let name = name.as_ref().unwrap();
        let encoded = packed
            .fresh
            .iter()
            .find(|encoded| encoded.name == *name)
            .unwrap();
        for entry in Shard::decode(name, &encoded.bytes).unwrap().entries {
            assert_eq!(shard_of(entry.target.uid, SHARDS_MIN), number);
        }
    }
}

#[test]
fn one_change_packs_one_shard_and_no_change_none() {
    let before = book((1..100).map(|number| (number, 32)));
    let after = book((1..100).map(|number| (number, if number == 7 { 33 } else { 32 })));
    let mut packer = packer(SHARD_MAX_BYTES);
    pack(&mut packer, &before);
    let changed = BTreeSet::from([Uuid::from_u128(7)]);
    let packed = packer.pack(&after, &changed, &present(&packer));
    assert_eq!(packed.fresh.len(), 1);
    let names = packer.shards().to_vec();
    let packed = packer.pack(&after, &BTreeSet::new(), &present(&packer));
    assert!(packed.fresh.is_empty() && packed.moved.is_empty());
    assert_eq!(packer.shards(), names);
}

#[test]
fn a_shard_that_somebody_deleted_is_packed_again() {
    let book = book((1..100).map(|number| (number, 32)));
    let mut packer = packer(SHARD_MAX_BYTES);
    pack(&mut packer, &book);
    let mut present = present(&packer);
    let gone = present.pop_first().unwrap();
    let packed = packer.pack(&book, &BTreeSet::new(), &present);
    let names: Vec<_> = packed
        .fresh
        .iter()
        .map(|encoded| encoded.name.clone())
        .collect();
    assert_eq!(names, [gone]);
}

#[test]
fn a_leader_that_resumes_names_the_same_shards() {
    let book = book((1..100).map(|number| (number, 32)));
    let mut first = packer(SHARD_MAX_BYTES);
    pack(&mut first, &book);
    let mut second = Packer::resumed(SALT, first.shards().to_vec(), book.uids());
    pack(&mut second, &book);
    assert_eq!(first.shards(), second.shards());
}

#[test]
fn shards_become_more_when_they_grow_too_large() {
    let book = book((1..200).map(|number| (number, 1_000)));
    let mut packer = packer(8_000);
    let packed = pack(&mut packer, &book);
    assert!(
        packer.shards().len() > SHARDS_MIN,
        "{}",
        packer.shards().len()
    );
    assert_eq!(inside(&packed).len(), 199);
    assert!(
        packed
            .fresh
            .iter()
            .all(|encoded| encoded.bytes.len() <= 8_000)
    );
}

#[test]
fn one_target_that_is_too_large_is_left_out_and_makes_no_shards() {
    let mut targets: Vec<_> = (1..50).map(|number| (number, 32)).collect();
    targets.push((99, 20_000));
    let book = book(targets);
    let mut packer = packer(8_000);
    let packed = pack(&mut packer, &book);
    assert_eq!(packer.shards().len(), SHARDS_MIN);
    assert_eq!(packed.moved, BTreeSet::from([Uuid::from_u128(99)]));
    assert!(packer.is_left_out(Uuid::from_u128(99)));
    assert_eq!(inside(&packed).len(), 49);
}

#[test]
fn a_new_target_never_pushes_out_one_that_runs() {
    let mut packer = packer(2_000);
    packer.shards = vec![None; SHARDS_MAX];
    // All of them in one shard.
    let crowd: Vec<u128> = (1..)
        .filter(|n| shard_of(Uuid::from_u128(*n), SHARDS_MAX) == 0)
        .take(6)
        .collect();
    let mut running = book(crowd[3..4].iter().map(|number| (*number, 500)));
    pack(&mut packer, &running);
    running = book(crowd.iter().map(|number| (*number, 500)));
    let packed = pack(&mut packer, &running);
    assert!(inside(&packed).contains(&Uuid::from_u128(crowd[3])));
    assert!(!packed.moved.is_empty() && packed.moved.len() < 6);
    // With fewer targets they fit again.
    let fewer = book(crowd[4..].iter().map(|number| (*number, 500)));
    let all = crowd
        .iter()
        .map(|number| Uuid::from_u128(*number))
        .collect();
    packer.pack(&fewer, &all, &BTreeSet::new());
    assert!(packer.left_out.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// However changes are grouped into passes, the shards are those of the last state.
    #[test]
    fn the_shards_depend_on_the_targets_alone(
        steps in prop::collection::vec(prop::collection::btree_map(0..40_u128, 8..300_usize, 0..20), 1..5),
    ) {
        let mut packer = packer(SHARD_MAX_BYTES);
        let mut before: BTreeSet<Uuid> = BTreeSet::new();
        for step in &steps {
            let book = book(step.iter().map(|(number, bytes)| (*number, *bytes)));
            let now: BTreeSet<Uuid> = book.uids().collect();
            let present = packer.shards().iter().flatten().cloned().collect();
            let changed = before.union(&now).copied().collect();
            packer.pack(&book, &changed, &present);
            before = now;
        }
        let mut fresh = self::packer(SHARD_MAX_BYTES);
        let last = steps.last().cloned().unwrap_or_default();
        pack(&mut fresh, &book(last));
        prop_assert_eq!(packer.shards(), fresh.shards());
    }
}
