//! 128 bits that stand for a world, and sets of them.
//!
//! Most of a search is spent here, and tests are not optimized: a word is mixed with as little as keeps
//! accidental collisions out of reach. Nobody chooses worlds so that they collide.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// See the module.
pub(super) type Fingerprints = HashSet<u128, BuildHasherDefault<AsItIs>>;

/// What stands for a value.
pub(super) fn fingerprint(value: &impl Hash) -> u128 {
    let mut mixer = Mixer { one: 1, other: 2 };
    value.hash(&mut mixer);
    u128::from(mixer.one) << 64 | u128::from(mixer.other)
}

/// Two hashes of 64 bits that have nothing in common.
struct Mixer {
    one: u64,
    other: u64,
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.one ^ self.other
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let one = self.one.rotate_left(5) ^ word;
        self.one = one.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let other = (self.other ^ word).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        self.other = other.rotate_left(29);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_i32(&mut self, word: i32) {
        self.write_u64(word as u64);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}

/// A fingerprint is a hash already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}
