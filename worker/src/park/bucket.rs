//! Which partition of our topics a lane's records go to.
//!
//! Owns the hash, which is part of the format: all workers of an installation must agree on it.

/// Partition of the lanes topic that holds the rows of a source partition: FNV-1a 64 over
/// `group \0 topic \0 partition` (4 bytes, little-endian), modulo the number of partitions.
pub fn lanes_partition(group: &str, topic: &str, partition: i32, partitions: i32) -> i32 {
    let number = partition.to_le_bytes();
    let parts: [&[u8]; 5] = [group.as_bytes(), b"\0", topic.as_bytes(), b"\0", &number];
    let count = u64::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(fnv1a(parts.iter().copied().flatten()) % count).unwrap_or(0)
}

/// FNV-1a, 64 bits (draft-eastlake-fnv).
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c)] {
            assert_eq!(fnv1a(text.as_bytes().iter()), hash, "{text}");
        }
    }
}
