//! What the lanes of a partition know of the group's commit.
//!
//! Owns how far it was told. The consumer tells the first commit of an ownership, and others when somebody
//! asks; a lane asks while it waits for one, and is stirred by the answer.

use parcelhook_crds::lane::Epoch;

use super::partition::Partition;
use super::shard::Shard;
use super::{Lane, LaneKey};

/// The last commit of the present ownership that was told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Committed {
    offset: i64,
    epoch: Option<Epoch>,
}

impl Partition {
    /// Whether a commit carries the present owner's epoch.
    pub(super) fn counts(&self) -> bool {
        self.own
            .is_some_and(|own| self.committed.epoch == Some(own.epoch))
    }
}

impl<P> Shard<P> {
    /// The group's commit is at this offset, under this epoch.
    pub(super) fn commit_told(&mut self, slot: u32, epoch: Epoch, offset: i64) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return;
        };
        partition.committed = Committed {
            offset: partition.committed.offset.max(offset),
            epoch: Some(epoch),
        };
        let awaits = |(key, lane): (LaneKey, &Lane)| lane.machine.awaits_commit().map(|_| key);
        let waiting: Vec<LaneKey> = partition.lanes().filter_map(awaits).collect();
        waiting.into_iter().for_each(|key| self.stir(key));
    }

    /// A lane that is looked at hears of it.
    pub(super) fn hear_commit(&mut self, key: LaneKey) {
        if let Some(partition) = self.partitions.get_mut(&key.slot) {
            let offset = partition.committed.offset;
            if let Some(lane) = partition.lane_mut(key) {
                lane.machine.committed(offset);
            }
        }
    }

    /// A lane that waits for a commit asks for it.
    pub(super) fn ask_for_commit(&self, key: LaneKey) {
        let partition = self.partitions.get(&key.slot);
        let awaited = partition.and_then(|partition| {
            let lane = partition.lane(key)?;
            Some((partition, lane.machine.awaits_commit()?))
        });
        if let Some((partition, offset)) = awaited {
            partition.progress().tell_committed_from(offset);
        }
    }
}
