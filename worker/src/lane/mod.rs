//! Lanes: the ordered queues of one (target, topic, partition) each.
//!
//! ```text
//!   source ──▶ driver ──▶ shard ──▶ partition ──▶ lanes ──▶ transaction ──▶ delivery
//!   (records)  (async)    (sync)    (ledger)      (queue, machine)             │
//!                 ▲                                                            │
//!                 └──────────────────────── attempts ◀─────────────────────────┘
//! ```
//!
//! A source partition lives on one shard with all its lanes, so nothing here is locked. `driver` is
//! the only file that waits; everything else is told what happened and when.

pub mod driver;
pub mod due;
#[cfg(test)]
mod explore;
pub mod machine;
mod matching;
pub mod pace;
pub mod partition;
pub mod queue;
pub mod request;
pub mod shard;
pub mod stamp;
pub mod target;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Instant;

use futures::future::AbortHandle;
use uuid::Uuid;

use crate::router::filter::Filter;
use crate::source::record::Record;
use machine::Machine;
use queue::Queue;
use stamp::Stamp;

/// Where a lane is. `id` is never used twice on a shard, so what comes late for a lane that has
/// ended finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneKey {
    /// Slot of the partition.
    pub slot: u32,
    /// Place in the partition's table.
    pub index: u32,
    /// Identity on this shard.
    pub id: u64,
}

/// One lane. Small while it is live: what waits is in the ledger.
#[derive(Debug)]
pub struct Lane {
    /// Identity on this shard.
    pub id: u64,
    /// The target.
    pub uid: Uuid,
    /// What it wants of the topic; none wants all.
    pub filter: Option<Rc<Filter>>,
    /// Events below this offset are not for this lane.
    pub from: i64,
    /// The target no longer reads this topic: what waits is delivered, nothing is added.
    pub ending: bool,
    /// What is not done.
    pub queue: Queue,
    /// Where it stands.
    pub machine: Machine<Record>,
    /// Whether the shard is about to look at it.
    pub restless: bool,
    /// When the shard looks at it again, if it will.
    pub wake: Option<Instant>,
    /// Ends the attempt in flight.
    pub abort: Option<AbortHandle>,
    /// What is the same in all its transactions.
    pub stamp: Stamp,
}

impl Lane {
    /// Whether the lane wants a record that was just read.
    pub fn wants(&self, record: &Record) -> bool {
        !self.ending
            && record.offset >= self.from
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(record))
    }
}
