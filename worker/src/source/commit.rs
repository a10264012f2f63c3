//! When to commit what, and what an answer means.
//!
//! Pure. Owns which frontier of each live partition the group coordinator has acknowledged. A commit
//! is built from the partitions that are live at that moment and never from an earlier commit, so a
//! partition that was let go is not committed again. One commit is in flight at a time. Does not talk
//! to the coordinator.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;

/// Least time between two commits: librdkafka finishes no assignment while one is outstanding, and a
/// commit costs the coordinator a write whatever its size.
pub(super) const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

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

/// The frontiers of the live partitions, by slot, as far as they are acknowledged.
#[derive(Debug, Default)]
pub(super) struct FrontierBook {
    live: BTreeMap<u32, Option<i64>>,
    in_flight: Option<BTreeMap<u32, i64>>,
    last_sent: Option<Instant>,
    last_acked: Option<Instant>,
    member_lost: bool,
}

impl FrontierBook {
    /// A partition is live. `committed` is the group's commit, none when there is none that counts:
    /// then its first frontier is committed at once, moved or not.
    pub(super) fn begin(&mut self, slot: u32, committed: Option<i64>) {
        self.live.insert(slot, committed);
    }

    /// A partition is let go: nothing of it is committed any more.
    pub(super) fn end(&mut self, slot: u32) {
        self.live.remove(&slot);
    }

    /// The group has given an assignment: its member is known again.
    pub(super) fn rejoined(&mut self) {
        self.member_lost = false;
    }

    /// The last acknowledged commit of a partition.
    pub(super) fn committed(&self, slot: u32) -> Option<i64> {
        self.live.get(&slot).copied().flatten()
    }

    /// When the coordinator last acknowledged anything.
    pub(super) fn last_acked(&self) -> Option<Instant> {
        self.last_acked
    }

    /// Whether an answer is awaited.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What to commit now, as (slot, offset); none when nothing moved, it is too early, or an answer
    /// is still awaited. What is returned counts as in flight.
    pub(super) fn due(
        &mut self,
        now: Instant,
        frontier: impl Fn(u32) -> i64,
    ) -> Option<Vec<(u32, i64)>> {
        let early = self
            .last_sent
            .is_some_and(|sent| now.saturating_duration_since(sent) < COMMIT_INTERVAL);
        if early || self.in_flight.is_some() || self.member_lost {
            return None;
        }
        let moved = self.moved(self.live.keys().copied(), frontier);
        if moved.is_empty() {
            return None;
        }
        self.sent(now, moved.clone());
        Some(moved)
    }

    /// A commit goes out: its answer is awaited.
    pub(super) fn sent(&mut self, now: Instant, offsets: Vec<(u32, i64)>) {
        self.last_sent = Some(now);
        self.in_flight = Some(offsets.into_iter().collect());
    }

    /// What must still be committed of partitions that are about to be let go.
    pub(super) fn last_commit(
        &self,
        slots: &[u32],
        frontier: impl Fn(u32) -> i64,
    ) -> Vec<(u32, i64)> {
        if self.member_lost {
            return Vec::new();
        }
        self.moved(slots.iter().copied(), frontier)
    }

    /// The coordinator answered the commit in flight, or it could not be sent. `verdict_of` says what
    /// became of each slot. Returns the gravest verdict.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        verdict_of: impl Fn(u32) -> Verdict,
    ) -> Verdict {
        let sent = self.in_flight.take().unwrap_or_default();
        let mut gravest = Verdict::Acked;
        for (slot, offset) in sent {
            match verdict_of(slot) {
                Verdict::Acked => {
                    self.last_acked = Some(now);
                    if let Some(committed) = self.live.get_mut(&slot) {
                        *committed = Some(offset);
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

    fn moved(
        &self,
        slots: impl Iterator<Item = u32>,
        frontier: impl Fn(u32) -> i64,
    ) -> Vec<(u32, i64)> {
        slots
            .filter_map(|slot| {
                let committed = self.live.get(&slot)?;
                let frontier = frontier(slot);
                let moved = committed.is_none_or(|committed| frontier > committed);
                moved.then_some((slot, frontier))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    #[test]
    fn every_commit_error_has_its_verdict() {
        use RDKafkaErrorCode as Code;
        let rows = [
            (None, Verdict::Acked),
            (Some(Code::NoError), Verdict::Acked),
            (Some(Code::RebalanceInProgress), Verdict::Retry),
            (Some(Code::IllegalGeneration), Verdict::Retry),
            (Some(Code::NotCoordinator), Verdict::Retry),
            (Some(Code::CoordinatorNotAvailable), Verdict::Retry),
            (Some(Code::CoordinatorLoadInProgress), Verdict::Retry),
            (Some(Code::WaitingForCoordinator), Verdict::Retry),
            (Some(Code::RequestTimedOut), Verdict::Retry),
            (Some(Code::OperationTimedOut), Verdict::Retry),
            (Some(Code::BrokerTransportFailure), Verdict::Retry),
            (Some(Code::GroupAuthorizationFailed), Verdict::Retry),
            (Some(Code::UnknownTopicOrPartition), Verdict::Retry),
            (Some(Code::UnknownMemberId), Verdict::MemberLost),
            (Some(Code::AssignmentLost), Verdict::MemberLost),
            (Some(Code::FencedInstanceId), Verdict::Fenced),
            (Some(Code::Fatal), Verdict::Fenced),
        ];
        for (error, expected) in rows {
            assert_eq!(verdict(error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_new_partition_is_committed_before_it_moves() {
        let mut book = FrontierBook::default();
        book.begin(1, None);
        book.begin(2, Some(5));
        assert_eq!(book.due(clock::now(), |_| 5), Some(vec![(1, 5)]));
    }

    #[test]
    fn one_commit_is_in_flight_and_commits_keep_their_distance() {
        let mut book = FrontierBook::default();
        let start = clock::now();
        book.begin(1, None);
        assert!(book.due(start, |_| 1).is_some());
        assert_eq!(book.due(start + COMMIT_INTERVAL * 9, |_| 2), None);
        assert_eq!(book.answered(start, |_| Verdict::Acked), Verdict::Acked);
        assert_eq!(book.due(start + COMMIT_INTERVAL / 2, |_| 2), None);
        assert_eq!(book.due(start + COMMIT_INTERVAL, |_| 2), Some(vec![(1, 2)]));
    }

    #[test]
    fn a_failed_commit_is_built_anew_from_what_is_live() {
        let mut book = FrontierBook::default();
        let start = clock::now();
        book.begin(1, Some(0));
        book.begin(2, Some(0));
        assert_eq!(book.due(start, |_| 3), Some(vec![(1, 3), (2, 3)]));
        book.end(1);
        assert_eq!(book.answered(start, |_| Verdict::Retry), Verdict::Retry);
        assert_eq!(book.due(start + COMMIT_INTERVAL, |_| 4), Some(vec![(2, 4)]));
    }

    #[test]
    fn a_member_that_is_lost_commits_nothing_until_it_has_rejoined() {
        let mut book = FrontierBook::default();
        let start = clock::now();
        book.begin(1, Some(0));
        assert!(book.due(start, |_| 3).is_some());
        let answer = book.answered(start, |_| Verdict::MemberLost);
        assert_eq!(answer, Verdict::MemberLost);
        assert_eq!(book.due(start + COMMIT_INTERVAL, |_| 4), None);
        assert_eq!(book.last_commit(&[1], |_| 4), []);
        book.rejoined();
        assert!(book.due(start + COMMIT_INTERVAL, |_| 4).is_some());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Assign(u32),
        Raise(u32, i64),
        Tick(u64),
        Answer(Vec<u8>, bool),
        Revoke(u32, bool),
        Rejoin,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..4u32).prop_map(Step::Assign),
            (0..4u32, 1..9i64).prop_map(|(partition, by)| Step::Raise(partition, by)),
            (0..200u64).prop_map(Step::Tick),
            (prop::collection::vec(0..4u8, 4), any::<bool>())
                .prop_map(|(verdicts, applied)| Step::Answer(verdicts, applied)),
            (0..4u32, any::<bool>()).prop_map(|(partition, lost)| Step::Revoke(partition, lost)),
            Just(Step::Rejoin),
        ];
        prop::collection::vec(step, 1..80)
    }

    /// A coordinator and the shards' frontiers, by partition; slots are made anew at each assignment.
    #[derive(Default)]
    struct World {
        slot_of: BTreeMap<u32, u32>,
        next_slot: u32,
        frontiers: BTreeMap<u32, i64>,
        stored: BTreeMap<u32, i64>,
        sent: Vec<(u32, i64)>,
    }

    impl World {
        fn frontier(&self, slot: u32) -> i64 {
            self.frontiers[&self.partition(slot).expect("only live slots are committed")]
        }

        fn partition(&self, slot: u32) -> Option<u32> {
            self.slot_of
                .iter()
                .find_map(|(partition, live)| (*live == slot).then_some(*partition))
        }

        fn store(&mut self, partition: u32, offset: i64) {
            assert!(offset <= self.frontiers[&partition], "above the frontier");
            let before = self.stored.insert(partition, offset);
            assert!(before.is_none_or(|before| before <= offset), "regressed");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_order_commits_never_pass_the_frontier_nor_regress_nor_outlive_ownership(
            steps in steps()
        ) {
            let mut now = clock::now();
            let mut world = World::default();
            let mut book = FrontierBook::default();
            for step in steps {
                match step {
                    Step::Assign(partition) if !world.slot_of.contains_key(&partition) => {
                        let slot = world.next_slot;
                        world.next_slot += 1;
                        let start = world.stored.get(&partition).copied();
                        world.frontiers.insert(partition, start.unwrap_or(0));
                        world.slot_of.insert(partition, slot);
                        book.begin(slot, start);
                    }
                    Step::Raise(partition, by) if world.slot_of.contains_key(&partition) => {
                        *world.frontiers.entry(partition).or_default() += by;
                    }
                    Step::Tick(millis) => {
                        now += Duration::from_millis(millis);
                        if let Some(commit) = book.due(now, |slot| world.frontier(slot)) {
                            prop_assert!(world.sent.is_empty(), "two in flight");
                            world.sent = commit;
                        }
                    }
                    // A commit may be applied although its answer says otherwise.
                    Step::Answer(verdicts, applied) if book.is_in_flight() => {
                        let verdict_of = |slot: u32| match verdicts[slot as usize % 4] {
                            0 => Verdict::Retry,
                            1 if slot.is_multiple_of(7) => Verdict::MemberLost,
                            _ => Verdict::Acked,
                        };
                        for (slot, offset) in std::mem::take(&mut world.sent) {
                            if let Some(partition) = world.partition(slot)
                                && (applied || verdict_of(slot) == Verdict::Acked)
                            {
                                world.store(partition, offset);
                            }
                        }
                        let _ = book.answered(now, verdict_of);
                    }
                    Step::Revoke(partition, lost) if world.slot_of.contains_key(&partition) => {
                        let slot = world.slot_of[&partition];
                        // The one in flight is answered before the last commit goes out.
                        if !lost {
                            for (slot, offset) in std::mem::take(&mut world.sent) {
                                if let Some(partition) = world.partition(slot) {
                                    world.store(partition, offset);
                                }
                            }
                            let _ = book.answered(now, |_| Verdict::Acked);
                            for (_, offset) in
                                book.last_commit(&[slot], |slot| world.frontier(slot))
                            {
                                world.store(partition, offset);
                            }
                        }
                        book.end(slot);
                        world.slot_of.remove(&partition);
                    }
                    Step::Rejoin => book.rejoined(),
                    Step::Assign(_) | Step::Raise(..) | Step::Answer(..) | Step::Revoke(..) => {}
                }
            }
        }
    }
}
