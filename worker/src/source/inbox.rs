//! What the consumer thread and the shards say to each other.
//!
//! Owns the messages that go to a shard and the few numbers both sides share about a partition.
//! Messages of one shard arrive in the order in which they were said; records of a slot always come
//! between its `Assigned` and its `Revoked` or `Lost`. A slot number is never used twice.
//! Does not move messages: the consumer thread's outbox does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use parcelhook_crds::lane::Epoch;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

use super::bytes::{Load, WorkerBytes, as_i64};
use super::claim::{Claim, Claims, Standing};
use super::lease::Lease;
use super::record::Record;
use super::start::StartedBy;
use super::topics::TopicId;
pub use parcelhook_crds::lane::PartitionId;

/// Messages a shard's channel holds. A wake-up sends at most one message of records to a shard, and
/// bytes are bounded by the budget, so this only has to cover a shard that is busy for a moment. When
/// it is full the consumer thread stops taking records; it never blocks.
pub const SHARD_INBOX_MESSAGES: usize = 64;

/// Places of a shard's channel that records never take, so that a revocation gets in at once.
pub(super) const RESERVED_FOR_CONTROL: usize = 8;

/// From the consumer thread to a shard.
#[derive(Debug)]
pub enum ShardMessage {
    /// A partition is this shard's from now on.
    Assigned(Assigned),
    /// Records by slot, in offset order within a slot. A slot may occur more than once; the later
    /// part continues the earlier one.
    Records(Vec<(u32, Vec<Record>)>),
    /// The log moved without records (transaction markers, compaction, records that retention took):
    /// nothing below `position` will come any more.
    Position {
        /// The partition's slot.
        slot: u32,
        /// The next offset that may come.
        position: i64,
    },
    /// The first commit under this epoch or this configuration was acknowledged, or the one that was
    /// asked for with [`Progress::tell_committed_from`].
    Committed {
        /// The partition's slot.
        slot: u32,
        /// The epoch in the group's commit.
        epoch: Epoch,
        /// The configuration in it.
        cfg: Option<Revision>,
        /// The offset in the group's commit.
        offset: i64,
    },
    /// These partitions go to another worker, or the worker ends.
    Revoked(Revoked),
    /// These partitions are gone already: drop everything of them at once.
    Lost {
        /// The partitions' slots.
        slots: Vec<u32>,
    },
}

/// A partition that a shard receives.
#[derive(Debug)]
pub struct Assigned {
    /// Its number in all further messages; never used again after it was revoked or lost.
    pub slot: u32,
    /// Which partition it is.
    pub partition: PartitionId,
    /// The topic's id, when the cluster tells it.
    pub topic_id: Option<TopicId>,
    /// The epoch in the group's commit: lane rows of this epoch count. None without a commit of ours.
    pub epoch: Option<Epoch>,
    /// The configuration in the group's commit: nobody runs the partition with an older one.
    pub cfg: Option<Revision>,
    /// The first offset that may come.
    pub start: i64,
    /// What decided it.
    pub started_by: StartedBy,
    /// Targets (by uid) whose first event is not `start` but a later offset: the partition is new to
    /// the group and another target starts earlier. Empty for a partition that has a commit.
    pub lane_starts: Vec<(Uuid, i64)>,
    /// Frontier, claim and bytes, shared with the consumer thread.
    pub progress: Arc<Progress>,
}

/// A request to let partitions go.
#[derive(Debug)]
pub struct Revoked {
    /// The partitions' slots.
    pub slots: Vec<u32>,
    /// Attempts in flight may take until then; what is left is aborted.
    pub grace: Instant,
    /// Answered once the frontiers are final. Dropping it counts as an answer.
    pub done: SyncSender<()>,
}

/// What both sides know about one ownership of one partition. The shard claims the partition, raises
/// the frontier and releases bytes; the consumer thread commits the frontier once it is claimed, and
/// adds bytes. When the last holder drops it, bytes that were never released go back to the budget.
#[derive(Debug)]
pub struct Progress {
    frontier: AtomicI64,
    claims: Claims,
    lease: Arc<Lease>,
    in_flight_bytes: AtomicI64,
    on_way_bytes: AtomicI64,
    paused: AtomicBool,
    worker: Arc<WorkerBytes>,
}

impl Progress {
    pub(super) fn new(start: i64, worker: Arc<WorkerBytes>, lease: Arc<Lease>) -> Self {
        Self {
            frontier: AtomicI64::new(start),
            claims: Claims::default(),
            lease,
            in_flight_bytes: AtomicI64::new(0),
            on_way_bytes: AtomicI64::new(0),
            paused: AtomicBool::new(false),
            worker,
        }
    }

    /// A progress that belongs to no consumer, for tests of what a shard does with it. Its lease does
    /// not end.
    pub fn detached(start: i64) -> Self {
        Self::new(start, Arc::default(), Arc::new(Lease::endless()))
    }

    /// The partition is owned under this epoch: commits begin, and carry it and the configuration.
    /// Before this nothing of the partition is committed, also not when it is let go. May be called
    /// again with a later epoch. [`ShardMessage::Committed`] follows when the first commit under the
    /// epoch is acknowledged.
    pub fn own(&self, epoch: Epoch, cfg: Option<Revision>, claim: Claim) {
        self.claims.claim(epoch, cfg, claim);
    }

    /// The owner runs this configuration from now on: commits carry it. An older one, and any before
    /// [`Progress::own`], changes nothing.
    pub fn configure(&self, cfg: Option<Revision>) {
        self.claims.configure(cfg);
    }

    /// Tells people for which configuration the partition waits; none when it waits no more.
    pub fn lack(&self, cfg: Option<Revision>) {
        self.claims.lack(cfg);
    }

    /// The configuration for which the partition waits.
    pub(super) fn lacked(&self) -> Option<Revision> {
        self.claims.lacked()
    }

    /// Asks for one [`ShardMessage::Committed`] as soon as a commit at or above `offset` is
    /// acknowledged under the owner's epoch and configuration; it comes soon when that is so already.
    /// Of several questions the lowest is answered: ask again for the others.
    pub fn tell_committed_from(&self, offset: i64) {
        self.claims.wait_for(offset);
    }

    /// The partition has no commit ([`Assigned::started_by`] is [`StartedBy::StartFrom`]), but an
    /// earlier owner has left this frontier: it goes on from there, if the log still has it. Only
    /// before [`Progress::own`]. The partition is lost ([`ShardMessage::Lost`]) and assigned anew, with
    /// [`StartedBy::Terminator`], wherever it begins then.
    pub fn begin_at(&self, frontier: i64) {
        self.claims.want_start(frontier);
    }

    /// Whether attempts may begin: the same for all partitions of the worker.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Where the partition should have begun, if the shard said so and nothing is claimed.
    pub(super) fn wanted_start(&self) -> Option<i64> {
        let unclaimed = self.standing().is_none();
        self.claims.wanted_start().filter(|_| unclaimed)
    }

    /// What may be committed; none before [`Progress::own`].
    pub(super) fn standing(&self) -> Option<Standing> {
        // The frontier is read before the claim: one that rests on rows of a new epoch is never
        // committed under the old one.
        let frontier = self.frontier();
        self.claims.standing(frontier)
    }

    /// The epoch and the configuration that commits carry.
    #[cfg(test)]
    pub(crate) fn claimed(&self) -> Option<(Epoch, Option<Revision>)> {
        self.standing()
            .map(|standing| (standing.epoch, standing.cfg))
    }

    /// Whether the shard waits for a commit at this offset or below under this configuration; it waits
    /// no more then.
    pub(super) fn arrived(&self, committed: i64, cfg: Option<Revision>) -> bool {
        self.claims.arrived(committed, cfg)
    }

    /// Everything below `frontier` may be committed. Never goes back: a lower value changes nothing.
    pub fn raise_frontier(&self, frontier: i64) {
        self.frontier.fetch_max(frontier, Ordering::Release);
    }

    /// The offset that may be committed.
    pub fn frontier(&self) -> i64 {
        self.frontier.load(Ordering::Acquire)
    }

    /// Gives bytes ([`Record::cost`]) back to the budget.
    pub fn release(&self, bytes: usize) {
        let bytes = as_i64(bytes);
        self.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.worker.subtract(bytes);
    }

    /// Bytes that were handed over and not released.
    pub fn in_flight_bytes(&self) -> i64 {
        self.in_flight_bytes.load(Ordering::Relaxed)
    }

    /// An attempt takes so many of them ([`Record::cost`]); what it returns is kept until the attempt
    /// is over.
    pub fn set_out(self: &Arc<Self>, bytes: usize) -> OnWay {
        let bytes = as_i64(bytes);
        self.on_way_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.worker.set_out(bytes);
        OnWay {
            bytes,
            progress: Arc::clone(self),
        }
    }

    /// Bytes in flight, and those that attempts have taken.
    pub(super) fn load(&self) -> Load {
        Load {
            held: self.in_flight_bytes(),
            on_way: self.on_way_bytes.load(Ordering::Relaxed),
        }
    }

    /// How much of the worker's budget of so many bytes is spent, in percent: of all of it, or of what
    /// may be read ahead, whichever is more.
    pub fn spent_percent(&self, budget: u64) -> u64 {
        self.worker.spent_percent(budget)
    }

    /// Whether reading is paused until some of its bytes are released.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Reading is paused, or goes on. The consumer thread tells.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Counts bytes as in flight. The consumer thread does this as it hands records over.
    pub fn charge(&self, bytes: usize) {
        let bytes = as_i64(bytes);
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.worker.add(bytes);
    }
}

/// Bytes of one partition's records that are on their way to a receiver.
#[derive(Debug)]
pub struct OnWay {
    bytes: i64,
    progress: Arc<Progress>,
}

impl Drop for OnWay {
    fn drop(&mut self) {
        let progress = &self.progress;
        progress
            .on_way_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        progress.worker.came_back(self.bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.worker.subtract(self.in_flight_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontier_never_goes_back() {
        let progress = Progress::detached(10);
        progress.raise_frontier(15);
        progress.raise_frontier(12);
        assert_eq!(progress.frontier(), 15);
    }

    #[test]
    fn bytes_of_a_dropped_partition_go_back_to_the_budget() {
        let worker = Arc::new(WorkerBytes::default());
        let lease = Arc::new(Lease::endless());
        let kept = Progress::new(0, worker.clone(), lease.clone());
        let dropped = Progress::new(0, worker.clone(), lease);
        kept.charge(10);
        dropped.charge(100);
        dropped.release(30);
        drop(dropped);
        assert_eq!(worker.load().held, 10);
    }

    #[test]
    fn bytes_are_on_their_way_until_the_attempt_is_over() {
        let worker = Arc::new(WorkerBytes::default());
        let progress = Progress::new(0, worker.clone(), Arc::new(Lease::endless()));
        let progress = Arc::new(progress);
        progress.charge(1_000);
        let [first, second] = [200, 300].map(|bytes| progress.set_out(bytes));
        let of = |on_way| Load {
            held: 1_000,
            on_way,
        };
        assert_eq!((progress.load(), worker.load()), (of(500), of(500)));
        drop(first);
        assert_eq!((progress.load(), worker.load()), (of(300), of(300)));
        drop(second);
        assert_eq!((progress.load(), worker.load()), (of(0), of(0)));
    }

    #[test]
    fn what_is_spent_counts_against_all_or_against_what_may_be_ahead() {
        let worker = Arc::new(WorkerBytes::default());
        let progress = Progress::new(0, worker.clone(), Arc::new(Lease::endless()));
        let progress = Arc::new(progress);
        progress.charge(400);
        assert_eq!(progress.spent_percent(1_000), 40, "nobody has set a limit");
        worker.allow_ahead(500);
        assert_eq!(progress.spent_percent(1_000), 80);
        let sent = progress.set_out(200);
        assert_eq!(progress.spent_percent(1_000), 40, "100 are ahead");
        drop(sent);
        assert_eq!(progress.spent_percent(1_000), 80);
    }
}
