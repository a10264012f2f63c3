//! The tail of the workers' topics: lane rows and reports, read from their beginning.
//!
//! Owns a Kafka consumer that is assigned by hand and a member of no group. It runs on a thread of its
//! own, hands on what it reads in order, and knows when it has reached the end that the topics had. While
//! brokers are away it keeps trying. Nothing is decided here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Entry;
use parcelhook_crds::report::{Heartbeat, ReportKey};
use parcelhook_kafka::connection::refusal;
use parcelhook_kafka::{ByHand, by_hand};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use crate::clock;
use crate::controller::{Input, Told};
use crate::metrics::Metrics;

/// How long one wait for a record may be: a stop is heard that soon.
const POLL: Duration = Duration::from_millis(200);

/// Records that are handed on together.
const AT_ONCE: usize = 1_000;

/// How long brokers may take to tell of partitions.
const QUESTION: Duration = Duration::from_secs(5);

/// How long to wait before the topics are begun anew.
const ANEW_AGAIN: Duration = Duration::from_secs(2);

/// The tail's part of the operator's memory; the larger part of a start is what is read then.
const OWNED: [(&str, &str); 1] = [("queued.max.messages.kbytes", "4096")];

/// What the tail needs to know.
#[derive(Clone)]
pub struct Place {
    /// librdkafka properties. May hold secrets.
    pub client: Vec<(String, String)>,
    /// The workers' consumer group.
    pub group: String,
    /// The topic of lane rows.
    pub lanes: String,
    /// The topic of reports.
    pub reports: String,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("group", &self.group)
            .field("lanes", &self.lanes)
            .field("reports", &self.reports)
            .finish_non_exhaustive()
    }
}

/// The tail, not yet running.
pub struct Tail {
    place: Place,
    consumer: ByHand,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
    /// Partitions whose end was not reached.
    behind: Option<BTreeSet<(String, i32)>>,
    begin: Option<Instant>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// librdkafka refuses the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka client cannot be made: {0}; check the settings of Kafka")]
pub struct TailError(String);

impl Tail {
    /// Makes the consumer. Brokers that cannot be reached are no error.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(
        place: Place,
        inputs: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TailError> {
        let name = format!("{}.operator-tail", place.group);
        let consumer =
            by_hand(&place.client, &name, &OWNED).map_err(|error| TailError(refusal(&error)))?;
        Ok(Self {
            place,
            consumer,
            inputs,
            metrics,
            behind: None,
            begin: Some(clock::now()),
        })
    }

    /// Reads until `stop` is set, or nobody listens. Blocks its thread.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if self.begin.is_some_and(|due| due <= clock::now()) && !self.begin_anew() {
                return;
            }
            if !self.read() {
                return;
            }
        }
    }

    /// Sets every partition on its beginning. Returns whether somebody listens.
    fn begin_anew(&mut self) -> bool {
        let begun = self.assignment().and_then(|(list, all)| {
            self.consumer.assign(&list)?;
            Ok(all)
        });
        match begun {
            Ok(all) => {
                self.begin = None;
                self.behind = Some(all);
                self.tell(Told::Anew)
            }
            Err(error) => {
                tracing::debug!(%error, "the workers' topics cannot be read yet");
                self.begin = Some(clock::now() + ANEW_AGAIN);
                true
            }
        }
    }

    fn assignment(&self) -> Result<(TopicPartitionList, BTreeSet<(String, i32)>), KafkaError> {
        let mut list = TopicPartitionList::new();
        let mut all = BTreeSet::new();
        for topic in [&self.place.lanes, &self.place.reports] {
            let metadata = self.consumer.fetch_metadata(Some(topic), QUESTION)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let partitions = found.map_or(&[][..], |found| found.partitions());
            if partitions.is_empty() {
                return Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::UnknownTopicOrPartition,
                ));
            }
            for partition in partitions {
                list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
                all.insert((topic.clone(), partition.id()));
            }
        }
        Ok((list, all))
    }

    /// Reads what there is, and hands it on. Returns whether somebody listens.
    fn read(&mut self) -> bool {
        let (mut lanes, mut reports) = (Vec::new(), Vec::new());
        let mut wait = POLL;
        let mut lost = false;
        for _ in 0..AT_ONCE {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(record)) => self.take(&record, &mut lanes, &mut reports),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => lost |= is_lost(&error),
            }
            wait = Duration::ZERO;
        }
        if lost && self.begin.is_none() {
            tracing::warn!("the place in the workers' topics is gone; reading them anew");
            self.begin = Some(clock::now() + ANEW_AGAIN);
        }
        let mut heard = true;
        if !lanes.is_empty() {
            heard &= self.tell(Told::Lanes(lanes));
        }
        if !reports.is_empty() {
            heard &= self.tell(Told::Reports(reports));
        }
        heard && self.catch_up()
    }

    fn take(
        &self,
        record: &BorrowedMessage<'_>,
        lanes: &mut Vec<Entry>,
        reports: &mut Vec<(String, Option<Heartbeat>)>,
    ) {
        if record.topic() == self.place.lanes {
            match Entry::decode(record.key(), record.payload()) {
                Ok(entry) => lanes.push(entry),
                Err(error) => {
                    self.metrics.unreadable.add(1);
                    let (partition, offset) = (record.partition(), record.offset());
                    tracing::debug!(partition, offset, %error, "a lane row was skipped");
                }
            }
            return;
        }
        let key = record.key().and_then(ReportKey::decode);
        let Some(worker) = key
            .filter(|key| key.group == self.place.group)
            .and_then(|key| key.worker)
        else {
            return;
        };
        match record.payload() {
            None => reports.push((worker, None)),
            Some(bytes) => match Heartbeat::decode(bytes) {
                Some(report) => reports.push((worker, Some(report))),
                None => self.metrics.unreadable.add(1),
            },
        }
    }

    /// Tells when everything is read that was there at the beginning. Positions tell it, for compaction
    /// may have taken the last records.
    fn catch_up(&mut self) -> bool {
        let Some(behind) = &mut self.behind else {
            return true;
        };
        let Ok(positions) = self.consumer.position() else {
            return true;
        };
        let consumer = &self.consumer;
        let mut silent = false;
        behind.retain(|(topic, partition)| {
            if silent {
                return true;
            }
            let place = positions.find_partition(topic, *partition);
            let next = place
                .and_then(|place| place.offset().to_raw())
                .filter(|next| *next >= 0);
            match consumer.fetch_watermarks(topic, *partition, QUESTION) {
                Ok((start, end)) => next.unwrap_or(start) < end,
                // Nobody answers for this one: the others are asked again with it.
                Err(_) => {
                    silent = true;
                    true
                }
            }
        });
        if !behind.is_empty() {
            return true;
        }
        self.behind = None;
        tracing::info!("what the workers have written is read");
        self.tell(Told::CaughtUp)
    }

    fn tell(&self, told: Told) -> bool {
        self.inputs.blocking_send(Input::Told(told)).is_ok()
    }
}

/// Whether an error says that the offset that is wanted is not in the log, or the topic is another.
fn is_lost(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}
