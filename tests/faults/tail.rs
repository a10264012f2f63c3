//! The tail beside a run: it reads what the workers write into the retry and the lanes topic, and tells
//! the witness which runs are parked and which lanes have rows.
//!
//! Invariant: [`Tail::read`] says that an end is passed only when every record below it was told. It
//! joins no group and remembers nothing but how far it came.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use parcelhook_crds::{
    lane::{Entry, LaneName, ParkReason, Scope},
    uid::directory_uid,
};
use parcelhook_env::{
    clock,
    kafka::{Access, Kafka},
};
use parcelhook_worker::park::format::{Message, decode};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use uuid::Uuid;

use crate::{
    judge::{Lane, RowSeen, Seen},
    roster,
    source::Place,
    witness::Witness,
};

/// The topics, by the names that the workers' settings give them.
const RETRY: &str = "parcelhook.retry";
const LANES: &str = "parcelhook.lanes";

/// How long a question to a broker may take.
const QUESTION: Duration = Duration::from_secs(3);

/// How long to wait for a record. The brokers may have nothing, or be away.
const POLL: Duration = Duration::from_millis(20);

/// Where partitions end, or how far they were read: by whether it is the lanes topic, and number.
pub(crate) type Ends = BTreeMap<(bool, i32), i64>;

/// See the module.
pub(crate) struct Tail {
    consumer: BaseConsumer,
    /// The source topics, by number.
    topics: Vec<String>,
    targets: BTreeMap<Uuid, u8>,
    /// The offset after the last record that was told; empty until the topics are there.
    next: Ends,
}

impl Tail {
    /// A tail that has read nothing.
    pub(crate) fn new(kafka: &Kafka, topics: &[String]) -> Result<Self> {
        let mut config = kafka.client(Access::Plaintext);
        config
            .set("group.id", "nobody")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_uncommitted")
            .set("fetch.wait.max.ms", "50")
            .set("auto.offset.reset", "error");
        let targets = roster::all().map(|(number, target)| {
            let uid = directory_uid("default", target.name);
            (uid, number)
        });
        Ok(Self {
            consumer: config.create().context("make a client for the tail")?,
            topics: topics.to_vec(),
            targets: targets.collect(),
            next: Ends::new(),
        })
    }

    /// Where both topics end now. None while brokers do not tell all of it.
    pub(crate) fn ends(&mut self) -> Option<Ends> {
        if self.next.is_empty() {
            self.begin()?;
        }
        let answer = self
            .consumer
            .offsets_for_times(self.list(|_| Offset::End)?, QUESTION)
            .ok()?;
        let ends = answer.elements().into_iter().filter_map(|element| {
            let place = (element.topic() == LANES, element.partition());
            match (element.error(), element.offset()) {
                (Ok(()), Offset::Offset(end)) => Some((place, end)),
                (Ok(()) | Err(_), _) => None,
            }
        });
        let ends: Ends = ends.collect();
        (ends.len() == self.next.len()).then_some(ends)
    }

    /// Reads on, for so long at most. Returns whether all below these ends was told.
    pub(crate) fn read(&mut self, ends: &Ends, lasts: Duration, witness: &Witness) -> bool {
        let deadline = clock::now() + lasts;
        loop {
            let has = |place, end: i64| self.next.get(place).is_some_and(|next| *next >= end);
            if ends.iter().all(|(place, end)| has(place, *end)) {
                return true;
            }
            if clock::now() >= deadline {
                return false;
            }
            // Errors are those of brokers that are away; the records come when they are back.
            if let Some(Ok(message)) = self.consumer.poll(POLL) {
                let place = (message.topic() == LANES, message.partition());
                if let Some(seen) = self.seen(&message) {
                    witness.see(&seen);
                }
                let next = message.offset() + 1;
                drop(message);
                self.next.insert(place, next);
            }
        }
    }

    /// Begins to read, once the workers have made the topics.
    fn begin(&mut self) -> Option<()> {
        for topic in [RETRY, LANES] {
            let metadata = self.consumer.fetch_metadata(Some(topic), QUESTION).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let places = partitions.iter().map(|one| ((topic == LANES, one.id()), 0));
            if partitions.is_empty() {
                self.next.clear();
                return None;
            }
            self.next.extend(places);
        }
        let begun = self
            .list(|_| Offset::Beginning)
            .and_then(|all| self.consumer.assign(&all).ok());
        if begun.is_none() {
            self.next.clear();
        }
        begun
    }

    fn list(&self, offset: impl Fn(i64) -> Offset) -> Option<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for ((is_lanes, partition), next) in &self.next {
            let topic = if *is_lanes { LANES } else { RETRY };
            list.add_partition_offset(topic, *partition, offset(*next))
                .ok()?;
        }
        Some(list)
    }

    fn seen(&self, message: &BorrowedMessage<'_>) -> Option<Seen> {
        if message.topic() == RETRY {
            let parked = decode(&Message::of(message)).ok()?;
            let source = &parked.source;
            let (first, last) = parked.run.offsets;
            return Some(Seen::Parked {
                lane: self.lane(parked.name, &source.topic, source.partition)?,
                first,
                last,
                incarnation: parked.run.incarnation.to_string(),
                prev: parked.run.prev,
            });
        }
        match Entry::decode(message.key(), message.payload()).ok()? {
            Entry::Lane(scope, name, row) => {
                let row = RowSeen {
                    incarnation: row.incarnation.to_string(),
                    delivered_through: row.delivered_through,
                    insured: row.reason == ParkReason::Overflow && row.attempted.is_some(),
                };
                self.row(&scope, name, Some(row))
            }
            Entry::LaneEnded(scope, name) => self.row(&scope, name, None),
            Entry::Terminator(..) | Entry::TerminatorEnded(_) => None,
        }
    }

    fn row(&self, scope: &Scope, name: LaneName, row: Option<RowSeen>) -> Option<Seen> {
        Some(Seen::Row {
            lane: self.lane(name, &scope.topic, scope.partition)?,
            epoch: scope.epoch.to_string(),
            row,
        })
    }

    fn lane(&self, name: LaneName, topic: &str, partition: i32) -> Option<Lane> {
        let topic = self.topics.iter().position(|known| known == topic)?;
        let place = Place {
            topic: topic.try_into().ok()?,
            partition: partition.try_into().ok()?,
        };
        let target = *self.targets.get(&name.target)?;
        Some(Lane { target, place })
    }
}
