//! The tail's thread: one loop that takes questions, reads, asks brokers for ends, and answers.
//!
//! Owns the consumer and the table. Waits only in `poll` and in questions to brokers, both with a
//! bound, and never for a shard. What is decided is decided in `asks` and `reading`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Entry;
use parcelhook_kafka::ByHand;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender};
use uuid::Uuid;

use super::super::table::Table;
use super::super::{Ask, Told};
use super::TailConfig;
use super::asks::{Asks, NoRoom};
use super::consumer::{ends, is_lost, list};
use super::news::recovered;
use super::reading::Reading;
use crate::background::{Cause, blocked};
use crate::clock;
use crate::park::bucket::lanes_partition;
use crate::source::client::drop_within;

/// How long `poll` may wait when nothing comes: questions are looked at that often.
const IDLE_POLL: Duration = Duration::from_millis(50);

/// The same while somebody waits for an answer.
const BUSY_POLL: Duration = Duration::from_millis(5);

/// Records that are read in one go before questions are looked at.
const RECORDS_AT_ONCE: usize = 1_000;

/// How long brokers may take to name ends, at first and at most. Reading stands still meanwhile, so
/// the longer times are for clusters that have not answered in the shorter.
const QUESTION: Duration = Duration::from_millis(400);
const QUESTION_AT_MOST: Duration = Duration::from_secs(5);

/// How long to wait before brokers that did not answer are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Least time between two beginnings from the start of the topic.
const ANEW_AGAIN: Duration = Duration::from_secs(1);

/// How long closing the consumer may take before it is left to itself.
const CLOSE: Duration = Duration::from_millis(250);

/// Least time between two log lines about records that cannot be read.
const QUIET: Duration = Duration::from_secs(1);

/// The tail before it runs. Made by [`super::prepare`].
pub struct TailThread {
    config: TailConfig,
    consumer: ByHand,
    asked: Receiver<Ask>,
    shards: Vec<Sender<Told>>,
    unreadable: Arc<AtomicU64>,
    table: Table,
    readings: BTreeMap<i32, Reading>,
    asks: Asks,
    question: Question,
    anew: Option<Instant>,
    logged: Option<Instant>,
}

/// When brokers are asked for ends, and how patiently.
#[derive(Debug)]
struct Question {
    next: Option<Instant>,
    timeout: Duration,
    failures: usize,
}

impl fmt::Debug for TailThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailThread")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl TailThread {
    pub(super) fn new(
        config: TailConfig,
        consumer: ByHand,
        asked: Receiver<Ask>,
        shards: Vec<Sender<Told>>,
        unreadable: Arc<AtomicU64>,
    ) -> Self {
        Self {
            table: Table::new(&config.group),
            config,
            consumer,
            asked,
            shards,
            unreadable,
            readings: BTreeMap::new(),
            asks: Asks::default(),
            question: Question {
                next: None,
                timeout: QUESTION,
                failures: 0,
            },
            anew: Some(clock::now()),
            logged: None,
        }
    }

    /// Reads and answers until the last handle is dropped. Blocks its thread.
    pub fn run(mut self) {
        let mut waits_for_room = false;
        while self.obey() {
            self.begin_anew();
            self.read(waits_for_room);
            self.ask_for_ends();
            self.settle_doubts();
            waits_for_room = self.answer();
        }
        if !drop_within("tail-close", self.consumer, clock::now() + CLOSE) {
            tracing::debug!("the tail's consumer did not close in time; it is left to itself");
        }
    }

    /// Takes the questions that have come. Returns whether there may be more.
    fn obey(&mut self) -> bool {
        loop {
            match self.asked.try_recv() {
                Ok(ask) => {
                    let TailConfig {
                        group, partitions, ..
                    } = &self.config;
                    self.asks.heed(ask, |place| {
                        let source = &place.source;
                        lanes_partition(group, &source.topic, source.partition, *partitions)
                    });
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Begins at the start of the topic when that is due: at first, and when the place that was read
    /// is not in the log any more.
    fn begin_anew(&mut self) {
        let now = clock::now();
        if self.anew.is_none_or(|due| now < due) {
            return;
        }
        self.anew = None;
        self.table.clear();
        self.asks.forget_ends();
        self.readings = (0..self.config.partitions)
            .map(|partition| (partition, Reading::default()))
            .collect();
        let begun = list(&self.config.topic, self.readings.keys(), Offset::Beginning)
            .and_then(|all| self.consumer.assign(&all));
        if let Err(error) = begun {
            tracing::error!(topic = self.config.topic, %error, "the lanes topic cannot be read");
            self.anew = Some(now + ANEW_AGAIN);
        }
    }

    /// Waits for records and folds what has come.
    fn read(&mut self, waits_for_room: bool) {
        let wait = if waits_for_room || self.asks.is_waiting() {
            BUSY_POLL
        } else {
            IDLE_POLL
        };
        // The consumer is lent out for as long as a record is held.
        let Self {
            consumer,
            table,
            readings,
            asks,
            ..
        } = self;
        let mut unreadable = Vec::new();
        let mut news = BTreeSet::new();
        let mut lost = false;
        let mut polled = blocked(Cause::Fetch, || consumer.poll(wait));
        let mut records = 0;
        while let Some(next) = polled {
            match next {
                Ok(record) => {
                    let mut is_current = false;
                    if let Some(reading) = readings.get_mut(&record.partition()) {
                        reading.record(record.offset(), clock::now());
                        is_current = reading.is_current();
                    }
                    match Entry::decode(record.key(), record.payload()) {
                        Ok(entry) => {
                            // The shards of one worker tell each other.
                            if let Some((place, target)) = recovered(table, &entry)
                                && is_current
                                && !asks.owns(&place)
                            {
                                news.insert(target);
                            }
                            if let Some((place, epoch)) = table.apply(entry) {
                                asks.written(&place, epoch);
                            }
                        }
                        Err(error) => unreadable.push(Unreadable::new(&record, &error)),
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    if let Some(reading) = readings.get_mut(&partition) {
                        reading.end_of_log();
                    }
                }
                Err(error) => lost |= is_lost(&error),
            }
            records += 1;
            if records == RECORDS_AT_ONCE {
                // What is polled must be folded: it does not come again.
                break;
            }
            polled = consumer.poll(Duration::ZERO);
        }
        self.skipped(&unreadable);
        self.tell(news);
        if lost && self.anew.is_none() {
            tracing::warn!("the tail's place in the lanes topic is gone; reading it anew");
            self.anew = Some(clock::now() + ANEW_AGAIN);
        }
    }

    /// Tells every shard of targets that take deliveries again. A shard that is too busy for it finds out
    /// by its own probes.
    fn tell(&self, recovered: BTreeSet<Uuid>) {
        for target in recovered {
            for shard in &self.shards {
                let _ = shard.try_send(Told::Recovered { target });
            }
        }
    }

    /// Counts records that cannot be read, and logs them; of a flood, one each second.
    fn skipped(&mut self, unreadable: &[Unreadable]) {
        let now = clock::now();
        for record in unreadable {
            let skipped = self.unreadable.fetch_add(1, Ordering::Relaxed) + 1;
            let quiet = |last| now.saturating_duration_since(last) < QUIET;
            if self.logged.is_some_and(quiet) {
                continue;
            }
            self.logged = Some(now);
            let Unreadable {
                partition,
                offset,
                error,
            } = record;
            tracing::warn!(
                topic = self.config.topic,
                partition,
                offset,
                error,
                skipped,
                "skipped"
            );
        }
    }

    /// Asks brokers for the ends that take-overs wait for: all in one question. After a failure one
    /// partition after the other, so that one without a leader does not keep the others.
    fn ask_for_ends(&mut self) {
        let now = clock::now();
        let mut wanted = self.asks.without_end();
        if wanted.is_empty() || self.question.next.is_some_and(|due| now < due) {
            return;
        }
        if let Some(turn) = self.question.failures.checked_sub(1) {
            let one = wanted.iter().nth(turn % wanted.len()).copied();
            wanted = one.into_iter().collect();
        }
        let timeout = self.question.timeout;
        let answer = blocked(Cause::Fetch, || {
            ends(&self.consumer, &self.config.topic, &wanted, timeout)
        });
        match answer {
            Ok(ends) if ends.len() == wanted.len() => {
                self.asks.ends(&ends);
                self.question.next = None;
                self.question.timeout = QUESTION;
                self.question.failures = 0;
            }
            Ok(ends) => {
                self.asks.ends(&ends);
                self.failed();
            }
            Err(error) => {
                tracing::debug!(%error, "the ends of the lanes topic are not known yet");
                self.failed();
            }
        }
    }

    fn failed(&mut self) {
        self.question.failures += 1;
        self.question.timeout = (self.question.timeout * 2).min(QUESTION_AT_MOST);
        self.question.next = Some(clock::now() + ASK_AGAIN);
    }

    /// Sets partitions on their place again whose end cannot be told to be passed otherwise.
    fn settle_doubts(&mut self) {
        let now = clock::now();
        for (partition, end) in self.asks.awaited() {
            let Some(reading) = self.readings.get_mut(&partition) else {
                continue;
            };
            if !reading.is_in_doubt(end, now) {
                continue;
            }
            let next = reading.next().map_or(Offset::Beginning, Offset::Offset);
            let sought = self
                .consumer
                .seek(&self.config.topic, partition, next, QUESTION);
            match sought {
                Ok(()) => reading.sought(end, now),
                Err(error) => {
                    tracing::debug!(partition, %error, "cannot be set on its place yet");
                }
            }
        }
    }

    /// Answers what can be answered. Returns whether something waits for room.
    fn answer(&mut self) -> bool {
        let Self {
            asks,
            table,
            readings,
            shards,
            ..
        } = self;
        let has_passed = |partition: i32, end: i64| {
            let reading = readings.get(&partition);
            reading.is_some_and(|reading| reading.has_passed(end))
        };
        asks.answer(table, has_passed, |shard| {
            let channel = shards.get(shard as usize).ok_or(NoRoom::Gone)?;
            match channel.try_reserve() {
                Ok(place) => Ok(|told| place.send(told)),
                Err(TrySendError::Full(())) => Err(NoRoom::Full),
                Err(TrySendError::Closed(())) => Err(NoRoom::Gone),
            }
        })
    }
}

/// A record of the lanes topic that is skipped.
struct Unreadable {
    partition: i32,
    offset: i64,
    error: String,
}

impl Unreadable {
    fn new(record: &BorrowedMessage<'_>, error: &impl fmt::Display) -> Self {
        Self {
            partition: record.partition(),
            offset: record.offset(),
            error: error.to_string(),
        }
    }
}
