//! Fetches parked events from their source topics: those that were too large for the retry topic and
//! were parked by their place.
//!
//! Owns a consumer of its own, made with the first question and closed after the last, on a thread of
//! its own: such events are rare, one that is slow to come must hold no bucket up, and a client that
//! nobody polls piles up what it has to say. An event is accepted only from the topic with the lane's id
//! and at the very offset. That it is gone is believed when the cluster has said so several times: a
//! broker that has just come back may not know its topics yet.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parcelhook_kafka::ByHand;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::ReaderConfig;
use super::bell::Bell;
use super::client;
use super::scans::Scans;
use crate::clock;
use crate::park::{DrainKey, LaneAddress};
use crate::source::record::Record;
use crate::source::{TopicState, cut_record, topic_state};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before the next question when the last one had no answer.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the consumer stays when nothing is asked.
const KEPT: Duration = Duration::from_secs(10);

/// How often in a row the cluster must say that an event is gone.
const TIMES_GONE: u32 = 3;

/// An event to be fetched.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) lane: Arc<LaneAddress>,
    pub(super) offset: i64,
}

/// What was found at its place.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// The event.
    Event(Record),
    /// The topic does not have it any more.
    Gone,
    /// Nobody knows now.
    Unknown,
}

/// Fetches one event at a time.
pub(super) struct Fetcher {
    wanted: SyncSender<Wanted>,
    found: Receiver<Found>,
    thread: JoinHandle<()>,
}

impl Fetcher {
    /// Starts the thread. It rings when it has found something, and ends when this is dropped.
    ///
    /// # Errors
    /// When there are no more threads.
    pub(super) fn start(config: ReaderConfig, bell: Arc<Bell>) -> io::Result<Self> {
        let (wanted, received) = sync_channel::<Wanted>(1);
        let (answers, found) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("drain-fetch".to_owned())
            .spawn(move || serve(&received, &answers, &config, &bell))?;
        Ok(Self {
            wanted,
            found,
            thread,
        })
    }

    /// Waits for the question under way and ends the thread.
    pub(super) fn join(self) {
        let Self {
            wanted,
            found,
            thread,
        } = self;
        drop((wanted, found));
        // It does not panic; if it did, it has ended as well.
        let _ = thread.join();
    }
}

/// Looks for what is wanted, until nobody wants anything any more.
fn serve(
    wanted: &Receiver<Wanted>,
    answers: &SyncSender<Found>,
    config: &ReaderConfig,
    bell: &Bell,
) {
    let mut consumer = None;
    loop {
        let next = match consumer {
            Some(_) => wanted.recv_timeout(KEPT),
            None => wanted.recv().map_err(RecvTimeoutError::from),
        };
        match next {
            Ok(next) => {
                if answers.send(look(&mut consumer, config, &next)).is_err() {
                    return;
                }
                bell.ring();
            }
            Err(RecvTimeoutError::Timeout) => consumer = None,
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn look(consumer: &mut Option<ByHand>, config: &ReaderConfig, wanted: &Wanted) -> Found {
    let client = match consumer.take() {
        Some(client) => client,
        None => match client::connect(config) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "parked events cannot be fetched from their source");
                return Found::Unknown;
            }
        },
    };
    match fetch(&client, wanted) {
        Ok(found) => {
            *consumer = Some(client);
            found
        }
        // The next question gets a new client, whatever was wrong with this one.
        Err(error) => {
            let Wanted { lane, offset } = wanted;
            tracing::debug!(source = %lane.source, offset, %error, "a parked event is not fetched yet");
            Found::Unknown
        }
    }
}

fn fetch(consumer: &ByHand, wanted: &Wanted) -> KafkaResult<Found> {
    let deadline = clock::now() + TIMEOUT;
    let source = &wanted.lane.source;
    if let Some(id) = wanted.lane.topic_id {
        match topic_state(consumer, &source.topic, deadline)? {
            TopicState::Present { id: Some(now), .. } if now == id => {}
            TopicState::Present { id: Some(_), .. } | TopicState::Missing => {
                return Ok(Found::Gone);
            }
            TopicState::Present { id: None, .. } | TopicState::Unknown => {
                return Ok(Found::Unknown);
            }
        }
    }
    let left = deadline.saturating_duration_since(clock::now());
    let (start, end) = match consumer.fetch_watermarks(&source.topic, source.partition, left) {
        Ok(range) => range,
        Err(error) => {
            return match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition,
                ) => Ok(Found::Gone),
                Some(_) | None => Err(error),
            };
        }
    };
    if !(start..end).contains(&wanted.offset) {
        return Ok(Found::Gone);
    }
    let mut place = TopicPartitionList::new();
    let offset = Offset::Offset(wanted.offset);
    place.add_partition_offset(&source.topic, source.partition, offset)?;
    consumer.assign(&place)?;
    let found = read(consumer, wanted, deadline);
    consumer.unassign()?;
    found
}

/// Waits for the first record at the place or behind it.
fn read(consumer: &ByHand, wanted: &Wanted, deadline: Instant) -> KafkaResult<Found> {
    let source = &wanted.lane.source;
    loop {
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Ok(Found::Unknown);
        }
        let message = match consumer.poll(left) {
            Some(Ok(message)) => message,
            Some(Err(error)) if ends_the_question(&error) => return Err(error),
            Some(Err(_)) | None => continue,
        };
        let is_there = message.topic() == &*source.topic && message.partition() == source.partition;
        if !is_there || message.offset() < wanted.offset {
            continue;
        }
        // Compaction leaves a hole.
        let found = message.offset() == wanted.offset;
        return Ok(if found {
            Found::Event(cut_record(&message))
        } else {
            Found::Gone
        });
    }
}

/// Whether no event follows an error. Most only tell of connections, also of what was before this
/// question, and librdkafka goes on by itself.
fn ends_the_question(error: &KafkaError) -> bool {
    let of_the_place = [
        RDKafkaErrorCode::AutoOffsetReset,
        RDKafkaErrorCode::OffsetOutOfRange,
        RDKafkaErrorCode::LogTruncation,
    ];
    let code = error.rdkafka_error_code();
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || code.is_some_and(|code| of_the_place.contains(&code))
}

/// The question under way, and when the next may be asked.
#[derive(Debug)]
pub(super) struct Fetches {
    under_way: Option<(DrainKey, i64)>,
    again_at: Instant,
    gone: Option<((DrainKey, i64), u32)>,
}

impl Fetches {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            under_way: None,
            again_at: now,
            gone: None,
        }
    }

    /// Hands over what was found, and asks for the next event that a lane waits for.
    pub(super) fn advance(&mut self, fetcher: &Fetcher, scans: &mut Scans, now: Instant) {
        if let Ok(found) = fetcher.found.try_recv() {
            self.found(found, scans, now);
        }
        if self.under_way.is_some() || now < self.again_at {
            return;
        }
        if let Some((key, wanted)) = scans.next_reference() {
            self.under_way = Some((key, wanted.offset));
            // There is room: nothing is asked before the last answer.
            let _ = fetcher.wanted.try_send(wanted);
        }
    }

    fn found(&mut self, found: Found, scans: &mut Scans, now: Instant) {
        let Some(place) = self.under_way.take() else {
            return;
        };
        let found = self.confirmed(place, found);
        if matches!(found, Found::Unknown) {
            self.again_at = now + AGAIN;
        }
        scans.fetched(place.0, place.1, found);
    }

    /// Gone is what was not there several times in a row.
    fn confirmed(&mut self, place: (DrainKey, i64), found: Found) -> Found {
        let before = self.gone.take().filter(|(of, _)| *of == place);
        let times = before.map_or(1, |(_, times)| times + 1);
        match found {
            Found::Gone if times < TIMES_GONE => {
                self.gone = Some((place, times));
                Found::Unknown
            }
            found @ (Found::Event(_) | Found::Gone | Found::Unknown) => found,
        }
    }

    /// When there may be something to ask.
    pub(super) fn due(&self, scans: &Scans) -> Option<Instant> {
        (self.under_way.is_none() && scans.has_references()).then_some(self.again_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::park::LaneSeat;

    #[test]
    fn what_a_client_tells_of_its_connections_does_not_end_a_question() {
        for (code, ends) in [
            (RDKafkaErrorCode::AllBrokersDown, false),
            (RDKafkaErrorCode::BrokerTransportFailure, false),
            (RDKafkaErrorCode::OperationTimedOut, false),
            (RDKafkaErrorCode::OffsetOutOfRange, true),
            (RDKafkaErrorCode::AutoOffsetReset, true),
        ] {
            let error = KafkaError::MessageConsumption(code);
            assert_eq!(ends_the_question(&error), ends, "{code}");
        }
        let code = RDKafkaErrorCode::BrokerTransportFailure;
        assert!(ends_the_question(&KafkaError::MessageConsumptionFatal(
            code
        )));
    }

    #[test]
    fn an_event_is_gone_when_the_cluster_has_said_so_three_times_in_a_row() {
        let mut fetches = Fetches::new(clock::now());
        let key = DrainKey {
            shard: 0,
            slot: 0,
            lane: LaneSeat { index: 0, id: 0 },
            drain: 1,
        };
        let mut says = |offset, found| fetches.confirmed((key, offset), found);
        for found in [
            Found::Gone,
            Found::Gone,
            Found::Unknown,
            Found::Gone,
            Found::Gone,
        ] {
            assert!(matches!(says(7, found), Found::Unknown));
        }
        assert!(matches!(says(8, Found::Gone), Found::Unknown));
        for _ in 0..2 {
            assert!(matches!(says(7, Found::Gone), Found::Unknown));
        }
        assert!(matches!(says(7, Found::Gone), Found::Gone));
    }
}
