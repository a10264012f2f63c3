//! What the workers should run of each target: the last good version, and whether it is held.
//!
//! Owns the entries. Invariants: a target leaves only by [`Book::end`], and never comes back after it; one
//! that does not run as it is asked for keeps what ran before. Which of these is in a shard, the packer
//! knows.

use std::collections::{BTreeMap, BTreeSet};

use parcelhook_crds::compiled::Request;
use parcelhook_crds::config::{Deleted, Entry, Manifest};
use uuid::Uuid;

use crate::target::{Refused, Verdict};

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    targets: BTreeMap<Uuid, Known>,
    ended: BTreeMap<Uuid, Ended>,
    changed: BTreeSet<Uuid>,
}

#[derive(Debug, Default)]
struct Known {
    entry: Option<Entry>,
    applied: Option<Applied>,
    /// Text forms, sorted.
    requests: BTreeSet<String>,
}

#[derive(Debug)]
struct Ended {
    at: i64,
    /// What there was, until the end is published.
    known: Option<Known>,
}

/// What was last judged of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The generation that was judged.
    pub generation: i64,
    /// Why it does not run; none when it does.
    pub refused: Option<Refused>,
    /// The generation that workers should run, when there is any.
    pub runs: Option<i64>,
}

impl Book {
    /// What an earlier leader left: the entries of the present shards, and who has ended. They stand as
    /// they are until their targets are judged.
    pub fn resumed(entries: impl IntoIterator<Item = Entry>, manifest: &Manifest) -> Self {
        let mut book = Self::default();
        for entry in entries {
            let uid = entry.target.uid;
            let known = Known {
                entry: Some(entry),
                ..Known::default()
            };
            book.targets.insert(uid, known);
        }
        for asked in &manifest.requests {
            if let Some(known) = book.targets.get_mut(&asked.uid) {
                known.requests.insert(asked.request.clone());
            }
        }
        let ended = manifest.deleted.iter().map(|deleted| {
            let at = deleted.at;
            (deleted.uid, Ended { at, known: None })
        });
        book.ended.extend(ended);
        book
    }

    /// Takes what came of judging a target. `suspend` is what its spec says now, when it can be read.
    /// None when the target has ended.
    pub fn apply(
        &mut self,
        uid: Uuid,
        generation: i64,
        suspend: Option<bool>,
        verdict: Verdict,
    ) -> Option<&Applied> {
        if self.ended.contains_key(&uid) {
            return None;
        }
        let known = self.targets.entry(uid).or_default();
        let before = known.entry.clone();
        let refused = match verdict {
            Verdict::Good(compiled) => {
                let (entry, requests) = compiled.into_entry();
                known.entry = Some(entry);
                known.requests = requests.iter().map(Request::to_string).collect();
                None
            }
            Verdict::Bad(refused) => {
                if let Some(entry) = &mut known.entry {
                    hold(entry, &refused, suspend);
                }
                Some(refused)
            }
        };
        if known.entry != before {
            self.changed.insert(uid);
        }
        Some(known.applied.insert(Applied {
            generation,
            refused,
            runs: known.entry.as_ref().map(|entry| entry.generation),
        }))
    }

    /// A target has ended: the API server said so when it was asked. Returns whether it was known.
    pub fn end(&mut self, uid: Uuid, unix_millis: i64) -> bool {
        let Some(known) = self.targets.remove(&uid) else {
            return false;
        };
        let ran = known.entry.is_some();
        if ran {
            self.changed.insert(uid);
            let known = Some(known);
            let at = unix_millis;
            self.ended.insert(uid, Ended { at, known });
        }
        ran
    }

    /// A second look found the target after all.
    pub fn undo_end(&mut self, uid: Uuid) {
        if let Some(known) = self
            .ended
            .get_mut(&uid)
            .and_then(|ended| ended.known.take())
        {
            self.ended.remove(&uid);
            self.targets.insert(uid, known);
            self.changed.insert(uid);
        }
    }

    /// A revision that says who has ended was published.
    pub fn settle(&mut self, manifest: &Manifest) {
        for deleted in &manifest.deleted {
            if let Some(ended) = self.ended.get_mut(&deleted.uid) {
                ended.known = None;
            }
        }
    }

    /// Targets whose end is not published.
    pub fn ending(&self) -> impl Iterator<Item = Uuid> {
        let ending = self.ended.iter();
        ending
            .filter(|(_, ended)| ended.known.is_some())
            .map(|(uid, _)| *uid)
    }

    /// What is known of a target.
    pub fn applied(&self, uid: Uuid) -> Option<&Applied> {
        self.targets.get(&uid)?.applied.as_ref()
    }

    /// What workers should run of a target.
    pub fn entry(&self, uid: Uuid) -> Option<&Entry> {
        self.targets.get(&uid)?.entry.as_ref()
    }

    /// Whether workers run a later generation of a target than this one.
    pub fn is_past(&self, uid: Uuid, generation: i64) -> bool {
        self.entry(uid)
            .is_some_and(|entry| generation < entry.generation)
    }

    /// What workers should run, by uid.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.targets
            .values()
            .filter_map(|known| known.entry.as_ref())
    }

    /// Every target that is known and has not ended.
    pub fn uids(&self) -> impl Iterator<Item = Uuid> {
        self.targets.keys().copied()
    }

    /// Who has ended, by uid.
    pub fn deleted(&self) -> impl Iterator<Item = Deleted> {
        let ended = self.ended.iter();
        ended.map(|(uid, ended)| Deleted {
            uid: *uid,
            at: ended.at,
        })
    }

    /// What is asked of lanes, by uid and text.
    pub fn requests(&self) -> impl Iterator<Item = (Uuid, &str)> {
        self.targets.iter().flat_map(|(uid, known)| {
            let requests = known.requests.iter();
            requests.map(|request| (*uid, request.as_str()))
        })
    }

    /// Targets whose entries changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<Uuid> {
        std::mem::take(&mut self.changed)
    }

    /// What was taken could not be used.
    pub fn put_back(&mut self, changed: BTreeSet<Uuid>) {
        self.changed.extend(changed);
    }
}

/// What ran before goes on, under what is known of the wish now: a target that is not accepted sends
/// nothing; a broken reference alone stops nothing that its spec does not.
fn hold(entry: &mut Entry, refused: &Refused, suspend: Option<bool>) {
    entry.held = refused.accepted.is_some();
    if let (false, Some(suspend)) = (entry.held, suspend) {
        entry.target.suspend = suspend;
    }
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::config::Revision;
    use serde_json::json;

    use super::*;
    use crate::policy::{Grants, Policy};
    use crate::target::{Fault, Secrets, judge, sample};

    const ONE: Uuid = Uuid::from_u128(1);

    fn good(number: u128) -> Verdict {
        let policy = Policy::new(
            Grants::everything_in("shop"),
            parcelhook_crds::egress::Policy::default(),
            "p",
        );
        judge(
            sample::observed(number, json!({})).dereferenced(Secrets::default()),
            &policy,
        )
    }

    fn unaccepted() -> Verdict {
        Verdict::Bad(Refused {
            accepted: Some(Fault::new("TopicNotAllowed", "x")),
            references: None,
        })
    }

    fn unresolved() -> Verdict {
        Verdict::Bad(Refused {
            accepted: None,
            references: Some(Fault::new("SecretNotFound", "x")),
        })
    }

    fn manifest() -> Manifest {
        Manifest {
            revision: Revision {
                lineage: 1,
                number: 1,
            },
            salt: Uuid::nil(),
            published_at: 0,
            shards: vec![None; 16],
            deleted: Vec::new(),
            requests: Vec::new(),
        }
    }

    #[test]
    fn a_target_that_never_ran_and_is_refused_is_given_to_nobody() {
        let mut book = Book::default();
        let applied = book.apply(ONE, 1, Some(false), unaccepted()).unwrap();
        assert_eq!((applied.generation, applied.runs), (1, None));
        assert_eq!(book.entries().count(), 0);
        assert!(book.take_changed().is_empty());
    }

    #[test]
    fn what_is_no_longer_accepted_is_held_and_what_is_accepted_again_goes_on() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        let applied = book.apply(ONE, 2, Some(false), unaccepted()).unwrap();
        assert_eq!((applied.generation, applied.runs), (2, Some(1)));
        assert!(book.entry(ONE).unwrap().held);
        book.apply(ONE, 2, Some(false), good(1));
        assert!(!book.entry(ONE).unwrap().held);
    }

    #[test]
    fn a_broken_reference_stops_nothing_unless_the_spec_says_so() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        book.apply(ONE, 2, Some(false), unresolved());
        let suspended = |book: &Book| book.entry(ONE).cloned().unwrap().into_target().suspend;
        assert!(!suspended(&book));
        book.apply(ONE, 3, Some(true), unresolved());
        assert!(suspended(&book), "a person's word to stop is heard");
        book.apply(ONE, 4, Some(false), unresolved());
        assert!(!suspended(&book));
    }

    #[test]
    fn an_unreadable_target_stays_suspended_when_it_was() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        book.apply(ONE, 2, Some(true), unresolved());
        book.apply(ONE, 3, None, unaccepted());
        assert!(book.entry(ONE).unwrap().held);
        book.apply(ONE, 3, None, unresolved());
        assert!(book.entry(ONE).unwrap().target.suspend);
    }

    #[test]
    fn a_generation_is_past_once_a_later_one_runs() {
        let mut book = Book::default();
        assert!(!book.is_past(ONE, 1), "nothing runs");
        book.apply(ONE, 1, Some(false), good(1));
        let [before, same, later] = [0, 1, 2].map(|generation| book.is_past(ONE, generation));
        assert!(before && !same && !later);
    }

    #[test]
    fn nothing_changed_is_no_change() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        assert_eq!(book.take_changed().len(), 1);
        book.apply(ONE, 1, Some(false), good(1));
        assert!(book.take_changed().is_empty());
    }

    #[test]
    fn a_target_that_has_ended_never_comes_back() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        assert!(book.end(ONE, 5));
        assert!(!book.end(ONE, 6), "it ends once");
        assert_eq!(book.apply(ONE, 2, Some(false), good(1)), None);
        assert_eq!(book.entries().count(), 0);
        let deleted: Vec<_> = book.deleted().collect();
        assert_eq!(deleted, [Deleted { uid: ONE, at: 5 }]);
    }

    #[test]
    fn an_end_can_be_taken_back_until_it_is_published() {
        let mut book = Book::default();
        book.apply(ONE, 1, Some(false), good(1));
        book.end(ONE, 5);
        book.undo_end(ONE);
        assert_eq!((book.entries().count(), book.deleted().count()), (1, 0));
        book.end(ONE, 5);
        let mut published = manifest();
        published.deleted.extend(book.deleted());
        book.settle(&published);
        book.undo_end(ONE);
        assert_eq!((book.entries().count(), book.deleted().count()), (0, 1));
    }

    #[test]
    fn a_new_leader_goes_on_with_what_it_finds() {
        let mut published = manifest();
        let gone = Uuid::from_u128(9);
        published.deleted.push(Deleted { uid: gone, at: 5 });
        let mut book = Book::resumed([sample::entry(1)], &published);
        assert_eq!(book.entry(ONE), Some(&sample::entry(1)));
        assert_eq!(book.applied(ONE), None, "it was not judged yet");
        assert_eq!(book.apply(gone, 1, Some(false), good(9)), None);
        book.apply(ONE, 1, Some(false), good(1));
        assert!(
            book.take_changed().is_empty(),
            "it finds what it would write"
        );
    }
}
