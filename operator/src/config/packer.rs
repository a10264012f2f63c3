//! Which target stands in which shard, and the shards' bytes.
//!
//! Owns the number of shards, which only grows, and the names that they have now. A shard is packed
//! again only when a target of it changed or it is missing. What does not fit is left out by name, new
//! targets before those that run; a target never silently takes another's place.

use std::collections::{BTreeMap, BTreeSet};

use parcelhook_crds::config::{Encoded, Entry, Shard, ShardName, shard_of};
use uuid::Uuid;

use super::Book;

/// Largest shard, packed. A Secret holds 1 MiB, in base64 on the wire.
pub const SHARD_MAX_BYTES: usize = 512 * 1024;

/// Shards at first: one change rewrites a sixteenth.
pub const SHARDS_MIN: usize = 16;

/// Shards at most: with their manifest they are what a worker lists at its start.
pub const SHARDS_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Packer {
    salt: Uuid,
    max_bytes: usize,
    shards: Vec<Option<ShardName>>,
    /// Targets that do not fit.
    left_out: BTreeSet<Uuid>,
    /// Targets that stand in a shard.
    inside: BTreeSet<Uuid>,
}

/// What must be done so that the shards are there.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// Shards that are not there.
    pub fresh: Vec<Encoded>,
    /// Targets that began or ceased to fit.
    pub moved: BTreeSet<Uuid>,
}

impl Packer {
    /// Goes on with the shards of a manifest, which hold `inside`.
    pub fn resumed(
        salt: Uuid,
        shards: Vec<Option<ShardName>>,
        inside: impl IntoIterator<Item = Uuid>,
    ) -> Self {
        let mut shards = shards;
        if !(SHARDS_MIN..=SHARDS_MAX).contains(&shards.len()) {
            shards = vec![None; SHARDS_MIN];
        }
        Self {
            salt,
            max_bytes: SHARD_MAX_BYTES,
            shards,
            left_out: BTreeSet::new(),
            inside: inside.into_iter().collect(),
        }
    }

    /// The names of the shards, by number.
    pub fn shards(&self) -> &[Option<ShardName>] {
        &self.shards
    }

    /// Whether a target does not fit.
    pub fn is_left_out(&self, uid: Uuid) -> bool {
        self.left_out.contains(&uid)
    }

    /// Packs the shards of `changed` targets, and those that are not among the `present` ones.
    pub fn pack(
        &mut self,
        book: &Book,
        changed: &BTreeSet<Uuid>,
        present: &BTreeSet<ShardName>,
    ) -> Packed {
        let before = self.left_out.clone();
        let mut stale = self.stale(changed, present);
        let mut fresh = loop {
            match self.repack(book, &stale) {
                Some(fresh) => break fresh,
                None => {
                    self.shards = vec![None; self.shards.len() * 2];
                    stale = (0..self.shards.len()).collect();
                }
            }
        };
        // Of what could not be written whole, what was written is done.
        fresh.retain(|encoded| !present.contains(&encoded.name));
        let moved = before.symmetric_difference(&self.left_out).copied();
        Packed {
            moved: moved.collect(),
            fresh,
        }
    }

    /// The numbers of shards that must be packed.
    fn stale(&self, changed: &BTreeSet<Uuid>, present: &BTreeSet<ShardName>) -> BTreeSet<usize> {
        let count = self.shards.len();
        let missing = self.shards.iter().enumerate().filter(|(_, name)| {
            let name = name.as_ref();
            name.is_some_and(|name| !present.contains(name))
        });
        let missing = missing.map(|(number, _)| number);
        let changed = changed.iter().map(|uid| shard_of(*uid, count));
        missing.chain(changed).collect()
    }

    /// Packs shards. None when there must be more of them.
    fn repack(&mut self, book: &Book, stale: &BTreeSet<usize>) -> Option<Vec<Encoded>> {
        let count = self.shards.len();
        let mut grouped: BTreeMap<usize, Vec<&Entry>> =
            stale.iter().map(|number| (*number, Vec::new())).collect();
        for entry in book.entries() {
            if let Some(group) = grouped.get_mut(&shard_of(entry.target.uid, count)) {
                group.push(entry);
            }
        }
        let gone = |uid: &Uuid| !stale.contains(&shard_of(*uid, count));
        let mut left_out: BTreeSet<Uuid> = self.left_out.iter().copied().filter(gone).collect();
        let mut inside: BTreeSet<Uuid> = self.inside.iter().copied().filter(gone).collect();
        let mut fresh = Vec::new();
        let mut names = self.shards.clone();
        for (number, group) in grouped {
            let (kept, encoded) = self.fit(group, &mut left_out)?;
            inside.extend(kept.iter().map(|entry| entry.target.uid));
            names[number] = encoded.as_ref().map(|encoded| encoded.name.clone());
            fresh.extend(encoded);
        }
        (self.shards, self.left_out, self.inside) = (names, left_out, inside);
        Some(fresh)
    }

    /// One shard's bytes, and who stands in it. None when there must be more shards.
    fn fit<'a>(
        &self,
        mut group: Vec<&'a Entry>,
        left_out: &mut BTreeSet<Uuid>,
    ) -> Option<(Vec<&'a Entry>, Option<Encoded>)> {
        if group.is_empty() {
            return Some((group, None));
        }
        let whole = Shard::encode(self.salt, &group);
        if whole.bytes.len() <= self.max_bytes {
            return Some((group, Some(whole)));
        }
        // One that is too large by itself fits no number of shards.
        group.retain(|entry| {
            let fits = Shard::encode(self.salt, &[*entry]).bytes.len() <= self.max_bytes;
            if !fits {
                left_out.insert(entry.target.uid);
            }
            fits
        });
        let most = self.most_that_fit(&mut group);
        if most < group.len() && self.shards.len() * 2 <= SHARDS_MAX {
            return None;
        }
        left_out.extend(group.drain(most..).map(|entry| entry.target.uid));
        let encoded = (!group.is_empty()).then(|| Shard::encode(self.salt, &group));
        Some((group, encoded))
    }

    /// How many fit, those first that run already.
    fn most_that_fit(&self, group: &mut [&Entry]) -> usize {
        group.sort_by_key(|entry| (!self.inside.contains(&entry.target.uid), entry.target.uid));
        let fits =
            |count: usize| Shard::encode(self.salt, &group[..count]).bytes.len() <= self.max_bytes;
        let (mut least, mut over) = (0, group.len() + 1);
        while over - least > 1 {
            let middle = least + (over - least) / 2;
            if fits(middle) {
                least = middle;
            } else {
                over = middle;
            }
        }
        least
    }
}

#[cfg(test)]
mod tests;
