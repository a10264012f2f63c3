//! The records of one wake-up, gathered by partition.
//!
//! Owns the cutting of records out of librdkafka's fetch buffers, and the bounds of one wake-up. A
//! record costs one comparison while the partition stays the same, which it does for long runs.

use rdkafka::message::{BorrowedMessage, Message, Timestamp as KafkaTimestamp};
use rdkafka::types::RDKafkaTopic;

use super::ffi::RecordHeaders;
use super::record::{Cutting, RECORD_OVERHEAD_BYTES, Record, Timestamp};

/// Most records of one wake-up: shards get work after at most about a millisecond of reading.
pub(super) const WAKE_UP_RECORDS: usize = 1_000;

/// Most bytes of one wake-up. The budget is looked at between wake-ups.
pub(super) const WAKE_UP_BYTES: usize = 1 << 20;

/// Where the records of a partition go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its slot.
    pub(super) slot: u32,
    /// The next offset that is wanted; what is below has been handed over already.
    pub(super) next: i64,
    /// Bytes it may still take before it must be paused.
    pub(super) room: i64,
}

/// Records of one partition.
#[derive(Debug)]
pub(super) struct Run {
    /// The partition's slot.
    pub(super) slot: u32,
    /// The records, in offset order.
    pub(super) records: Cutting,
    /// The offset after the last of them.
    pub(super) next: i64,
    /// What they count against the budget.
    pub(super) cost: usize,
    /// Their keys, values and headers.
    pub(super) bytes: usize,
    topic: *const RDKafkaTopic,
    partition: i32,
    room: i64,
}

/// The records of one wake-up.
#[derive(Debug, Default)]
pub(super) struct Batch {
    runs: Vec<Run>,
    current: usize,
    records: usize,
    cost: usize,
    spent: bool,
}

impl Batch {
    /// Takes a record. `place` is asked once a partition, not once a record; a record of a partition
    /// without a place is dropped.
    pub(super) fn take(
        &mut self,
        message: &BorrowedMessage<'_>,
        place: impl FnOnce(&str, i32) -> Option<Place>,
    ) {
        let (topic, partition) = (message.topic_ptr().cast_const(), message.partition());
        let same = |run: &Run| run.partition == partition && run.topic == topic;
        if !self.runs.get(self.current).is_some_and(same) {
            self.current = match self.runs.iter().position(same) {
                Some(index) => index,
                None => {
                    let Some(place) = place(message.topic(), partition) else {
                        return;
                    };
                    self.runs.push(Run::new(place, topic, partition));
                    self.runs.len() - 1
                }
            };
        }
        let Some(run) = self.runs.get_mut(self.current) else {
            return;
        };
        if message.offset() < run.next {
            return;
        }
        let cost = run.push(message);
        self.records += 1;
        self.cost += cost;
        self.spent |= run.room <= 0;
    }

    /// Whether the wake-up has taken its fill, or a partition must be paused. `room` is what the
    /// worker's budget still allows.
    pub(super) fn is_full(&self, room: i64) -> bool {
        self.spent
            || self.records >= WAKE_UP_RECORDS
            || self.cost >= WAKE_UP_BYTES
            || i64::try_from(self.cost).unwrap_or(i64::MAX) >= room
    }

    /// Whether nothing was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The records by partition; each slot once.
    pub(super) fn into_runs(self) -> impl Iterator<Item = Run> {
        self.runs.into_iter().filter(|run| !run.records.is_empty())
    }
}

impl Run {
    fn new(place: Place, topic: *const RDKafkaTopic, partition: i32) -> Self {
        Self {
            slot: place.slot,
            records: Cutting::default(),
            next: place.next,
            cost: 0,
            bytes: 0,
            topic,
            partition,
            room: place.room,
        }
    }

    fn push(&mut self, message: &BorrowedMessage<'_>) -> usize {
        let cost = self.records.cut(
            (message.offset(), timestamp(message)),
            message.key(),
            message.payload(),
            RecordHeaders::of(message),
        );
        self.next = message.offset() + 1;
        self.cost += cost;
        self.bytes += cost - RECORD_OVERHEAD_BYTES;
        self.room -= i64::try_from(cost).unwrap_or(i64::MAX);
        cost
    }
}

/// A record of our own, cut out of librdkafka's fetch buffer.
pub(crate) fn cut(message: &BorrowedMessage<'_>) -> Record {
    Record::new(
        message.offset(),
        timestamp(message),
        message.key(),
        message.payload(),
        RecordHeaders::of(message),
    )
}

fn timestamp(message: &BorrowedMessage<'_>) -> Timestamp {
    match message.timestamp() {
        KafkaTimestamp::NotAvailable => Timestamp::Missing,
        KafkaTimestamp::CreateTime(millis) => Timestamp::Created(millis),
        KafkaTimestamp::LogAppendTime(millis) => Timestamp::Appended(millis),
    }
}
