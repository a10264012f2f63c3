//! Which partition of our own topics something goes to.
//!
//! The hash is FNV-1a with 64 bits (draft-eastlake-fnv): small, named, and the same in every language
//! and release. A successor computes it anew, so its results must never change; the tests hold vectors
//! that were computed apart from this code.

use uuid::Uuid;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Partition of the retry topic for a target: the hash of the uid's 16 bytes, modulo the number of
/// partitions. All lanes of a target are in one bucket, so that draining it reads little of others'.
pub fn bucket(target: Uuid, buckets: i32) -> i32 {
    modulo(fnv1a(OFFSET_BASIS, target.as_bytes()), buckets)
}

/// Partition of the lanes topic for the rows of a source partition: the hash of the group, a zero
/// byte, the topic, a zero byte and the partition's number as four bytes, little-endian, modulo the
/// number of partitions. A successor reads one partition to find all rows.
pub fn lanes_partition(group: &str, topic: &str, partition: i32, partitions: i32) -> i32 {
    let fields: [&[u8]; 5] = [
        group.as_bytes(),
        b"\0",
        topic.as_bytes(),
        b"\0",
        &partition.to_le_bytes(),
    ];
    let hash = fields.into_iter().fold(OFFSET_BASIS, fnv1a);
    modulo(hash, partitions)
}

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

/// The rest fits, because it is less than `count`; a count that is none gives 0.
fn modulo(hash: u64, count: i32) -> i32 {
    let count = u64::try_from(count).unwrap_or(0).max(1);
    i32::try_from(hash % count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation's test suite (isthe.com/chongo/src/fnv/test_fnv.c).
    #[test]
    fn the_hash_is_fnv_1a_with_64_bits() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(OFFSET_BASIS, text.as_bytes()), hash, "{text}");
        }
    }

    /// Computed with a few lines of Python.
    #[test]
    fn a_target_has_the_same_bucket_in_every_release() {
        for (uid, of_32, of_7) in BUCKETS {
            let uid: Uuid = uid.parse().unwrap();
            assert_eq!((bucket(uid, 32), bucket(uid, 7)), (of_32, of_7), "{uid}");
            assert_eq!(bucket(uid, 1), 0);
        }
    }

    /// Computed with a few lines of Python.
    #[test]
    fn a_source_partition_has_the_same_place_for_its_rows_in_every_release() {
        for (group, topic, partition, of_32, of_7) in LANES {
            let at = |partitions| lanes_partition(group, topic, partition, partitions);
            assert_eq!(
                (at(32), at(7)),
                (of_32, of_7),
                "{group} {topic}/{partition}"
            );
        }
    }

    #[test]
    fn a_count_that_is_none_is_no_panic() {
        assert_eq!(bucket(Uuid::nil(), 0), 0);
        assert_eq!(lanes_partition("g", "t", 0, -1), 0);
    }

    const BUCKETS: [(&str, i32, i32); 4] = [
        ("00000000-0000-0000-0000-000000000000", 5, 0),
        ("93483627-b8ed-58ca-9386-42f3c0aa0bf6", 25, 0),
        ("e7ee7570-238c-50dc-a340-b281d1b29d49", 5, 4),
        ("a4ed2cc1-e356-5ea3-af72-85ed162fe221", 2, 5),
    ];

    const LANES: [(&str, &str, i32, i32, i32); 4] = [
        ("", "", 0, 29, 2),
        ("parcelhook.default.default", "orders", 0, 24, 4),
        ("parcelhook.default.default", "orders", 3, 11, 6),
        ("parcelhook.main.blue", "Züge", 2147483647, 3, 0),
    ];
}
