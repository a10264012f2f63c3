//! What the book of commits promises.

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

const EPOCH: Epoch = Epoch { n: 1, random: 9 };

fn cfg(number: u64) -> Option<Revision> {
    Some(Revision { lineage: 1, number })
}

/// A claimed partition whose frontier is there.
fn at(frontier: i64) -> Option<Standing> {
    Some(Standing {
        frontier,
        epoch: EPOCH,
        cfg: cfg(1),
        now: false,
    })
}

fn commit(slot: u32, offset: i64) -> Commit {
    Commit {
        slot,
        offset,
        epoch: EPOCH,
        cfg: cfg(1),
    }
}

/// A book of a member that has just joined.
fn joined(now: Instant) -> FrontierBook {
    let mut book = FrontierBook::default();
    book.rejoined(now);
    book
}

#[test]
fn a_new_partition_is_committed_before_it_moves() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, None);
    book.begin(2, Some(5));
    assert_eq!(book.due(start, |_| at(5)), Some(vec![commit(1, 5)]));
}

#[test]
fn what_is_not_claimed_is_never_committed() {
    let mut book = FrontierBook::default();
    book.begin(1, None);
    assert_eq!(book.due(clock::now(), |_| None), None);
    assert_eq!(book.last_commit(&[1], |_| None), []);
}

#[test]
fn one_commit_is_in_flight_and_commits_keep_their_distance() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, None);
    assert!(book.due(start, |_| at(1)).is_some());
    assert_eq!(book.due(start + COMMIT_INTERVAL * 9, |_| at(2)), None);
    assert_eq!(book.answered(|_| Verdict::Acked), Verdict::Acked);
    assert_eq!(book.due(start + COMMIT_INTERVAL / 2, |_| at(2)), None);
    let due = book.due(start + COMMIT_INTERVAL, |_| at(2));
    assert_eq!(due, Some(vec![commit(1, 2)]));
}

#[test]
fn a_failed_commit_is_built_anew_from_what_is_live() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, Some(0));
    book.begin(2, Some(0));
    let due = book.due(start, |_| at(3));
    assert_eq!(due, Some(vec![commit(1, 3), commit(2, 3)]));
    book.end(1);
    assert_eq!(book.answered(|_| Verdict::Retry), Verdict::Retry);
    let due = book.due(start + COMMIT_INTERVAL, |_| at(4));
    assert_eq!(due, Some(vec![commit(2, 4)]));
}

#[test]
fn a_member_that_is_lost_commits_nothing_until_it_has_rejoined() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, Some(0));
    assert!(book.due(start, |_| at(3)).is_some());
    assert_eq!(book.answered(|_| Verdict::MemberLost), Verdict::MemberLost);
    assert!(book.is_member_lost());
    assert_eq!(book.due(start + COMMIT_INTERVAL, |_| at(4)), None);
    assert_eq!(book.last_commit(&[1], |_| at(4)), []);
    book.rejoined(start);
    assert!(book.due(start + COMMIT_INTERVAL, |_| at(4)).is_some());
}

#[test]
fn an_epoch_that_must_be_committed_does_not_wait_for_the_frontier_to_move() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, Some(5));
    assert_eq!(book.due(start, |_| at(5)), None, "may wait");
    let now = |_| {
        Some(Standing {
            frontier: 5,
            epoch: EPOCH,
            cfg: cfg(1),
            now: true,
        })
    };
    for moment in 1..4 {
        let due = book.due(start + COMMIT_INTERVAL * moment, now);
        assert_eq!(due, Some(vec![commit(1, 5)]), "again after a refusal");
        let _ = book.answered(|_| Verdict::Retry);
    }
    assert!(book.due(start + COMMIT_INTERVAL * 4, now).is_some());
    let _ = book.answered(|_| Verdict::Acked);
    assert_eq!(book.acked(1), Some(commit(1, 5)));
    assert_eq!(book.due(start + COMMIT_INTERVAL * 5, now), None, "once");
}

#[test]
fn a_silent_group_is_asked_with_one_unchanged_frontier_and_another_one_the_next_time() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, Some(5));
    book.begin(2, Some(5));
    book.begin(3, Some(5));
    let standing = |slot| at(5).filter(|_| slot != 2);
    assert_eq!(book.due(start + SILENCE / 2, standing), None);
    let due = book.due(start + SILENCE, standing);
    assert_eq!(due, Some(vec![commit(1, 5)]));
    let _ = book.answered(|_| Verdict::Retry);
    let due = book.due(start + SILENCE + COMMIT_INTERVAL, standing);
    assert_eq!(due, Some(vec![commit(3, 5)]));
    let _ = book.answered(|_| Verdict::Acked);
    assert_eq!(book.due(start + SILENCE * 3 / 2, standing), None);
    assert!(book.due(start + SILENCE * 3, standing).is_some());
}

#[test]
fn a_shard_hears_once_of_its_epoch_once_of_a_configuration_and_once_of_the_commit_it_waits_for() {
    let start = clock::now();
    let mut book = joined(start);
    book.begin(1, Some(5));
    assert_eq!(book.news(1, |_| true), None, "nothing of this owner yet");
    assert!(book.due(start, |_| at(7)).is_some());
    let _ = book.answered(|_| Verdict::Acked);
    assert_eq!(book.news(1, |_| false), Some(commit(1, 7)));
    assert_eq!(book.news(1, |_| false), None);
    assert_eq!(
        book.news(1, |commit| commit.offset >= 7),
        Some(commit(1, 7))
    );
    // Unmoved, but configured anew.
    let configured = |_| {
        let standing = at(7)?;
        Some(Standing {
            cfg: cfg(2),
            now: true,
            ..standing
        })
    };
    assert!(book.due(start + COMMIT_INTERVAL, configured).is_some());
    let _ = book.answered(|_| Verdict::Acked);
    let news = book.news(1, |_| false).map(|commit| commit.cfg);
    assert_eq!(news, Some(cfg(2)));
}

#[derive(Clone, Debug)]
enum Step {
    Assign(u32),
    Claim(u32, bool),
    Raise(u32, i64),
    Configure(u32),
    Tick(u64),
    Answer(Vec<u8>, bool),
    Revoke(u32, bool),
    Rejoin,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4u32).prop_map(Step::Assign),
        (0..4u32, any::<bool>()).prop_map(|(partition, now)| Step::Claim(partition, now)),
        (0..4u32, 1..9i64).prop_map(|(partition, by)| Step::Raise(partition, by)),
        (0..4u32).prop_map(Step::Configure),
        (0..4_000u64).prop_map(Step::Tick),
        (prop::collection::vec(0..4u8, 4), any::<bool>())
            .prop_map(|(verdicts, applied)| Step::Answer(verdicts, applied)),
        (0..4u32, any::<bool>()).prop_map(|(partition, lost)| Step::Revoke(partition, lost)),
        Just(Step::Rejoin),
    ];
    prop::collection::vec(step, 1..80)
}

/// A partition of this worker.
struct Owned {
    slot: u32,
    frontier: i64,
    claim: Option<(Epoch, bool)>,
    cfg: Option<Revision>,
}

/// A coordinator and the shards, by partition; slots are made anew at each assignment.
#[derive(Default)]
struct World {
    owned: BTreeMap<u32, Owned>,
    next_slot: u32,
    stored: BTreeMap<u32, (i64, Epoch, Option<Revision>)>,
    sent: Vec<Commit>,
}

impl World {
    fn standing(&self, slot: u32) -> Option<Standing> {
        let partition = self.partition(slot).expect("only live slots are asked for");
        let owned = &self.owned[&partition];
        let (epoch, now) = owned.claim?;
        Some(Standing {
            frontier: owned.frontier,
            epoch,
            cfg: owned.cfg,
            now,
        })
    }

    fn partition(&self, slot: u32) -> Option<u32> {
        let found = self.owned.iter().find(|(_, owned)| owned.slot == slot);
        found.map(|(partition, _)| *partition)
    }

    fn assign(&mut self, partition: u32) -> (u32, Option<i64>) {
        let slot = self.next_slot;
        self.next_slot += 1;
        let stored = self.stored.get(&partition);
        let start = stored.map(|(offset, ..)| *offset);
        let owned = Owned {
            slot,
            frontier: start.unwrap_or(0),
            claim: None,
            cfg: stored.and_then(|(.., cfg)| *cfg),
        };
        self.owned.insert(partition, owned);
        (slot, start)
    }

    fn claim(&mut self, partition: u32, now: bool) {
        let before = self
            .stored
            .get(&partition)
            .map_or(0, |(_, epoch, _)| epoch.n);
        if let Some(owned) = self.owned.get_mut(&partition) {
            let n = owned.claim.map_or(before, |(epoch, _)| epoch.n) + 1;
            owned.claim = Some((Epoch { n, random: 0 }, now));
        }
    }

    fn store(&mut self, commit: Commit) {
        let Some(partition) = self.partition(commit.slot) else {
            return;
        };
        let owned = &self.owned[&partition];
        let (claimed, _) = owned.claim.expect("only what was claimed is committed");
        assert!(commit.offset <= owned.frontier, "passed the frontier");
        assert!(commit.epoch <= claimed, "an epoch that nobody claimed");
        let stored = (commit.offset, commit.epoch, commit.cfg);
        let before = self.stored.insert(partition, stored);
        let regressed = |(offset, epoch, cfg)| {
            offset > commit.offset || epoch > commit.epoch || cfg > commit.cfg
        };
        assert!(!before.is_some_and(regressed), "regressed");
    }

    /// The last commit of a partition in good order: the one in flight is answered before it.
    fn let_go(&mut self, book: &mut FrontierBook, slot: u32) {
        for commit in std::mem::take(&mut self.sent) {
            self.store(commit);
        }
        let _ = book.answered(|_| Verdict::Acked);
        for commit in book.last_commit(&[slot], |slot| self.standing(slot)) {
            self.store(commit);
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_order_commits_are_claimed_and_never_pass_the_frontier_nor_regress_nor_outlive_ownership(
        steps in steps()
    ) {
        let mut now = clock::now();
        let mut world = World::default();
        let mut book = FrontierBook::default();
        for step in steps {
            match step {
                Step::Assign(partition) if !world.owned.contains_key(&partition) => {
                    let (slot, start) = world.assign(partition);
                    book.begin(slot, start);
                }
                Step::Claim(partition, urgent) => world.claim(partition, urgent),
                Step::Raise(partition, by) => {
                    if let Some(owned) = world.owned.get_mut(&partition) {
                        owned.frontier += by;
                    }
                }
                Step::Configure(partition) => {
                    if let Some(owned) = world.owned.get_mut(&partition) {
                        owned.cfg = cfg(owned.cfg.map_or(1, |cfg| cfg.number + 1));
                    }
                }
                Step::Tick(millis) => {
                    now += Duration::from_millis(millis);
                    if let Some(commits) = book.due(now, |slot| world.standing(slot)) {
                        prop_assert!(world.sent.is_empty(), "two in flight");
                        world.sent = commits;
                    }
                }
                // A commit may be applied although its answer says otherwise.
                Step::Answer(verdicts, applied) if book.is_in_flight() => {
                    let verdict_of = |slot: u32| match verdicts[slot as usize % 4] {
                        0 => Verdict::Retry,
                        1 if slot.is_multiple_of(7) => Verdict::MemberLost,
                        _ => Verdict::Acked,
                    };
                    for commit in std::mem::take(&mut world.sent) {
                        if applied || verdict_of(commit.slot) == Verdict::Acked {
                            world.store(commit);
                        }
                    }
                    let _ = book.answered(verdict_of);
                }
                Step::Revoke(partition, lost) if world.owned.contains_key(&partition) => {
                    let slot = world.owned[&partition].slot;
                    if !lost {
                        world.let_go(&mut book, slot);
                    }
                    book.end(slot);
                    world.owned.remove(&partition);
                }
                Step::Rejoin => book.rejoined(now),
                Step::Assign(_) | Step::Answer(..) | Step::Revoke(..) => {}
            }
        }
    }
}
