//! The retry topic: where a failing target's events wait, in Kafka and in order.
//!
//! ```text
//!   shard ── Order ──▶ produce ──▶ <p>.retry, <p>.lanes, <p>.dead-letter
//!     ▲                   │
//!     ├──── Produced ─────┘            (acks, in order a lane)
//!     │
//!     ├──── Drained ────── reader ◀──── <p>.retry
//!     └──── Scan ────────────▲
//! ```
//!
//! This file owns the words that shards, producer and reader use with each other. What a lane does
//! with them is decided in [`crate::lane`].

pub mod bucket;
pub mod dead_letter;
pub mod format;
pub mod produce;
pub mod reader;

use std::sync::Arc;

use parcelhook_crds::lane::{Incarnation, LaneName, LaneRow, ParkReason, RowKey, Terminator};

pub use parcelhook_kafka::topics::{self, Names};

use crate::source::record::Record;
use crate::source::{PartitionId, TopicId};

/// Most events of one parked record.
pub const RUN_EVENTS: usize = 100;

/// Where an answer belongs: a lane of a shard, or a partition of it. Numbers are the shard's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Slot of the source partition.
    pub slot: u32,
    /// Identity of the lane on its shard; none for what concerns the partition.
    pub lane: Option<LaneSeat>,
    /// Counts the orders of one lane or partition.
    pub number: u64,
}

/// A lane's place in its partition's table. `id` is never used twice on a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneSeat {
    /// Place in the table.
    pub index: u32,
    /// Identity on the shard.
    pub id: u64,
}

/// What is the same in everything that is parked for one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneAddress {
    /// Target and selection.
    pub name: LaneName,
    /// The source partition.
    pub source: PartitionId,
    /// The source topic's id, when the cluster tells one.
    pub topic_id: Option<TopicId>,
    /// Partition of the retry topic.
    pub bucket: i32,
}

/// Events of one lane on their way into the retry topic, as one record of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The lane.
    pub lane: Arc<LaneAddress>,
    /// The DOWN period.
    pub incarnation: Incarnation,
    /// Why they wait.
    pub reason: ParkReason,
    /// Last source offset that was parked before in this incarnation by this owner.
    pub prev: Option<i64>,
    /// Failed attempts in a row, when it was parked.
    pub attempts: u32,
    /// When the lane's first attempt failed, milliseconds since the Unix epoch.
    pub first_failed_at: Option<i64>,
    /// When the next attempt may be made, milliseconds since the Unix epoch; none is never.
    pub not_before: Option<i64>,
    /// Reason and status of the last failure, for people.
    pub last_error: Option<String>,
    /// 1 to [`RUN_EVENTS`] events in offset order.
    pub events: Vec<Record>,
}

impl Run {
    /// First and last source offset.
    pub fn offsets(&self) -> Option<(i64, i64)> {
        Some((self.events.first()?.offset, self.events.last()?.offset))
    }
}

/// An event that is given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The lane.
    pub lane: Arc<LaneAddress>,
    /// Topic of the target's own; none is the worker group's.
    pub topic: Option<Arc<str>>,
    /// Why: one CamelCase word.
    pub reason: &'static str,
    /// Status of the last response.
    pub status: Option<u16>,
    /// Attempts that were made.
    pub attempts: u32,
    /// When the lane's first attempt failed, milliseconds since the Unix epoch.
    pub first_attempt: Option<i64>,
    /// When its last attempt failed.
    pub last_attempt: Option<i64>,
    /// The event, untouched; none when only its place is known.
    pub event: Result<Record, SourceOffset>,
}

/// An event of which only the place is known: its body was too large to park and is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceOffset(pub i64);

/// Something to be written. Orders of one lane are written in the order in which they are given.
#[derive(Debug)]
pub enum Order {
    /// Park events.
    Park(Box<Run>),
    /// Park the place of one event that was refused as too large: the run holds it alone.
    ParkReference(Box<Run>),
    /// Write a lane's row; none says that it is live again.
    Row(RowKey, Option<Box<LaneRow>>),
    /// Write an epoch's terminator; none takes it away.
    Terminator(RowKey, Option<Terminator>),
    /// Give an event up.
    DeadLetter(Box<DeadLetter>),
}

/// What became of an order.
#[derive(Clone, Debug)]
pub struct Produced {
    /// Whose order it was.
    pub ticket: Ticket,
    /// Offset in the partition it was written to.
    pub result: Result<i64, Refused>,
}

/// Why an order was not carried out. It may have been all the same, except [`Refused::TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The record is larger than the broker takes.
    #[error("the record is larger than the topic takes")]
    TooLarge,
    /// The producer holds as much as it may.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The broker or librdkafka refused this record.
    #[error("the write was refused")]
    Failed,
    /// The producer failed for good and was replaced: owned partitions with rows take a new epoch.
    #[error("the producer failed and was replaced")]
    ProducerReplaced,
}

/// A lane that reads the retry topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DrainKey {
    /// The shard that the lane lives on.
    pub shard: u32,
    /// Slot of its partition.
    pub slot: u32,
    /// The lane.
    pub lane: LaneSeat,
    /// Counts the drains of this lane: what comes for an earlier one is thrown away.
    pub drain: u32,
}

/// What a shard asks of the reader.
#[derive(Clone, Debug)]
pub enum Scan {
    /// Read the lane's records from an offset of its bucket, or from the start of the log when that is
    /// later. At most `room` bytes ([`ParkedRun::size`]) are sent before the lane asks for more, and
    /// the rest of the last record, which may be larger than what was left.
    Begin {
        /// Who reads.
        key: DrainKey,
        /// Which records.
        lane: Arc<LaneAddress>,
        /// First offset in the bucket.
        from: i64,
        /// Bytes the lane takes.
        room: usize,
    },
    /// The lane has taken this many bytes more.
    More {
        /// Who reads.
        key: DrainKey,
        /// Bytes the lane takes on top of what is left.
        room: usize,
    },
    /// The lane reads no more.
    End {
        /// Who read.
        key: DrainKey,
    },
    /// Where a bucket ends now.
    Bucket {
        /// Whose question it is.
        ticket: Ticket,
        /// The shard that asks.
        shard: u32,
        /// The bucket.
        bucket: i32,
    },
}

/// What the reader tells a shard.
#[derive(Debug)]
pub enum Read {
    /// Records of a lane, in the bucket's order.
    Drained {
        /// Who reads.
        key: DrainKey,
        /// The lane's records; may be empty.
        runs: Vec<ParkedRun>,
        /// Every record of the lane below this offset of the bucket has been sent.
        scanned_to: i64,
    },
    /// The bucket's log begins later than the lane asked for: retention, or loss. Or it begins
    /// earlier and ends before what the lane asked for: its tail was lost, or it is another log, and
    /// all of it is read again. Either way the lane's records from `log_start` on follow.
    Cut {
        /// Who reads.
        key: DrainKey,
        /// First offset of the bucket.
        log_start: i64,
    },
    /// Where a bucket ends.
    Bucket {
        /// Whose question it was.
        ticket: Ticket,
        /// Offset after its last record.
        end: i64,
    },
}

/// A record of the retry topic, read back.
#[derive(Clone, Debug)]
pub struct ParkedRun {
    /// Its offset in the bucket.
    pub offset: i64,
    /// When it was parked: the broker's clock, milliseconds since the Unix epoch.
    pub parked_at: i64,
    /// The DOWN period.
    pub incarnation: Incarnation,
    /// First and last source offset.
    pub offsets: (i64, i64),
    /// Last source offset that was parked before it in its incarnation by its owner.
    pub prev: Option<i64>,
    /// When the lane's first attempt failed, milliseconds since the Unix epoch.
    pub first_failed_at: Option<i64>,
    /// The events.
    pub body: ParkedBody,
}

/// What a parked record holds.
#[derive(Clone, Debug)]
pub enum ParkedBody {
    /// The events, in offset order.
    Events(Vec<Record>),
    /// One event that was too large: it is still in the source topic, if that has kept it. The reader
    /// fetches it before it hands the record over.
    Reference,
    /// One event that was too large, as its source topic had it.
    Fetched(Record),
    /// One event that was too large and that its source topic has no more.
    Gone,
}

impl ParkedRun {
    /// Bytes it holds in memory, and what it counts against a lane's room: never 0.
    pub fn size(&self) -> usize {
        let events = match &self.body {
            ParkedBody::Events(events) => events.iter().map(Record::cost).sum(),
            ParkedBody::Fetched(event) => event.cost(),
            ParkedBody::Reference | ParkedBody::Gone => 0,
        };
        size_of::<Self>() + events
    }
}
