//! The words that a lane's machine and its shard share.

use std::time::Instant;

use parcelhook_crds::lane::{Epoch, LastFailure, NotBefore};

use super::given_up::{Ages, WhyGivenUp};

/// An event as the machine sees it.
pub trait Event {
    /// Offset in the source partition.
    fn offset(&self) -> i64;
    /// Bytes it holds in memory.
    fn cost(&self) -> usize;
    /// Whether only its place is left: it cannot be sent.
    fn is_gone(&self) -> bool {
        false
    }
    /// Whether only its place is parked: its source topic decides how long there is more.
    fn is_elsewhere(&self) -> bool {
        false
    }
}

/// When the next attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// Then: for waiting, and as milliseconds since the Unix epoch for whoever reads the row.
    At(Instant, i64),
    /// Not by itself.
    Never,
}

impl Due {
    /// Whether it has come.
    pub fn has_come(self, now: Instant) -> bool {
        match self {
            Self::At(at, _) => at <= now,
            Self::Never => false,
        }
    }

    /// As rows say it.
    pub fn not_before(self) -> NotBefore {
        match self {
            Self::At(_, unix) => NotBefore::At(unix),
            Self::Never => NotBefore::Never,
        }
    }
}

/// A transaction that was sent: how many events, and which they span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Events.
    pub events: u32,
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
}

/// What the machine must know of its partition to leave live.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The partition's epoch.
    pub epoch: Epoch,
    /// An offset of the bucket that is not above its end.
    pub bucket_end: i64,
    /// Milliseconds since the Unix epoch.
    pub unix: i64,
    /// Offset of the lane's oldest event that is not delivered; with none, the partition's position.
    pub first: i64,
}

/// A failed attempt.
#[derive(Clone, Debug)]
pub struct Failed {
    /// When the next may be made.
    pub due: Due,
    /// For the row.
    pub failure: LastFailure,
}

/// What follows the end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum After {
    /// The queue's oldest events are done.
    Done {
        /// How many.
        events: u32,
    },
    /// Ask [`Machine::work`](super::Machine::work).
    Work,
}

/// What the lane has to do now, besides attempts while it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Produce the lane's row: [`Machine::write_row`](super::Machine::write_row).
    WriteRow,
    /// Produce a run that begins behind the queue's first `skip` events: [`Machine::park`](super::Machine::park).
    Park {
        /// Events that are on their way already.
        skip: u64,
    },
    /// Read the bucket: [`Machine::begin_drain`](super::Machine::begin_drain).
    BeginDrain,
    /// Let the reader send more: [`Machine::more`](super::Machine::more).
    More,
    /// Send drained events: [`Machine::drainable`](super::Machine::drainable), [`Machine::start_drain`](super::Machine::start_drain).
    Attempt,
    /// Produce a dead letter: [`Machine::give_up`](super::Machine::give_up).
    GiveUp,
    /// Stop reading: [`Machine::rest`](super::Machine::rest).
    Rest,
    /// Produce the tombstone: [`Machine::tombstone`](super::Machine::tombstone).
    Tombstone,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A run.
    Park,
    /// The lane's row.
    Row,
    /// The lane's tombstone: the lane is live.
    Tombstone,
    /// A dead letter.
    DeadLetter(WhyGivenUp),
}

/// What the machine is told of the lane's queue when it is asked for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The queue's events, those on their way into the retry topic included.
    pub waiting: u64,
    /// So much waits that it must not be held for a cut-over.
    pub hold_is_full: bool,
    /// Whether a run may be produced now.
    pub may_park: bool,
    /// Bytes of parked events that all lanes together leave this one.
    pub room_most: usize,
    /// Offset of the next event of the source: what is below and not in the retry topic will not come.
    pub position: i64,
    /// What is too old.
    pub ages: Ages,
    /// Whether a commit carries the owner's epoch: a successor finds the rows that it has written.
    pub counts: bool,
}
