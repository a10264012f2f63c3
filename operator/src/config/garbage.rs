//! Which shards nobody needs any more.
//!
//! A shard is kept while the present manifest names it, while a worker may still read the revision that
//! did, and for an hour after it was made: another leader may be about to name it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parcelhook_crds::config::{Manifest, Revision, ShardName};

/// Age below which a shard is kept whatever names it.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// Revisions whose shards are remembered. Workers that lag further behind stop the collecting.
const REMEMBERED: usize = 256;

/// What this leader has published: the shards of the last revisions.
#[derive(Debug, Default)]
pub struct History(BTreeMap<Revision, BTreeSet<ShardName>>);

impl History {
    /// A revision was published, or found.
    pub fn add(&mut self, manifest: &Manifest) {
        let named = manifest.named().cloned().collect();
        self.0.insert(manifest.revision, named);
        while self.0.len() > REMEMBERED {
            self.0.pop_first();
        }
    }
}

/// A shard that is there.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: ShardName,
    /// How old it is; none when that is not known.
    pub age: Option<Duration>,
}

/// The shards to delete. `applied` are the revisions that live workers report; while one of them is not
/// known, or a worker reports none, nothing is deleted.
pub fn collectable(
    found: &[Found],
    present: &Manifest,
    history: &History,
    applied: &[Option<Revision>],
) -> Vec<ShardName> {
    let mut needed: BTreeSet<&ShardName> = present.named().collect();
    for revision in applied {
        match revision.and_then(|revision| history.0.get(&revision)) {
            Some(names) => needed.extend(names),
            None => return Vec::new(),
        }
    }
    let old = found
        .iter()
        .filter(|found| found.age.is_some_and(|age| age >= YOUNG));
    old.map(|found| &found.name)
        .filter(|name| !needed.contains(name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::config::Shard;
    use uuid::Uuid;

    use super::*;
    use crate::config::first;
    use crate::target::sample;

    fn name(number: u128) -> ShardName {
        Shard::encode(Uuid::from_u128(number), &[&sample::entry(1)]).name
    }

    fn manifest(number: u64, shards: &[u128]) -> Manifest {
        let mut manifest = first(1, 1, Uuid::nil());
        manifest.revision.number = number;
        manifest.shards = shards.iter().map(|number| Some(name(*number))).collect();
        manifest
    }

    fn found(number: u128, age: Option<Duration>) -> Found {
        Found {
            name: name(number),
            age,
        }
    }

    #[test]
    fn what_nobody_names_and_is_old_goes() {
        let mut history = History::default();
        let (older, present) = (manifest(1, &[1, 2]), manifest(2, &[2, 3]));
        history.add(&older);
        history.add(&present);
        let all: Vec<Found> = (1..=5).map(|number| found(number, Some(YOUNG))).collect();
        let gone = |applied: &[Option<Revision>]| collectable(&all, &present, &history, applied);
        assert_eq!(gone(&[]), [name(1), name(4), name(5)]);
        assert_eq!(gone(&[Some(present.revision)]), [name(1), name(4), name(5)]);
        assert_eq!(
            gone(&[Some(present.revision), Some(older.revision)]),
            [name(4), name(5)]
        );
    }

    #[test]
    fn in_doubt_everything_stays() {
        let mut history = History::default();
        let present = manifest(2, &[1]);
        history.add(&present);
        let all = [found(9, Some(YOUNG))];
        let unknown = manifest(1, &[]).revision;
        for applied in [Some(unknown), None] {
            assert_eq!(collectable(&all, &present, &history, &[applied]), []);
        }
        let young = YOUNG - Duration::from_millis(1);
        for age in [Some(young), None] {
            assert_eq!(collectable(&[found(9, age)], &present, &history, &[]), []);
        }
    }
}
