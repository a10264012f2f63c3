//! Commits of the partitions this worker owns: what goes out, and what an answer changes.
//!
//! The book decides, this connects it with the partitions' claims, the lease and the shards.

use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};

use super::Ownership;
use crate::clock;
use crate::source::claim::Standing;
use crate::source::commit::{Commit, Verdict};
use crate::source::inbox::ShardMessage;
use crate::source::note::CommitNote;

impl Ownership {
    /// The group has given an assignment. It knew this member at `since_boot` or later.
    pub(in crate::source) fn rejoined(&mut self, now: Instant, since_boot: Duration) {
        self.book.rejoined(now);
        self.lease.renew(since_boot);
    }

    /// What may be committed of a running slot; none before its shard has claimed it.
    pub(in crate::source) fn standing(&self, slot: u32) -> Option<Standing> {
        self.running.get(&slot)?.progress.standing()
    }

    /// What is due to be committed now. It counts as sent.
    pub(in crate::source) fn due_commit(&mut self, now: Instant) -> Option<Vec<Commit>> {
        let running = &self.running;
        let standing = |slot: u32| running.get(&slot)?.progress.standing();
        let due = self.book.due(now, standing);
        if due.is_some() {
            self.sent_at = clock::since_boot();
        }
        due
    }

    /// A commit goes out that was not asked for by [`Self::due_commit`].
    pub(in crate::source) fn sent(&mut self, now: Instant, commits: Vec<Commit>) {
        self.book.sent(now, commits);
        self.sent_at = clock::since_boot();
    }

    /// The commit in flight was answered. Returns the gravest verdict.
    pub(in crate::source) fn answered(&mut self, verdict_of: impl Fn(u32) -> Verdict) -> Verdict {
        let before = self.book.last_acked();
        let verdict = self.book.answered(verdict_of);
        if self.book.last_acked() != before {
            // It was this member's turn when the commit arrived; nothing is known of now.
            self.lease.renew(self.sent_at);
        }
        if self.book.is_member_lost() {
            self.lease.end();
        }
        verdict
    }

    /// Tells shards of commits that they wait for.
    pub(in crate::source) fn tell_committed(&mut self) {
        for (slot, partition) in &self.running {
            let progress = &partition.progress;
            let arrived = |commit: &Commit| progress.arrived(commit.offset, commit.cfg);
            if let Some(commit) = self.book.news(*slot, arrived) {
                let message = ShardMessage::Committed {
                    slot: *slot,
                    epoch: commit.epoch,
                    cfg: commit.cfg,
                    offset: commit.offset,
                };
                self.outboxes.say(partition.shard, message);
            }
        }
    }

    /// A commit as librdkafka wants it, with our note on every offset.
    pub(in crate::source) fn commit_list(&self, commits: &[Commit]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let Some(partition) = self.running.get(&commit.slot) else {
                continue;
            };
            let mut element = list.add_partition(&partition.id.topic, partition.id.partition);
            // Frontiers are offsets, which can always be expressed.
            if element.set_offset(Offset::Offset(commit.offset)).is_ok() {
                let note = CommitNote {
                    epoch: Some(commit.epoch),
                    cfg: commit.cfg,
                    ..partition.note
                };
                element.set_metadata(note.encode());
            }
        }
        list
    }

    /// What the group's commit of a running slot says, as far as it is known.
    pub(in crate::source) fn note(&self, slot: u32) -> CommitNote {
        let note = self.running.get(&slot).map(|partition| partition.note);
        let note = note.unwrap_or_default();
        match self.book.acked(slot) {
            Some(commit) => CommitNote {
                epoch: Some(commit.epoch),
                cfg: commit.cfg,
                ..note
            },
            None => note,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parcelhook_crds::lane::Epoch;
    use parcelhook_crds::revision::Revision;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::source::hearing::Hearing;
    use crate::source::inbox::{Assigned, PartitionId};
    use crate::source::lease::Lease;
    use crate::source::resolve::Resolved;
    use crate::source::start::{Start, StartedBy};
    use crate::source::{Claim, ShardMessage};

    const EPOCH: Epoch = Epoch { n: 4, random: 0x1f };

    fn cfg(number: u64) -> Option<Revision> {
        Some(Revision { lineage: 1, number })
    }

    /// A worker that owns one partition, which its shard has claimed.
    fn owner() -> (Ownership, Receiver<ShardMessage>, Assigned) {
        let (shard, mut inbox) = channel(9);
        let lease = Lease::new(Duration::from_secs(10));
        let hearing = Hearing::new(Duration::from_secs(20));
        let mut ownership = Ownership::new(vec![shard], Arc::default(), lease, hearing);
        ownership.run(Resolved {
            id: PartitionId {
                topic: "orders".into(),
                partition: 0,
            },
            start: Start {
                offset: 5,
                lane_starts: Vec::new(),
                lost: None,
            },
            started_by: StartedBy::Commit,
            log_end: 9,
            committed: Some(5),
            note: CommitNote {
                epoch: Some(Epoch { n: 3, random: 0 }),
                cfg: cfg(2),
                ..CommitNote::default()
            },
        });
        let Ok(ShardMessage::Assigned(assigned)) = inbox.try_recv() else {
            panic!("the shard is told");
        };
        assigned.progress.own(EPOCH, cfg(3), Claim::Now);
        (ownership, inbox, assigned)
    }

    #[test]
    fn a_commit_carries_its_owners_epoch_and_configuration() {
        let (mut ownership, _inbox, assigned) = owner();
        assert_eq!(assigned.epoch.map(|epoch| epoch.n), Some(3));
        assert_eq!(assigned.cfg, cfg(2));
        let commits = ownership.due_commit(clock::now()).unwrap();
        let list = ownership.commit_list(&commits);
        let metadata = list.elements()[0].metadata().to_owned();
        assert_eq!(metadata, "v1;epoch=4.000000000000001f;cfg=1:3");
        let note = ownership.note(0);
        assert_eq!(
            (note.epoch, note.cfg),
            (Some(Epoch { n: 3, random: 0 }), cfg(2))
        );
        let _ = ownership.answered(|_| Verdict::Acked);
        let note = ownership.note(0);
        assert_eq!((note.epoch, note.cfg), (Some(EPOCH), cfg(3)));
    }

    #[test]
    fn an_acknowledged_commit_renews_the_lease_from_when_it_was_sent_and_a_lost_member_has_none() {
        let (mut ownership, mut inbox, assigned) = owner();
        let lease = assigned.progress.lease();
        assert!(ownership.due_commit(clock::now()).is_some());
        let sent_at = ownership.sent_at;
        let _ = ownership.answered(|_| Verdict::Retry);
        assert!(!lease.allows(sent_at), "a refusal proves nothing");
        let later = clock::now() + Duration::from_secs(1);
        assert!(ownership.due_commit(later).is_some());
        let sent_at = ownership.sent_at;
        let _ = ownership.answered(|_| Verdict::Acked);
        assert!(lease.allows(sent_at + Duration::from_secs(7)));
        assert!(!lease.allows(sent_at + Duration::from_secs(8)));
        ownership.tell_committed();
        let told = inbox.try_recv();
        assert!(matches!(
            told,
            Ok(ShardMessage::Committed {
                slot: 0,
                epoch: EPOCH,
                offset: 5,
                ..
            })
        ));
        assigned.progress.raise_frontier(7);
        assert!(
            ownership
                .due_commit(later + Duration::from_secs(1))
                .is_some()
        );
        let _ = ownership.answered(|_| Verdict::MemberLost);
        assert!(!lease.allows(sent_at));
    }
}
