//! The reader's consumer: made, set on buckets, closed.
//!
//! Owns which buckets are assigned, and the properties that the protocol depends on. A bucket is
//! always set on a place by taking it out of the assignment and putting it back: a seek fails once
//! librdkafka has stopped a partition, as it does after an offset out of range. What was fetched
//! before never comes after that: taking it out makes all of it outdated before the call returns.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parcelhook_kafka::{ByHand, by_hand};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::ask::Asker;
use super::bucket::Move;
use super::fetch::Fetcher;
use super::{ReaderConfig, ReaderError};
use crate::clock;
use crate::source::cached_log_end;

/// Properties of the reader's consumer, whatever is configured for the worker's clients.
const OWNED: [(&str, &str); 10] = [
    // Lanes know where their buckets end.
    ("enable.partition.eof", "false"),
    // How long a bucket whose fetch found the queue full waits. The default is a whole second.
    ("fetch.queue.backoff.ms", "5"),
    // How long a broker holds an empty fetch back. A bucket that is set on a place waits for that
    // before its first fetch, and so do questions. Only lanes that drain cause fetches.
    ("fetch.wait.max.ms", "20"),
    ("fetch.min.bytes", "1"),
    // A bucket's share of one answer: sixteen buckets fill it, so a probe does not wait for others'
    // backlogs, and little is thrown away when it ends. A larger record is still fetched, alone.
    ("fetch.message.max.bytes", "262144"),
    ("fetch.max.bytes", "4194304"),
    // What may be fetched and not read: it is thrown away when a bucket is left.
    ("queued.max.messages.kbytes", "2048"),
    ("queued.min.messages", "5000"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    // Lanes wait for a broker that comes back; the default is ten seconds.
    ("reconnect.backoff.max.ms", "2000"),
];

pub(super) fn connect(config: &ReaderConfig) -> Result<ByHand, ReaderError> {
    by_hand(&config.client, &config.group, &OWNED).map_err(ReaderError::configuration)
}

/// The consumer and the buckets that it is set on.
pub(super) struct Seats {
    consumer: Arc<ByHand>,
    topic: Arc<str>,
    /// Whether the consumer's position is known to be one of the bucket's present place.
    assigned: BTreeMap<i32, Cell<bool>>,
}

impl Seats {
    /// Makes a consumer that reads nothing yet.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub(super) fn new(config: &ReaderConfig) -> Result<Self, ReaderError> {
        Ok(Self {
            consumer: Arc::new(connect(config)?),
            topic: config.topic.clone(),
            assigned: BTreeMap::new(),
        })
    }

    pub(super) fn consumer(&self) -> &Arc<ByHand> {
        &self.consumer
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Sets buckets on places, or takes them out.
    ///
    /// # Errors
    /// When librdkafka refuses, which it does only when it cannot go on.
    pub(super) fn carry_out(&mut self, moves: &[(i32, Move)]) -> KafkaResult<()> {
        let mut out = TopicPartitionList::new();
        let mut back = TopicPartitionList::new();
        for (bucket, planned) in moves {
            if *planned == Move::Stay {
                continue;
            }
            if self.assigned.remove(bucket).is_some() {
                out.add_partition(&self.topic, *bucket);
            }
            if let Move::Seat(from) = planned {
                back.add_partition_offset(&self.topic, *bucket, Offset::Offset(*from))?;
                self.assigned.insert(*bucket, Cell::new(false));
            }
        }
        if out.count() > 0 {
            self.consumer.incremental_unassign(&out)?;
        }
        if back.count() > 0 {
            self.consumer.incremental_assign(&back)?;
        }
        Ok(())
    }

    /// Waits for a record. [`Self::read`] is told of it.
    pub(super) fn poll(&self, wait: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        self.consumer.poll(wait)
    }

    /// Where a bucket ends by the last fetch.
    pub(super) fn log_end(&self, bucket: i32) -> Option<i64> {
        cached_log_end(&self.consumer, &self.topic, bucket)
    }

    /// A record of the bucket was read.
    pub(super) fn read(&self, bucket: i32) {
        if let Some(known) = self.assigned.get(&bucket) {
            known.set(true);
        }
    }

    /// How far buckets were read, markers included, by the consumer's own account. Its positions are
    /// believed once one was seen to be of the present place: for a moment they are of the last.
    pub(super) fn positions(&self) -> BTreeMap<i32, i64> {
        let Ok(list) = self.consumer.position() else {
            return BTreeMap::new();
        };
        let mut positions = BTreeMap::new();
        for element in list.elements() {
            let bucket = element.partition();
            let Some(known) = self.assigned.get(&bucket) else {
                continue;
            };
            match element.offset() {
                Offset::Offset(offset) if known.get() => {
                    positions.insert(bucket, offset);
                }
                // Forgotten when the last place was left, and not read since.
                Offset::Invalid => known.set(true),
                Offset::Offset(_)
                | Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::OffsetTail(_) => {}
            }
        }
        positions
    }
}

/// Closes a consumer that failed, on a thread of its own: librdkafka can hang in this.
pub(super) fn discard(seats: Seats) {
    let closing = std::thread::Builder::new()
        .name("drain-discard".to_owned())
        .spawn(move || drop(seats));
    if let Err(error) = closing {
        tracing::warn!(%error, "a failed client of the retry topic was closed in place");
    }
}

/// Closes the consumer and ends the threads that ask and fetch. Each can take long; past the deadline they are
/// left to themselves on their own thread.
pub(super) fn close(seats: Seats, asker: Asker, fetcher: Fetcher, deadline: Instant) {
    let (done, closed) = sync_channel(1);
    let closing = std::thread::Builder::new()
        .name("drain-close".to_owned())
        .spawn(move || {
            asker.join();
            fetcher.join();
            drop(seats);
            // Nobody listens past the deadline.
            let _ = done.send(());
        });
    let left = deadline.saturating_duration_since(clock::now());
    if closing.is_err() || closed.recv_timeout(left).is_err() {
        tracing::warn!("the reader of the retry topic did not close in time");
    }
}
