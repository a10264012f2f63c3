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

mod absent;
mod attempts;
mod bodies;
mod commits;
mod drained;
mod drains;
pub mod driver;
pub mod due;
mod ephemeral;
mod expiry;
#[cfg(test)]
mod explore;
mod gate;
mod gather;
mod inheriting;
mod leaving;
mod line;
pub mod machine;
mod matching;
mod orders;
pub mod outlet;
mod own;
pub mod pace;
mod parking;
pub mod partition;
mod pressure;
pub mod queue;
mod read_back;
mod recovering;
mod reporting;
pub mod request;
mod requests;
pub mod shard;
pub mod stamp;
pub mod surroundings;
pub mod takeover;
mod taking_over;
pub mod target;
#[cfg(test)]
mod tests;
mod unacked;
mod upkeep;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures::future::AbortHandle;
use uuid::Uuid;

use crate::park::{LaneAddress, LaneSeat};
use crate::router::filter::Filter;
use crate::source::record::Record;
use crate::state::recovery::NotLive;
use crate::transaction::selection::Selection;
use absent::Orphan;
use ephemeral::Ephemeral;
use gate::Held;
use machine::{Machine, WhyGivenUp};
use pressure::Mark;
use queue::Queue;
pub use read_back::ReadBack;
use stamp::Stamp;

/// Where a lane is. `id` is never used twice on a shard, so what comes late for a lane that has
/// ended finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    pub machine: Machine<ReadBack>,
    /// Whether the shard is about to look at it.
    pub restless: bool,
    /// What of it waits for a commit: nothing of that is sent or parked.
    pub held: Held,
    /// When the shard looks at it again, if it will.
    pub wake: Option<Instant>,
    /// Ends the attempt in flight.
    pub abort: Option<AbortHandle>,
    /// What is the same in all its transactions.
    pub stamp: Stamp,
    /// What it selects from the topic.
    pub selection: Selection,
    /// How fast it works through what waits.
    pub mark: Mark,
    /// Its failures, when its events are dropped and not parked.
    pub ephemeral: Option<Box<Ephemeral>>,
    /// What it has while it is not live.
    pub away: Option<Box<Away>>,
}

/// What a lane that is not live has on its shard, beside its machine's backlog.
#[derive(Debug)]
pub struct Away {
    /// What is the same in everything that is parked for it.
    pub address: Arc<LaneAddress>,
    /// The reading of the bucket that the reader knows of.
    pub drain: Option<u32>,
    /// Bytes of parked events that it counts for.
    pub room: usize,
    /// When it began to drain.
    pub turn: Option<Instant>,
    /// Until when events wait for more to share a parked record.
    pub gathers_until: Option<Instant>,
    /// Whether it was told that the lane stopped at a gap.
    pub stopped: bool,
    /// Counts the lane with its target; none when this worker does not know the target.
    pub count: Option<NotLive>,
    /// Its oldest event has been parked for half the time that it is kept.
    pub at_risk: bool,
    /// The reading, and the reason, for which it was last told that events are given up.
    pub told_given_up: Option<(u32, WhyGivenUp)>,
    /// What the lane lives by when its target is not known here.
    pub orphan: Option<Box<Orphan>>,
}

impl Away {
    /// Of a lane that has just left live.
    pub fn new(address: LaneAddress) -> Self {
        Self {
            address: Arc::new(address),
            drain: None,
            room: 0,
            turn: None,
            gathers_until: None,
            stopped: false,
            count: None,
            at_risk: false,
            told_given_up: None,
            orphan: None,
        }
    }
}

impl LaneKey {
    /// The lane's place within its partition.
    pub fn seat(self) -> LaneSeat {
        LaneSeat {
            index: self.index,
            id: self.id,
        }
    }

    /// The lane with that seat in the partition of that slot.
    pub fn at(slot: u32, seat: LaneSeat) -> Self {
        Self {
            slot,
            index: seat.index,
            id: seat.id,
        }
    }
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
