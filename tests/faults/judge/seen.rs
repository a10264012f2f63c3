//! What is seen during a run, in one order: the judge's only input, and the lines of the journal.

use serde::{Deserialize, Serialize};

use crate::source::Place;

/// A worker process; a number that is never used again.
pub(crate) type WorkerNumber = u32;

/// A request; numbers are unique over all receivers.
pub(crate) type RequestNumber = u64;

/// The lane of a target at a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) target: u8,
    pub(crate) place: Place,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// The events of a partition below `end` are in Kafka.
    Produced { place: Place, end: i64 },
    /// A request was complete. Seen before it is answered.
    Arrived(Arrived),
    /// A request that is none of ours, or not as it was written.
    Foreign { target: u8, what: String },
    /// The request is about to be answered; the worker is still there. Seen before the first byte is
    /// sent.
    Answered {
        request: RequestNumber,
        status: u16,
        retry_after_ms: u64,
    },
    /// The exchange ended without an answer, or within one.
    Cut { request: RequestNumber, by: Side },
    /// Something happened to a worker.
    Worker {
        worker: WorkerNumber,
        change: WorkerChange,
    },
    /// Brokers begin or cease to be disturbed.
    Kafka { disturbed: bool },
    /// All targets begin or cease to hang that can be disturbed.
    Others { hang: bool },
    /// A target's manifest was changed.
    Configured { target: u8 },
    /// The group's committed offset of a partition: the next one to read.
    Committed {
        look: u64,
        place: Place,
        offset: i64,
        /// The epoch in its metadata: rows that were written under it count.
        epoch: Option<String>,
    },
    /// A parked run of a lane lies in the retry topic; offsets of the source, both included.
    Parked {
        lane: Lane,
        first: i64,
        last: i64,
        /// The DOWN period that it belongs to.
        incarnation: String,
        /// What it says was parked before it.
        prev: Option<i64>,
        /// Partition and offset in the retry topic.
        bucket: i32,
        at: i64,
        /// Only its place is parked.
        reference: bool,
    },
    /// A lane's row in the lanes topic was written under an epoch, or taken away by a tombstone.
    Row {
        lane: Lane,
        epoch: String,
        /// When, by the brokers' word.
        written_ms: u64,
        row: Option<RowSeen>,
    },
    /// An event's dead letter lies in its topic.
    Letter {
        lane: Lane,
        offset: i64,
        /// When, by the brokers' word.
        written_ms: u64,
    },
    /// The workers' own topics were read beyond where they ended when that look had been taken, or
    /// later: at `asked_ms`.
    Tailed { look: u64, asked_ms: u64 },
}

/// What a lane's row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowSeen {
    /// The runs that count.
    pub(crate) incarnation: String,
    /// The last offset that a successor passes over.
    pub(crate) delivered_through: i64,
    /// Whether the lane was over its budget, with an attempt in flight that is parked as well.
    pub(crate) insured: bool,
    /// Whether the lane was over its budget.
    pub(crate) overflowed: bool,
    /// Whether the target is suspended.
    pub(crate) suspended: bool,
    /// Partition of the retry topic, and the offset in it below which nothing is needed.
    pub(crate) bucket: i32,
    pub(crate) resume_offset: i64,
}

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) request: RequestNumber,
    pub(crate) lane: Lane,
    /// Offsets of the events, in their order in the body.
    pub(crate) offsets: Vec<i64>,
    pub(crate) worker: WorkerNumber,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// The transaction's id.
    pub(crate) transaction: String,
    /// Whether the receiver takes the events, whatever it answers.
    pub(crate) processed: bool,
    /// How long ago its first event was written, milliseconds.
    pub(crate) waited_ms: u64,
}

/// Who ended an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    /// The receiver.
    Receiver,
    /// The worker, or the kernel for a worker that died.
    Worker,
}

/// What happens to a worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WorkerChange {
    Started,
    /// By SIGKILL, of ours or of a failpoint.
    Killed,
    /// Asked to end.
    Terminated,
    /// Stopped where it stood.
    Frozen,
    /// Goes on.
    Thawed,
    /// Its link to the brokers is bad, or it can open no connection.
    Hampered,
    /// No longer.
    Free,
}
