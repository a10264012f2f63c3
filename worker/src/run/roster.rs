//! Which targets the lanes run, from one snapshot to the next. Pure.
//!
//! Absence is not deletion: a manifest can be gone by mistake, or because a directory was mounted late.
//! A target that a snapshot no longer has is kept, suspended, for [`ABSENCE`], and goes on where it was
//! when it comes back. It ends then, or at once when its manifest says so. So is one that only the group
//! [remembers](super::memory), and while some manifest cannot be used it does not end: that one may be
//! its own. Owns what the lanes of a target share over all versions of its configuration. Bounded by the
//! targets of a day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::report::KnownTarget;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use crate::state::shared::{Configuration, TargetShared, WorkerTarget};
use crate::targets::Snapshot;

/// How long a target may be missing before it counts as deleted.
pub(super) const ABSENCE: Duration = Duration::from_secs(24 * 3600);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Roster {
    revision: Option<Revision>,
    known: BTreeMap<Uuid, Known>,
    ended: Vec<Uuid>,
    /// Whether some manifest cannot be used.
    in_doubt: bool,
}

#[derive(Debug)]
struct Known {
    target: WorkerTarget,
    /// When a missing target ends.
    ends: Option<Instant>,
    /// This worker has never seen its manifest.
    remembered: bool,
}

impl Roster {
    /// The group remembers a target. Before the first snapshot.
    pub(super) fn remember(&mut self, uid: Uuid, known: &KnownTarget, now: Instant) {
        let compiled = known.suspended(uid);
        let target = WorkerTarget {
            shared: Arc::new(TargetShared::new(compiled.failure_threshold, now)),
            compiled: Arc::new(compiled),
            absent_since: known.absent_since,
        };
        let known = Known {
            target,
            ends: None,
            remembered: true,
        };
        self.known.insert(uid, known);
    }

    /// Takes a snapshot over. `unix` is the same moment as `now`, in milliseconds since the Unix epoch.
    pub(super) fn apply(&mut self, snapshot: &Snapshot, now: Instant, unix: i64) {
        let mut before = std::mem::take(&mut self.known);
        self.ended.clear();
        self.revision = snapshot.revision;
        self.in_doubt = !snapshot.problems.is_empty();
        for compiled in &snapshot.targets {
            let uid = compiled.uid;
            let known = before.remove(&uid);
            if compiled.deleted {
                self.ended.push(uid);
                continue;
            }
            let threshold = compiled.failure_threshold;
            let shared = known.map_or_else(
                || Arc::new(TargetShared::new(threshold, now)),
                |known| known.target.shared,
            );
            // Memory does not have it.
            shared.set_failure_threshold(threshold);
            let target = WorkerTarget {
                compiled: Arc::clone(compiled),
                shared,
                absent_since: None,
            };
            let known = Known {
                target,
                ends: None,
                remembered: false,
            };
            self.known.insert(uid, known);
        }
        for uid in &snapshot.ended {
            before.remove(uid);
            self.ended.push(*uid);
        }
        for (uid, known) in before {
            self.known.insert(uid, known.missing(now, unix));
        }
        self.expire(now);
    }

    /// Ends what was missing for too long. Says whether there was any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.known.len();
        let in_doubt = self.in_doubt;
        self.known.retain(|_, known| {
            let stays = known.end(in_doubt).is_none_or(|ends| now < ends);
            if !stays {
                let compiled = &known.target.compiled;
                tracing::warn!(
                    event = "target.ended", namespace = %compiled.namespace, target = %compiled.name,
                    "the target's manifest is missing for too long: it counts as deleted"
                );
            }
            stays
        });
        self.known.len() < before
    }

    /// When [`Roster::expire`] has something to do.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let ends = self.known.values().filter_map(|it| it.end(self.in_doubt));
        ends.min()
    }

    /// The targets, those that are missing included.
    pub(super) fn targets(&self) -> impl Iterator<Item = &WorkerTarget> {
        self.known.values().map(|known| &known.target)
    }

    /// What shards run.
    pub(super) fn configuration(&self) -> Configuration {
        Configuration {
            revision: self.revision,
            targets: self.targets().cloned().collect(),
            ended: self.ended.as_slice().into(),
        }
    }
}

impl Known {
    /// When it ends, if nothing happens.
    fn end(&self, in_doubt: bool) -> Option<Instant> {
        self.ends.filter(|_| !(self.remembered && in_doubt))
    }

    fn missing(mut self, now: Instant, unix: i64) -> Self {
        if self.ends.is_none() {
            let compiled = &self.target.compiled;
            tracing::warn!(
                event = "target.missing", namespace = %compiled.namespace, target = %compiled.name,
                "the target's manifest is missing: its events are kept for {} h in case it comes back",
                ABSENCE.as_secs() / 3600
            );
            // A clock that went back gives it a whole absence again, never more.
            let since = self.target.absent_since.unwrap_or(unix).min(unix);
            let missing = Duration::from_millis(unix.abs_diff(since));
            self.target.absent_since = Some(since);
            self.ends = Some(now + ABSENCE.saturating_sub(missing));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::targets::{Problem, sample};
    use parcelhook_crds::compiled::CompiledTarget;

    fn snapshot(targets: impl IntoIterator<Item = CompiledTarget>) -> Snapshot {
        Snapshot {
            targets: targets.into_iter().map(Arc::new).collect(),
            ..Snapshot::default()
        }
    }

    /// The one target of a roster.
    fn only(roster: &Roster) -> WorkerTarget {
        let targets: Vec<_> = roster.targets().cloned().collect();
        assert_eq!(targets.len(), 1);
        targets[0].clone()
    }

    #[test]
    fn a_target_that_is_missing_is_suspended_and_goes_on_when_it_is_back() {
        let (mut roster, now) = (Roster::default(), clock::now());
        roster.apply(&snapshot([sample::target()]), now, 1);
        let before = only(&roster);
        assert!(!before.is_suspended());
        roster.apply(&snapshot([]), now, 5);
        let missing = only(&roster);
        assert_eq!(
            (missing.absent_since, missing.is_suspended()),
            (Some(5), true)
        );
        roster.apply(&snapshot([]), now + ABSENCE / 2, 9);
        assert_eq!(only(&roster).absent_since, Some(5), "since the first time");
        roster.apply(&snapshot([sample::target()]), now + ABSENCE / 2, 9);
        let back = only(&roster);
        assert_eq!(back.absent_since, None);
        assert!(
            Arc::ptr_eq(&back.shared, &before.shared),
            "its health is remembered"
        );
        assert_eq!((roster.next_end(), roster.ended.len()), (None, 0));
    }

    #[test]
    fn a_target_that_is_missing_for_too_long_ends() {
        let (mut roster, now) = (Roster::default(), clock::now());
        roster.apply(&snapshot([sample::target()]), now, 1);
        roster.apply(&snapshot([]), now, 5);
        let end = roster.next_end().unwrap();
        assert!(!roster.expire(end - Duration::from_secs(1)));
        assert!(roster.expire(end));
        assert!(roster.targets().next().is_none());
        assert!(!roster.expire(end));
    }

    #[test]
    fn a_target_that_its_manifest_deletes_ends_at_once_and_does_not_come_back_by_missing() {
        let (mut roster, now) = (Roster::default(), clock::now());
        roster.apply(&snapshot([sample::target()]), now, 1);
        let deleted = CompiledTarget {
            deleted: true,
            ..sample::target()
        };
        roster.apply(&snapshot([deleted]), now, 2);
        assert!(roster.targets().next().is_none());
        assert_eq!(roster.ended, [sample::target().uid]);
        roster.apply(&snapshot([]), now, 3);
        assert!(roster.targets().next().is_none() && roster.ended.is_empty());
    }

    fn remembering(absent_since: Option<i64>, now: Instant) -> Roster {
        let mut roster = Roster::default();
        let target = sample::target();
        let known = KnownTarget::of(&target, absent_since);
        roster.remember(target.uid, &known, now);
        roster
    }

    #[test]
    fn a_target_that_only_the_group_remembers_is_suspended_until_its_manifest_is_there() {
        let now = clock::now();
        let mut roster = remembering(None, now);
        roster.apply(&snapshot([]), now, 5);
        let missing = only(&roster);
        assert_eq!(missing.compiled.sources, sample::target().sources);
        assert_eq!(
            (missing.absent_since, missing.is_suspended()),
            (Some(5), true)
        );
        roster.apply(&snapshot([sample::target()]), now, 9);
        let back = only(&roster);
        assert_eq!((back.absent_since, back.is_suspended()), (None, false));
        assert_eq!(*back.compiled, sample::target());
    }

    #[test]
    fn an_absence_goes_on_when_workers_start_again() {
        let now = clock::now();
        let half = i64::try_from(ABSENCE.as_millis() / 2).unwrap();
        let mut roster = remembering(Some(1_000), now);
        roster.apply(&snapshot([]), now, 1_000 + half);
        assert_eq!(roster.next_end(), Some(now + ABSENCE / 2));
        let mut roster = remembering(Some(1_000), now);
        roster.apply(&snapshot([]), now, 1_000 + 2 * half);
        assert!(roster.targets().next().is_none());
    }

    #[test]
    fn a_remembered_target_does_not_end_while_a_manifest_that_may_be_its_own_cannot_be_used() {
        let now = clock::now();
        let mut roster = remembering(None, now);
        let broken = Snapshot {
            problems: vec![Problem {
                file: "orders.yaml".to_owned(),
                document: 1,
                message: "broken".to_owned(),
                last_good_runs: false,
            }],
            ..Snapshot::default()
        };
        roster.apply(&broken, now, 5);
        assert_eq!(roster.next_end(), None);
        assert!(!roster.expire(now + 2 * ABSENCE));
        roster.apply(&snapshot([]), now + 2 * ABSENCE, 9);
        assert!(roster.targets().next().is_none());
    }

    #[test]
    fn a_target_that_was_deleted_elsewhere_ends_at_once() {
        let (mut roster, now) = (Roster::default(), clock::now());
        roster.apply(&snapshot([sample::target()]), now, 1);
        let ended = Snapshot {
            ended: vec![sample::target().uid],
            ..Snapshot::default()
        };
        roster.apply(&ended, now, 2);
        assert!(roster.targets().next().is_none());
        assert_eq!(roster.ended, [sample::target().uid]);
    }
}
