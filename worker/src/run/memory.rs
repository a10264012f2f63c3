//! What the group remembers of its targets and of itself, in the reports topic. Pure.
//!
//! A manifest can vanish while no worker runs, or just before the only one that had read it dies. Nobody
//! could tell then that events in its topics are somebody's. So each target is written down before it
//! runs, and crossed out when it has ended; who starts keeps the events of those that it finds and that
//! its manifests lack. Owns what is written, and since when: retention takes what nobody has written for
//! long, so all of it is written again once a day, the group's claim included. Bounded by the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parcelhook_crds::report::{KnownTarget, ReportKey};
use uuid::Uuid;

use crate::state::shared::WorkerTarget;

/// How old a record may be before it is written again, though nothing has changed.
const RENEW: Duration = Duration::from_secs(24 * 3600);

/// See the module. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Memory {
    group: String,
    /// The claim's bytes, which are never changed.
    claim: Option<Written<Vec<u8>>>,
    targets: BTreeMap<Uuid, Written<KnownTarget>>,
}

#[derive(Debug)]
struct Written<T> {
    what: T,
    at: i64,
}

/// What must be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Owed {
    /// The claim, as it is.
    Claim(Vec<u8>),
    /// A target; none crosses it out.
    Target(Uuid, Option<KnownTarget>),
}

impl Owed {
    /// Key and value of its record.
    pub(super) fn record(&self, group: &str) -> (ReportKey, Option<Vec<u8>>) {
        match self {
            Self::Claim(claim) => (ReportKey::of_group(group), Some(claim.clone())),
            Self::Target(uid, known) => {
                let value = known.as_ref().map(KnownTarget::encode);
                (ReportKey::of_target(group, *uid), value)
            }
        }
    }
}

impl Memory {
    /// A group of which nothing was read yet.
    pub(super) fn new(group: String) -> Self {
        Self {
            group,
            claim: None,
            targets: BTreeMap::new(),
        }
    }

    /// The consumer group.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// A record of the reports topic was read that was written then. Returns whether it is one that cannot
    /// be understood.
    pub(super) fn read(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, at: i64) -> bool {
        let key = key.and_then(ReportKey::decode);
        let Some(key) = key.filter(|key| key.group == self.group) else {
            return false;
        };
        match (key, value) {
            (
                ReportKey {
                    worker: Some(_), ..
                },
                _,
            ) => {}
            (
                ReportKey {
                    target: Some(uid), ..
                },
                Some(bytes),
            ) => {
                let Some(what) = KnownTarget::decode(bytes) else {
                    return true;
                };
                self.targets.insert(uid, Written { what, at });
            }
            (
                ReportKey {
                    target: Some(uid), ..
                },
                None,
            ) => {
                self.targets.remove(&uid);
            }
            // Of two claims the first counts: a later one is the same, or another's mistake.
            (_, Some(bytes)) => match &mut self.claim {
                Some(claim) if claim.what == bytes => claim.at = at,
                Some(_) => {}
                None => {
                    self.claim = Some(Written {
                        what: bytes.to_vec(),
                        at,
                    })
                }
            },
            (_, None) => self.claim = None,
        }
        false
    }

    /// The targets that are remembered.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Uuid, &KnownTarget)> {
        self.targets.iter().map(|(uid, known)| (*uid, &known.what))
    }

    /// What must be written so that it tells of `present`, the targets as they are now.
    pub(super) fn owed<'a>(
        &self,
        present: impl Iterator<Item = &'a WorkerTarget>,
        unix: i64,
    ) -> Vec<Owed> {
        let mut gone: BTreeSet<Uuid> = self.targets.keys().copied().collect();
        let mut owed = Vec::new();
        for target in present {
            let uid = target.compiled.uid;
            gone.remove(&uid);
            let now = KnownTarget::of(&target.compiled, target.absent_since);
            let written = self.targets.get(&uid);
            if written.is_none_or(|written| written.what != now || is_old(written.at, unix)) {
                owed.push(Owed::Target(uid, Some(now)));
            }
        }
        owed.extend(gone.into_iter().map(|uid| Owed::Target(uid, None)));
        let claim = self.claim.as_ref().filter(|claim| is_old(claim.at, unix));
        owed.extend(claim.map(|claim| Owed::Claim(claim.what.clone())));
        owed
    }

    /// That is written.
    pub(super) fn wrote(&mut self, written: Owed, at: i64) {
        match written {
            Owed::Claim(what) => self.claim = Some(Written { what, at }),
            Owed::Target(uid, Some(what)) => {
                self.targets.insert(uid, Written { what, at });
            }
            Owed::Target(uid, None) => {
                self.targets.remove(&uid);
            }
        }
    }
}

/// Also by a clock that went back or forward by more.
fn is_old(at: i64, unix: i64) -> bool {
    u128::from(unix.abs_diff(at)) >= RENEW.as_millis()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parcelhook_crds::compiled::CompiledTarget;

    use super::*;
    use crate::clock;
    use crate::state::shared::TargetShared;
    use crate::targets::sample;

    const DAY: i64 = 24 * 3_600_000;

    fn present(compiled: CompiledTarget, absent_since: Option<i64>) -> WorkerTarget {
        WorkerTarget {
            compiled: Arc::new(compiled),
            shared: Arc::new(TargetShared::new(1, clock::now())),
            absent_since,
        }
    }

    fn write_all(memory: &mut Memory, owed: Vec<Owed>, at: i64) {
        owed.into_iter().for_each(|owed| memory.wrote(owed, at));
    }

    /// What a worker reads that starts now.
    fn reread(written: &[Owed], at: i64) -> Memory {
        let mut memory = Memory::new("g".to_owned());
        for owed in written {
            let (key, value) = owed.record("g");
            assert!(!memory.read(Some(&key.encode()), value.as_deref(), at));
        }
        memory
    }

    #[test]
    fn a_target_is_written_once_when_it_changes_and_once_a_day() {
        let mut memory = Memory::new("g".to_owned());
        let targets = [present(sample::target(), None)];
        let first = memory.owed(targets.iter(), 5);
        assert_eq!(first.len(), 1);
        write_all(&mut memory, first, 5);
        assert!(memory.owed(targets.iter(), 4 + DAY).is_empty());
        assert_eq!(memory.owed(targets.iter(), 5 + DAY).len(), 1);
        assert_eq!(memory.owed(targets.iter(), 5 - DAY).len(), 1);
        let missing = [present(sample::target(), Some(7))];
        assert_eq!(memory.owed(missing.iter(), 7).len(), 1);
    }

    #[test]
    fn who_starts_knows_what_was_written_and_not_what_has_ended() {
        let mut memory = Memory::new("g".to_owned());
        let other = CompiledTarget {
            uid: Uuid::from_u128(2),
            ..sample::target()
        };
        let both = [present(sample::target(), None), present(other, Some(3))];
        let written = memory.owed(both.iter(), 5);
        write_all(&mut memory, written.clone(), 5);
        let uids = |memory: &Memory| memory.targets().map(|(uid, _)| uid).collect::<Vec<_>>();
        let read = reread(&written, 5);
        assert_eq!(uids(&read), uids(&memory));
        assert!(read.owed(both.iter(), 6).is_empty());

        let ended = memory.owed(both[..1].iter(), 6);
        assert_eq!(ended, [Owed::Target(Uuid::from_u128(2), None)]);
        let read = reread(&[written, ended].concat(), 6);
        assert_eq!(uids(&read), [sample::target().uid]);
    }

    #[test]
    fn the_claim_is_written_again_as_it_is() {
        let claim = [
            Owed::Claim(b"ours".to_vec()),
            Owed::Claim(b"theirs".to_vec()),
        ];
        let memory = reread(&claim, 5);
        assert!(memory.owed([].into_iter(), 6).is_empty());
        assert_eq!(memory.owed([].into_iter(), 5 + DAY), claim[..1]);
    }

    #[test]
    fn what_others_wrote_is_left_alone_and_what_cannot_be_understood_is_told() {
        let mut memory = Memory::new("g".to_owned());
        let theirs = ReportKey::of_target("other", Uuid::from_u128(7)).encode();
        let worker = ReportKey::of_worker("g", "w").encode();
        for key in [theirs.as_slice(), worker.as_slice(), b"x"] {
            assert!(!memory.read(Some(key), Some(b"{}"), 1));
        }
        let ours = ReportKey::of_target("g", Uuid::from_u128(7)).encode();
        assert!(memory.read(Some(&ours), Some(b"{}"), 1));
        assert_eq!(memory.targets().count(), 0);
    }
}
