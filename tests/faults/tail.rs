//! The tail beside a run: it reads what the workers write into their own topics, and tells the witness
//! which runs are parked, which lanes have rows and which events have dead letters.
//!
//! Invariant: [`Tail::read`] says that an end is passed only when every record below it was told. It
//! joins no group and remembers nothing but how far it came.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use parcelhook_crds::{
    lane::{Entry, LaneName, ParkReason},
    uid::directory_uid,
};
use parcelhook_env::{
    clock,
    kafka::{Access, Kafka},
};
use parcelhook_worker::park::{
    ParkedBody,
    format::{Message, decode},
};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use uuid::Uuid;

use crate::{
    judge::{Lane, RowSeen, Seen},
    letter::Letter,
    roster,
    source::{Place, Source},
    witness::Witness,
};

/// The topics, by the names that the workers' settings give them.
pub(crate) const RETRY: &str = "parcelhook.retry";
pub(crate) const LANES: &str = "parcelhook.lanes";
pub(crate) const DEAD_LETTERS: &str = "parcelhook.dead-letter";
const OWN: [&str; 3] = [RETRY, LANES, DEAD_LETTERS];

/// How long a question to a broker may take.
const QUESTION: Duration = Duration::from_secs(3);

/// How long to wait for a record. The brokers may have nothing, or be away.
const POLL: Duration = Duration::from_millis(20);

/// Where partitions end, or how far they were read.
pub(crate) type Ends = BTreeMap<(&'static str, i32), i64>;

/// See the module.
pub(crate) struct Tail {
    consumer: BaseConsumer,
    source: Source,
    /// The source topics, by number.
    topics: Vec<String>,
    targets: BTreeMap<Uuid, u8>,
    /// The offset after the last record that was told; empty until the topics are there.
    next: Ends,
}

impl Tail {
    /// A tail that has read nothing.
    pub(crate) fn new(kafka: &Kafka, source: Source, topics: &[String]) -> Result<Self> {
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
            source,
            topics: topics.to_vec(),
            targets: targets.collect(),
            next: Ends::new(),
        })
    }

    /// Where the topics end now. None while brokers do not tell all of it.
    pub(crate) fn ends(&mut self) -> Option<Ends> {
        if self.next.is_empty() {
            self.begin()?;
        }
        let answer = self
            .consumer
            .offsets_for_times(self.list(|_| Offset::End)?, QUESTION)
            .ok()?;
        let ends = answer.elements().into_iter().filter_map(|element| {
            let place = (own(element.topic())?, element.partition());
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
                let place = own(message.topic()).map(|topic| (topic, message.partition()));
                if let Some(seen) = self.seen(&message, witness) {
                    witness.see(&seen);
                }
                let next = message.offset() + 1;
                drop(message);
                self.next.extend(place.map(|place| (place, next)));
            }
        }
    }

    /// Begins to read, once the workers have made the topics.
    fn begin(&mut self) -> Option<()> {
        for topic in OWN {
            let metadata = self.consumer.fetch_metadata(Some(topic), QUESTION).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let places = partitions.iter().map(|one| ((topic, one.id()), 0));
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
        for ((topic, partition), next) in &self.next {
            list.add_partition_offset(topic, *partition, offset(*next))
                .ok()?;
        }
        Some(list)
    }

    fn seen(&self, message: &BorrowedMessage<'_>, witness: &Witness) -> Option<Seen> {
        let wall_ms = message.timestamp().to_millis().unwrap_or(0);
        let written_ms = witness.run_ms(wall_ms.unsigned_abs());
        match message.topic() {
            RETRY => self.parked(message),
            DEAD_LETTERS => self.letter(message, written_ms),
            _ => self.row(message, written_ms),
        }
    }

    fn parked(&self, message: &BorrowedMessage<'_>) -> Option<Seen> {
        let parked = decode(&Message::of(message)).ok()?;
        let source = &parked.source;
        let (first, last) = parked.run.offsets;
        Some(Seen::Parked {
            lane: self.lane(parked.name, &source.topic, source.partition)?,
            first,
            last,
            incarnation: parked.run.incarnation.to_string(),
            prev: parked.run.prev,
            bucket: message.partition(),
            at: message.offset(),
            reference: matches!(parked.run.body, ParkedBody::Reference),
        })
    }

    fn row(&self, message: &BorrowedMessage<'_>, written_ms: u64) -> Option<Seen> {
        let (scope, name, row) = match Entry::decode(message.key(), message.payload()).ok()? {
            Entry::Lane(scope, name, row) => (scope, name, Some(row)),
            Entry::LaneEnded(scope, name) => (scope, name, None),
            Entry::Terminator(..) | Entry::TerminatorEnded(_) => return None,
        };
        let row = row.map(|row| RowSeen {
            incarnation: row.incarnation.to_string(),
            delivered_through: row.delivered_through,
            insured: row.reason == ParkReason::Overflow && row.attempted.is_some(),
            overflowed: row.reason == ParkReason::Overflow,
            suspended: row.reason == ParkReason::Suspended,
            bucket: row.bucket,
            resume_offset: row.resume_offset,
        });
        Some(Seen::Row {
            lane: self.lane(name, &scope.topic, scope.partition)?,
            epoch: scope.epoch.to_string(),
            written_ms,
            row,
        })
    }

    /// A dead letter, or what is wrong with it.
    fn letter(&self, message: &BorrowedMessage<'_>, written_ms: u64) -> Option<Seen> {
        let foreign = |what: String| Seen::Foreign {
            target: roster::STUBBORN,
            what,
        };
        let letter = Letter::of(message);
        let lane = letter.as_ref().and_then(|letter| {
            let of = &letter.of;
            self.lane(of.name, of.topic, of.partition)
        });
        let (Some(letter), Some(lane)) = (letter, lane) else {
            return Some(foreign("a dead letter of nobody".to_owned()));
        };
        let (place, offset) = (lane.place, letter.offset);
        if !letter.is_as_written(self.source, place) {
            let what = format!("the dead letter of {place}/{offset} is not as written");
            return Some(foreign(what));
        }
        Some(Seen::Letter {
            lane,
            offset,
            written_ms,
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

/// The topic of that name, when it is one of the workers' own that are read.
fn own(topic: &str) -> Option<&'static str> {
    OWN.into_iter().find(|own| *own == topic)
}
