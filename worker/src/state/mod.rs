//! What is known about lanes beyond one lane: health and recovery of a target over all its lanes, and
//! the rows of lanes that are not live, by which one owner of a partition follows another.
//!
//! This file owns the words that shards and the tail of the lanes topic use with each other.

pub mod health;
pub mod recovery;
#[cfg(test)]
pub mod sample;
pub mod shared;
pub mod tail;

use parcelhook_crds::lane::{Epoch, LaneName, LaneRow, RowKey};
pub use parcelhook_crds::lane::{RowPlace, table};
use uuid::Uuid;

/// What a shard asks of the tail.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A partition was assigned: which rows count? Answered once the tail has passed the end that the
    /// lanes topic has now.
    TakeOver {
        /// The shard that asks.
        shard: u32,
        /// Slot of the partition.
        slot: u32,
        /// The partition.
        place: RowPlace,
        /// The epoch in the metadata of the group's commit. None without a commit of ours: then the
        /// highest epoch that has a terminator counts.
        epoch: Option<Epoch>,
    },
    /// The first commit of `epoch` is acked: tell which rows and terminators of the partition are left
    /// from other epochs with a number not above its own, now and whenever one appears.
    Sweep {
        /// The shard that asks.
        shard: u32,
        /// Slot of the partition.
        slot: u32,
        /// The partition.
        place: RowPlace,
        /// The owner's epoch.
        epoch: Epoch,
    },
    /// The partition is this shard's no more.
    Forget {
        /// The shard that asks.
        shard: u32,
        /// Slot of the partition.
        slot: u32,
    },
}

/// What the tail tells a shard.
#[derive(Clone, Debug)]
pub enum Told {
    /// The answer to [`Ask::TakeOver`].
    Rows {
        /// Slot of the partition.
        slot: u32,
        /// The rows that count.
        rows: Vec<(LaneName, LaneRow)>,
        /// The highest epoch number in any row, terminator or the metadata; 0 when there is none.
        highest: u32,
        /// Frontier of the terminator that counts.
        frontier: Option<i64>,
    },
    /// Keys that the owner should write tombstones for.
    Stale {
        /// Slot of the partition.
        slot: u32,
        /// The keys.
        keys: Vec<RowKey>,
    },
    /// A lane of the target was delivered for the first time after failing, on another worker.
    Recovered {
        /// The target.
        target: Uuid,
    },
}
