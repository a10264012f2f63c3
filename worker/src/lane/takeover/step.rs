//! What a take-over is told in the beginning, asks for on its way, and has in the end. Plain data.

use std::sync::Arc;

use parcelhook_crds::lane::{Epoch, LaneName, LaneRow};
use parcelhook_crds::revision::Revision;

use crate::park::Order;
use crate::source::Claim;
use crate::state::RowPlace;

/// What is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The consumer group.
    pub group: Arc<str>,
    /// The partition.
    pub place: RowPlace,
    /// The offset that is committed, or will be: C.
    pub frontier: i64,
}

/// What the group's commit says of the predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Predecessor {
    /// Its ownership; none without a commit of ours.
    pub epoch: Option<Epoch>,
    /// Its configuration; none when nobody numbers them.
    pub cfg: Option<Revision>,
}

/// What to do next. Numbers are never used twice in one take-over, and rise.
#[derive(Debug)]
pub enum Step {
    /// Wait for this configuration, and tell people.
    Lack(Revision),
    /// Ask the tail for the rows, with the epoch in the group's commit.
    Ask(Option<Epoch>),
    /// Ask the reader where a bucket ends.
    Bucket {
        /// Comes back in [`super::TakeOver::bucket_end`].
        number: u64,
        /// Partition of the retry topic.
        bucket: i32,
    },
    /// Write. Orders are given in the order in which they are to be written.
    Write {
        /// Comes back in [`super::TakeOver::produced`].
        number: u64,
        /// A row or the terminator.
        order: Order,
    },
    /// Claim the partition for commits ([`crate::source::Progress::own`]).
    Own(Epoch, Option<Revision>, Claim),
    /// The partition is taken over.
    Run(TakenOver),
}

/// A partition that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The ownership.
    pub epoch: Epoch,
    /// Whether a commit carries it already: what is stale may be swept.
    pub committed: bool,
    /// The lanes that are not live.
    pub lanes: Vec<InheritedLane>,
}

/// A lane that is not live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InheritedLane {
    /// Which lane.
    pub name: LaneName,
    /// What its row says.
    pub row: LaneRow,
    /// The end of its bucket at take-over: the predecessor's parks are below it.
    pub need: i64,
}

impl TakenOver {
    /// Whether rows were written under the epoch, and its terminator after them.
    pub fn is_terminated(&self) -> bool {
        self.committed && !self.lanes.is_empty()
    }
}
