//! What the worker writes to its own topics, on real Kafka: in order, byte for byte, and read back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_crds::lane::{
    Entry, Epoch, Incarnation, LaneName, ParkReason, RowKey, Scope, Terminator,
};
use parcelhook_env::{
    clock,
    kafka::{Access, Kafka},
};
use parcelhook_worker::{
    park::{
        LaneAddress, Order, ParkedBody, Produced, Refused, Run, Ticket,
        bucket::{bucket, lanes_partition},
        format::{self, Message, Parked},
        produce::{Producer, ProducerConfig},
        topics::{Names, SOURCE_LIMIT_BYTES},
    },
    source::{
        PartitionId,
        record::{Record, Timestamp},
    },
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::mpsc::{Receiver, channel};
use uuid::Uuid;

use crate::{
    parking_topics::{client, ensured, setting},
    site::SOON,
};

/// Lanes whose orders are mixed.
const LANES: usize = 20;

/// Lanes, and the topics they are parked in.
struct Scenery<'k> {
    kafka: &'k Kafka,
    names: Names,
    largest: usize,
    lanes: Vec<Arc<LaneAddress>>,
}

impl<'k> Scenery<'k> {
    fn new(kafka: &'k Kafka, prefix: &str, largest: usize) -> Result<Self> {
        let lane = |number: usize| -> Result<_> {
            let target = Uuid::from_u128(u128::try_from(number)?);
            Ok(Arc::new(LaneAddress {
                name: LaneName {
                    target,
                    selection: [u8::try_from(number)?; 16],
                },
                source: PartitionId {
                    topic: "orders".into(),
                    partition: i32::try_from(number % 3)?,
                },
                topic_id: None,
                bucket: bucket(target, 32),
            }))
        };
        Ok(Self {
            kafka,
            names: Names::new(prefix),
            largest,
            lanes: (0..LANES).map(lane).collect::<Result<_>>()?,
        })
    }

    fn lane(&self, number: usize) -> Arc<LaneAddress> {
        self.lanes[number].clone()
    }

    fn producer(&self, places: usize) -> Result<(Producer, Receiver<Produced>)> {
        let (sender, answers) = channel(places);
        let config = ProducerConfig {
            client: client(self.kafka),
            names: self.names.clone(),
            lanes_partitions: 32,
            largest_record_bytes: self.largest,
        };
        Ok((Producer::new(config, vec![sender])?, answers))
    }

    /// Every record of the retry topic, decoded.
    async fn parked(&self) -> Result<Vec<Parked>> {
        let topic = self.names.retry();
        let ends = self.kafka.ends(&topic).await?;
        let mut config = self.kafka.client(Access::Plaintext);
        config.set("group.id", "nobody");
        tokio::task::spawn_blocking(move || read(&config, &topic, &ends)).await?
    }
}

fn read(config: &ClientConfig, topic: &str, ends: &BTreeMap<i32, i64>) -> Result<Vec<Parked>> {
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for (partition, end) in ends {
        if *end > 0 {
            assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
    }
    consumer.assign(&assignment)?;
    let deadline = clock::now() + SOON;
    let mut left: i64 = ends.values().sum();
    let mut parked = Vec::new();
    while left > 0 {
        ensure!(clock::now() < deadline, "{left} records did not come");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let record = format::decode(&Message::of(&message))?;
        ensure!(message.partition() == bucket(record.name.target, 32));
        parked.push(record);
        left -= 1;
    }
    Ok(parked)
}

/// Hands an order over; its ticket has that number.
fn give(producer: &Producer, number: u64, order: Order) -> Result<()> {
    let ticket = Ticket {
        slot: 0,
        lane: None,
        number,
    };
    let given = producer.carry_out(ticket, 0, order);
    given.map_err(|refused| anyhow::anyhow!("{refused}"))
}

fn epoch() -> Epoch {
    Epoch { n: 1, random: 7 }
}

fn event(offset: i64) -> Record {
    let value = format!("{{\"n\":{offset}}}");
    let value = Some(value.as_bytes());
    let at = Timestamp::Created(1_000 + offset);
    Record::new(offset, at, None, value, [].into_iter())
}

fn park(lane: &Arc<LaneAddress>, events: &[Record]) -> Order {
    Order::Park(Box::new(run(lane, events)))
}

fn run(lane: &Arc<LaneAddress>, events: &[Record]) -> Run {
    Run {
        lane: lane.clone(),
        incarnation: Incarnation {
            epoch: epoch(),
            counter: 1,
        },
        reason: ParkReason::Failed,
        prev: None,
        attempts: 1,
        first_failed_at: None,
        not_before: None,
        last_error: None,
        events: events.to_vec(),
    }
}

async fn answer(answers: &mut Receiver<Produced>) -> Result<(u64, Result<i64, Refused>)> {
    let answer = tokio::time::timeout(SOON, answers.recv()).await?;
    let answer = answer.context("the producer has ended")?;
    Ok((answer.ticket.number, answer.result))
}

fn same(one: &Record, other: &Record) -> bool {
    one.offset == other.offset
        && one.timestamp == other.timestamp
        && one.key() == other.key()
        && one.value() == other.value()
        && one.headers().eq(other.headers())
}

#[tokio::test]
async fn on_three_brokers_a_write_is_kept_by_two() -> Result<()> {
    let kafka = Kafka::cluster(3).await?;
    ensured(&kafka, "three", true).await?;
    let topic = "three.retry";
    assert_eq!(setting(&kafka, topic, "min.insync.replicas").await?, "2");
    kafka.brokers()[0].stop().await?;
    let scope = Scenery::new(&kafka, "three", 1_000_000)?;
    let (producer, mut answers) = scope.producer(4)?;
    give(&producer, 1, park(&scope.lane(0), &[event(1)]))?;
    assert_eq!(answer(&mut answers).await?.1, Ok(0));
    Ok(())
}

#[tokio::test]
async fn every_lane_comes_back_in_order_although_the_broker_was_away() -> Result<()> {
    let kafka = Kafka::cluster(1).await?;
    ensured(&kafka, "order", true).await?;
    let scenery = Scenery::new(&kafka, "order", SOURCE_LIMIT_BYTES)?;
    let (producer, mut answers) = scenery.producer(1_000)?;
    let order = |round: i64| -> Result<()> {
        for number in 0..LANES {
            let lane = scenery.lane(number);
            // Runs of one event, and of two.
            let events = [event(2 * round), event(2 * round + 1)];
            let events = &events[..1 + number % 2];
            let number = u64::try_from(round)? * 100 + u64::try_from(number)?;
            give(&producer, number, park(&lane, events))?;
        }
        Ok(())
    };
    let mut written = 0;
    for round in 0..10 {
        order(round)?;
    }
    while written < 10 * LANES {
        answer(&mut answers).await?.1?;
        written += 1;
    }
    // What is ordered while the broker is away is written when it is back.
    let broker = &kafka.brokers()[0];
    broker.kill().await?;
    for round in 10..20 {
        order(round)?;
    }
    broker.start().await?;
    while written < 20 * LANES {
        answer(&mut answers).await?.1?;
        written += 1;
    }
    assert_eq!(producer.generation(), 0);

    let mut lanes: BTreeMap<LaneName, Vec<Record>> = BTreeMap::new();
    for parked in scenery.parked().await? {
        let ParkedBody::Events(events) = parked.run.body else {
            anyhow::bail!("a reference");
        };
        lanes.entry(parked.name).or_default().extend(events);
    }
    assert_eq!(lanes.len(), LANES);
    for (number, events) in lanes.into_values().enumerate() {
        let step = if number % 2 == 0 { 2 } else { 1 };
        let expected: Vec<Record> = (0..40).step_by(step).map(event).collect();
        assert_eq!(events.len(), expected.len());
        let all_same = events
            .iter()
            .zip(&expected)
            .all(|(one, other)| same(one, other));
        assert!(all_same, "lane {number}: {events:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_comes_back_through_kafka_byte_for_byte() -> Result<()> {
    let kafka = Kafka::shared().await?;
    ensured(kafka, "bytes", true).await?;
    let scenery = Scenery::new(kafka, "bytes", SOURCE_LIMIT_BYTES)?;
    let (producer, mut answers) = scenery.producer(10)?;
    let headers: [(&str, Option<&[u8]>); 5] = [
        ("parcelhook-body", Some(b"run")),
        ("", Some(b"")),
        ("null", None),
        ("ü", Some(b"\xff\0")),
        ("ü", Some(b"2")),
    ];
    let at = Timestamp::Appended(-5);
    let events = [
        Record::new(1, at, Some(b""), Some(b""), headers.iter().copied()),
        Record::new(2, at, None, None, headers.iter().copied()),
        Record::new(
            4,
            Timestamp::Missing,
            Some(b"\0"),
            Some(b"\xff"),
            [].into_iter(),
        ),
        Record::new(5, at, None, None, [("a\0b", Some(&b""[..]))].into_iter()),
    ];
    let lane = scenery.lane(3);
    for (number, event) in (0..).zip(&events) {
        let one = std::slice::from_ref(event);
        give(&producer, number, park(&lane, one))?;
    }
    give(&producer, 4, park(&lane, &events))?;
    for number in 0..5 {
        assert_eq!(answer(&mut answers).await?.0, number);
    }
    let mut back = Vec::new();
    for parked in scenery.parked().await? {
        assert_eq!((parked.name, &parked.source), (lane.name, &lane.source));
        let ParkedBody::Events(events) = parked.run.body else {
            anyhow::bail!("a reference");
        };
        back.extend(events);
    }
    assert_eq!(back.len(), 8);
    for (one, other) in back.iter().zip(events.iter().cycle()) {
        assert!(same(one, other), "{one:?} {other:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_larger_than_the_topic_takes_is_refused_as_too_large() -> Result<()> {
    let kafka = Kafka::shared().await?;
    ensured(kafka, "large", true).await?;
    // The client would let it pass: it is the broker that refuses.
    let scenery = Scenery::new(kafka, "large", 10_000_000)?;
    let (producer, mut answers) = scenery.producer(10)?;
    let lane = scenery.lane(0);
    // Random, so that it does not become small on its way.
    let mut value = vec![0; 2_000_000];
    fastrand::Rng::with_seed(1).fill(&mut value);
    let large = Record::new(7, Timestamp::Missing, None, Some(&value), [].into_iter());
    let one = std::slice::from_ref(&large);
    give(&producer, 1, park(&lane, one))?;
    assert_eq!(answer(&mut answers).await?, (1, Err(Refused::TooLarge)));

    // The client goes on, and the event's place is parked instead.
    let reference = Order::ParkReference(Box::new(run(&lane, one)));
    give(&producer, 2, reference)?;
    assert_eq!(answer(&mut answers).await?, (2, Ok(0)));
    let parked = scenery.parked().await?;
    assert!(matches!(parked[0].run.body, ParkedBody::Reference));
    assert_eq!(parked[0].run.offsets, (7, 7));
    assert_eq!(producer.generation(), 0);
    Ok(())
}

#[tokio::test]
async fn rows_lie_where_a_successor_looks_and_end_as_tombstones() -> Result<()> {
    let kafka = Kafka::shared().await?;
    ensured(kafka, "rows", true).await?;
    let scenery = Scenery::new(kafka, "rows", SOURCE_LIMIT_BYTES)?;
    let (producer, mut answers) = scenery.producer(10)?;
    let key = RowKey {
        scope: Scope {
            group: "rows.g".to_owned(),
            topic_id: None,
            topic: "orders".to_owned(),
            partition: 3,
            epoch: epoch(),
        },
        lane: None,
    };
    let terminator = Terminator { frontier: 12 };
    for (number, value) in [(1, Some(terminator.clone())), (2, None)] {
        let order = Order::Terminator(key.clone(), value);
        give(&producer, number, order)?;
        answer(&mut answers).await?.1?;
    }
    let rows = kafka.read("rows.lanes").await?;
    let entries: Vec<Entry> = rows
        .iter()
        .map(|row| Entry::decode(row.event.key.as_deref(), row.event.value.as_deref()))
        .collect::<Result<_, _>>()?;
    let scope = key.scope.clone();
    let expected = [
        Entry::Terminator(scope.clone(), terminator),
        Entry::TerminatorEnded(scope),
    ];
    assert_eq!(entries, expected);
    let place = lanes_partition("rows.g", "orders", 3, 32);
    assert!(rows.iter().all(|row| row.partition == place));
    producer.shut_down(clock::now() + SOON).await;
    Ok(())
}
