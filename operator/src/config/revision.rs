//! The next manifest, when there is something new to say.

use std::collections::BTreeMap;
use std::time::Duration;

use parcelhook_crds::config::{Asked, Deleted, KEPT, Manifest, Revision, ShardName};
use uuid::Uuid;

use super::Book;

/// Deletions that a manifest names at most; of more, the newest. What is not named is not given up, its
/// events only wait: an administrator sees them in the metrics.
const DELETED_MAX: usize = 10_000;

/// What the workers should have.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The shards, by number.
    pub shards: &'a [Option<ShardName>],
    /// Who has ended, and what is asked of lanes.
    pub book: &'a Book,
    /// Milliseconds since the Unix epoch.
    pub now: i64,
}

/// The manifest of a lineage that has published nothing: it names no target.
pub fn first(now: i64, random: u64, salt: Uuid) -> Manifest {
    Manifest {
        revision: Revision::first(now, random),
        salt,
        published_at: now,
        shards: Vec::new(),
        deleted: Vec::new(),
        requests: Vec::new(),
    }
}

/// The manifest that follows; none when the present one says it all. Deletions that are too old to be
/// named leave with the next change.
pub fn revise(present: &Manifest, wish: &Wish<'_>) -> Option<Manifest> {
    let deleted = deleted(present, wish);
    let requests = requests(present, wish);
    let says_more = wish.shards != present.shards
        || requests != present.requests
        || deleted.iter().any(|ended| !names(present, ended.uid));
    says_more.then(|| Manifest {
        revision: present.revision.next(),
        salt: present.salt,
        published_at: wish.now,
        shards: wish.shards.to_vec(),
        deleted,
        requests,
    })
}

fn names(manifest: &Manifest, uid: Uuid) -> bool {
    let found = manifest
        .deleted
        .binary_search_by_key(&uid, |ended| ended.uid);
    found.is_ok()
}

/// Who has ended in the last two days, by uid: what another leader named included.
fn deleted(present: &Manifest, wish: &Wish<'_>) -> Vec<Deleted> {
    let all: BTreeMap<Uuid, Deleted> = wish
        .book
        .deleted()
        .chain(present.deleted.iter().copied())
        .filter(|ended| is_kept(ended.at, wish.now))
        .map(|ended| (ended.uid, ended))
        .collect();
    let mut all: Vec<Deleted> = all.into_values().collect();
    if all.len() > DELETED_MAX {
        all.sort_by_key(|ended| std::cmp::Reverse(ended.at));
        all.truncate(DELETED_MAX);
        all.sort_by_key(|ended| ended.uid);
    }
    all
}

/// What is asked, with the time it was first seen.
fn requests(present: &Manifest, wish: &Wish<'_>) -> Vec<Asked> {
    let known: BTreeMap<(Uuid, &str), i64> = present
        .requests
        .iter()
        .map(|asked| ((asked.uid, asked.request.as_str()), asked.since))
        .collect();
    let asked = wish.book.requests().map(|(uid, request)| Asked {
        uid,
        request: request.to_owned(),
        since: known.get(&(uid, request)).copied().unwrap_or(wish.now),
    });
    asked.collect()
}

fn is_kept(at: i64, now: i64) -> bool {
    let age = u64::try_from(now.saturating_sub(at)).unwrap_or(0);
    Duration::from_millis(age) < KEPT
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{Grants, Policy};
    use crate::target::{Observed, Secrets, judge, sample};

    fn wish<'a>(book: &'a Book, shards: &'a [Option<ShardName>], now: i64) -> Wish<'a> {
        Wish { shards, book, now }
    }

    fn kept() -> i64 {
        i64::try_from(KEPT.as_millis()).unwrap()
    }

    #[test]
    fn the_same_wish_is_said_once() {
        let book = Book::default();
        let shards = vec![None; 16];
        let begun = first(1, 2, Uuid::nil());
        let next = revise(&begun, &wish(&book, &shards, 5)).unwrap();
        assert_eq!(next.revision, begun.revision.next());
        assert_eq!(next.published_at, 5);
        assert_eq!(revise(&next, &wish(&book, &shards, 6)), None);
    }

    #[test]
    fn a_deletion_is_named_for_two_days_and_leaves_with_the_next_change() {
        let mut book = Book::resumed(
            [sample::entry(1), sample::entry(2)],
            &first(1, 1, Uuid::nil()),
        );
        let shards = vec![None; 16];
        let begun = revise(&first(1, 2, Uuid::nil()), &wish(&book, &shards, 1)).unwrap();
        book.end(Uuid::from_u128(1), 10);
        let next = revise(&begun, &wish(&book, &shards, 10)).unwrap();
        assert_eq!(next.deleted.len(), 1);
        let late = 10 + kept();
        assert_eq!(
            revise(&next, &wish(&book, &shards, late)),
            None,
            "no write for that alone"
        );
        book.end(Uuid::from_u128(2), late);
        let last = revise(&next, &wish(&book, &shards, late)).unwrap();
        assert_eq!(
            last.deleted,
            [Deleted {
                uid: Uuid::from_u128(2),
                at: late
            }]
        );
    }

    #[test]
    fn a_deletion_that_another_leader_named_stays() {
        let book = Book::default();
        let shards = vec![None; 16];
        let mut present = first(1, 2, Uuid::nil());
        present.deleted.push(Deleted {
            uid: Uuid::from_u128(1),
            at: 1,
        });
        assert_eq!(
            revise(&present, &wish(&book, &shards, 5))
                .unwrap()
                .deleted
                .len(),
            1
        );
    }

    #[test]
    fn a_request_keeps_its_time_until_it_is_no_longer_asked() {
        let policy = Policy::new(Grants::everything_in("shop"), Default::default(), "p");
        let judged = |annotation: Option<&str>| {
            let mut seen: Observed = sample::observed(1, json!({}));
            let object = std::sync::Arc::make_mut(&mut seen.object);
            object.metadata.annotations = annotation
                .map(|value| [("parcelhook.dev/retry-at".to_owned(), value.to_owned())].into());
            judge(seen.dereferenced(Secrets::default()), &policy)
        };
        let mut book = Book::default();
        let uid = Uuid::from_u128(1);
        let shards = vec![None; 16];
        book.apply(uid, 1, Some(false), judged(Some("2026-01-31T12:00:00Z")));
        let begun = revise(&first(1, 2, Uuid::nil()), &wish(&book, &shards, 7)).unwrap();
        assert_eq!(begun.requests[0].since, 7);
        assert_eq!(revise(&begun, &wish(&book, &shards, 9)), None);
        book.apply(uid, 1, Some(false), judged(Some("2026-01-31T13:00:00Z")));
        let next = revise(&begun, &wish(&book, &shards, 9)).unwrap();
        assert_eq!((next.requests.len(), next.requests[0].since), (1, 9));
        book.apply(uid, 1, Some(false), judged(None));
        assert_eq!(
            revise(&next, &wish(&book, &shards, 9)).unwrap().requests,
            []
        );
    }

    #[test]
    fn of_too_many_deletions_the_newest_are_named() {
        let mut present = first(1, 2, Uuid::nil());
        for number in 0..=DELETED_MAX {
            let uid = Uuid::from_u128(number as u128);
            present.deleted.push(Deleted {
                uid,
                at: number as i64,
            });
        }
        let next = revise(&present, &wish(&Book::default(), &[None], 5)).unwrap();
        assert_eq!(next.deleted.len(), DELETED_MAX);
        assert!(!names(&next, Uuid::nil()) && names(&next, Uuid::from_u128(1)));
    }
}
