//! When to commit what, and what an answer means.
//!
//! Pure. Owns which frontier of each live partition the group coordinator has acknowledged. A commit
//! is built from the partitions that are live at that moment and never from an earlier commit, so a
//! partition that was let go is not committed again, and one that its shard has not claimed is not
//! committed at all. One commit is in flight at a time. Does not talk to the coordinator.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Epoch;
use parcelhook_crds::revision::Revision;
use rdkafka::types::RDKafkaErrorCode;

use super::claim::Standing;

/// Least time between two commits: librdkafka finishes no assignment while one is outstanding, and a
/// commit costs the coordinator a write whatever its size.
pub(super) const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// How long the group may be silent before an unchanged frontier is committed again, so that the
/// worker knows that it still counts: three chances within the shortest lease, which is 8 s unless
/// somebody shortened the session.
const SILENCE: Duration = Duration::from_millis(2_500);

/// What the coordinator says about one committed partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    /// It is committed.
    Acked,
    /// It is not; the frontier of that moment is committed again later. Ownership goes on.
    Retry,
    /// The group does not know this member: a lost assignment is about to be told.
    MemberLost,
    /// Another worker has this one's identity: this worker must end.
    Fenced,
}

/// Reads a commit's error, none being success.
pub(super) fn verdict(error: Option<RDKafkaErrorCode>) -> Verdict {
    match error {
        None | Some(RDKafkaErrorCode::NoError) => Verdict::Acked,
        Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::AssignmentLost) => {
            Verdict::MemberLost
        }
        Some(
            RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fenced | RDKafkaErrorCode::Fatal,
        ) => Verdict::Fenced,
        // Rebalance in progress, an illegal generation while rebalancing, a coordinator that moves or
        // does not answer, a timeout, a missing right: none of them takes a partition away.
        Some(_) => Verdict::Retry,
    }
}

/// A commit of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// Which partition.
    pub(super) slot: u32,
    /// Everything below it is done.
    pub(super) offset: i64,
    /// The ownership it is made under.
    pub(super) epoch: Epoch,
    /// The configuration it is made under.
    pub(super) cfg: Option<Revision>,
}

impl Commit {
    fn of(slot: u32, standing: Standing) -> Self {
        Self {
            slot,
            offset: standing.frontier,
            epoch: standing.epoch,
            cfg: standing.cfg,
        }
    }

    fn title(&self) -> Title {
        (self.epoch, self.cfg)
    }
}

/// What a commit is made under.
type Title = (Epoch, Option<Revision>);

/// The frontiers of the live partitions, by slot, as far as they are acknowledged.
#[derive(Debug, Default)]
pub(super) struct FrontierBook {
    live: BTreeMap<u32, Live>,
    in_flight: Option<BTreeMap<u32, Commit>>,
    last_sent: Option<Instant>,
    /// When the commit was sent that was acknowledged last.
    last_acked: Option<Instant>,
    /// When the group last knew this member.
    known_at: Option<Instant>,
    /// The slot that was last committed only to be heard from.
    repeated: Option<u32>,
    member_lost: bool,
}

#[derive(Debug, Default)]
struct Live {
    /// The offset in the group's commit; none when there is none that counts.
    committed: Option<i64>,
    /// The last commit that was ours.
    acked: Option<Commit>,
    /// Under what the first commit was made that its shard knows of.
    told: Option<Title>,
}

impl FrontierBook {
    /// A partition is live. `committed` is the group's commit, none when there is none that counts:
    /// then its first frontier is committed at once, moved or not. Nothing is before its shard has
    /// claimed it.
    pub(super) fn begin(&mut self, slot: u32, committed: Option<i64>) {
        let live = Live {
            committed,
            ..Live::default()
        };
        self.live.insert(slot, live);
    }

    /// A partition is let go: nothing of it is committed any more.
    pub(super) fn end(&mut self, slot: u32) {
        self.live.remove(&slot);
    }

    /// The group has given an assignment: its member is known again.
    pub(super) fn rejoined(&mut self, now: Instant) {
        self.member_lost = false;
        self.known_at = Some(now);
    }

    /// The last acknowledged commit of a partition.
    pub(super) fn committed(&self, slot: u32) -> Option<i64> {
        self.live.get(&slot)?.committed
    }

    /// A partition's commit, once it is one of this worker's.
    pub(super) fn acked(&self, slot: u32) -> Option<Commit> {
        self.live.get(&slot)?.acked
    }

    /// When the commit was sent that the coordinator acknowledged last.
    pub(super) fn last_acked(&self) -> Option<Instant> {
        self.last_acked
    }

    /// Whether the coordinator has dropped this member and it has not joined again.
    pub(super) fn is_member_lost(&self) -> bool {
        self.member_lost
    }

    /// Whether an answer is awaited.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What to commit now; none when nothing moved, it is too early, or an answer is still awaited.
    /// `standing` is none for a slot that is not claimed. What is returned counts as in flight.
    pub(super) fn due(
        &mut self,
        now: Instant,
        standing: impl Fn(u32) -> Option<Standing>,
    ) -> Option<Vec<Commit>> {
        let early = self
            .last_sent
            .is_some_and(|sent| now.saturating_duration_since(sent) < COMMIT_INTERVAL);
        if early || self.in_flight.is_some() || self.member_lost {
            return None;
        }
        let mut due = self.moved(self.live.keys().copied(), &standing);
        if due.is_empty() {
            due.extend(self.repeat_when_silent(now, standing));
        }
        if due.is_empty() {
            return None;
        }
        self.sent(now, due.clone());
        Some(due)
    }

    /// A commit goes out: its answer is awaited.
    pub(super) fn sent(&mut self, now: Instant, commits: Vec<Commit>) {
        self.last_sent = Some(now);
        let by_slot = commits.into_iter().map(|commit| (commit.slot, commit));
        self.in_flight = Some(by_slot.collect());
    }

    /// What must still be committed of partitions that are about to be let go.
    pub(super) fn last_commit(
        &self,
        slots: &[u32],
        standing: impl Fn(u32) -> Option<Standing>,
    ) -> Vec<Commit> {
        if self.member_lost {
            return Vec::new();
        }
        self.moved(slots.iter().copied(), standing)
    }

    /// The coordinator answered the commit in flight, or it could not be sent. `verdict_of` says what
    /// became of each slot. Returns the gravest verdict.
    pub(super) fn answered(&mut self, verdict_of: impl Fn(u32) -> Verdict) -> Verdict {
        let sent = self.in_flight.take().unwrap_or_default();
        let mut gravest = Verdict::Acked;
        for (slot, commit) in sent {
            match verdict_of(slot) {
                Verdict::Acked => {
                    self.last_acked = self.last_sent;
                    self.known_at = self.known_at.max(self.last_sent);
                    if let Some(live) = self.live.get_mut(&slot) {
                        live.committed = Some(commit.offset);
                        live.acked = Some(commit);
                    }
                }
                Verdict::Retry if gravest == Verdict::Acked => gravest = Verdict::Retry,
                Verdict::Retry => {}
                Verdict::MemberLost if gravest == Verdict::Fenced => {}
                Verdict::MemberLost => gravest = Verdict::MemberLost,
                Verdict::Fenced => gravest = Verdict::Fenced,
            }
        }
        self.member_lost |= gravest == Verdict::MemberLost;
        gravest
    }

    /// The consumer that sent the commit in flight is gone: its answer will not come.
    pub(super) fn abandoned(&mut self) {
        self.in_flight = None;
    }

    /// What a shard wants to know of its slot: the first commit under an epoch or a configuration, or
    /// the one that it waits for, which `arrived` knows.
    pub(super) fn news(
        &mut self,
        slot: u32,
        arrived: impl FnOnce(&Commit) -> bool,
    ) -> Option<Commit> {
        let live = self.live.get_mut(&slot)?;
        let acked = live.acked?;
        // Asked in any case: one message answers both.
        let awaited = arrived(&acked);
        let first = live.told.replace(acked.title()) != Some(acked.title());
        (first || awaited).then_some(acked)
    }

    fn moved(
        &self,
        slots: impl Iterator<Item = u32>,
        standing: impl Fn(u32) -> Option<Standing>,
    ) -> Vec<Commit> {
        slots
            .filter_map(|slot| {
                let live = self.live.get(&slot)?;
                let standing = standing(slot)?;
                let moved = live
                    .committed
                    .is_none_or(|committed| standing.frontier > committed);
                let commit = Commit::of(slot, standing);
                let acked = live.acked.as_ref().map(Commit::title);
                let renamed = standing.now && acked != Some(commit.title());
                (moved || renamed).then_some(commit)
            })
            .collect()
    }

    /// When the group has not been heard from for a while: one partition's frontier as it is, another
    /// one each time, because the coordinator may refuse one for ever (its topic is gone).
    fn repeat_when_silent(
        &mut self,
        now: Instant,
        standing: impl Fn(u32) -> Option<Standing>,
    ) -> Option<Commit> {
        let recent = self
            .known_at
            .is_some_and(|known| now.saturating_duration_since(known) < SILENCE);
        if recent {
            return None;
        }
        let after = self.repeated.map_or(0, |slot| slot.saturating_add(1));
        let slots = self.live.range(after..).chain(self.live.range(..after));
        let commit = slots
            .filter_map(|(slot, _)| Some(Commit::of(*slot, standing(*slot)?)))
            .next()?;
        self.repeated = Some(commit.slot);
        Some(commit)
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
