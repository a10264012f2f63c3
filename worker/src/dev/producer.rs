//! The demo producer: events of the demo's shop at a steady rate, into every topic of the broker in
//! turn.
//!
//! Owns the turn and the client; how many events a topic has is also the number of its next one. It
//! waits while [`Plan::hold`] says so. An event that librdkafka's queue does not take is offered
//! again, so numbers have no holes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock;

use super::event::{self, event};
use super::room::Written;
use super::topics::Topics;

/// How often events are written.
const TICK: Duration = Duration::from_millis(25);

/// How long the broker may take to create a topic.
const TOPIC_WITHIN: Duration = Duration::from_secs(5);

/// What the producer shall do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The topics that get events, in turn.
    pub(super) topics: Arc<[Arc<str>]>,
    /// Whether it waits.
    pub(super) hold: bool,
}

impl Plan {
    /// To write, without waiting.
    pub(super) fn writing_to(topics: &Topics) -> Self {
        Self {
            topics: topics.names().into(),
            hold: false,
        }
    }
}

/// Writes events.
pub(super) struct Producer {
    client: BaseProducer<Refusal>,
    pace: Pace,
    size: u32,
    turn: u64,
}

impl Producer {
    /// One that will write `rate` events per second of `size` bytes.
    ///
    /// # Errors
    /// When librdkafka cannot make a client.
    pub(super) fn new(bootstrap_servers: &str, rate: u32, size: u32) -> Result<Self, KafkaError> {
        let client = ClientConfig::new()
            .set("client.id", "parcelhook-dev")
            .set("bootstrap.servers", bootstrap_servers)
            // The broker answers a fetch with one batch a partition: not too small.
            .set("linger.ms", "10")
            .set("message.timeout.ms", "30000")
            .create_with_context(Refusal::default())?;
        Ok(Self {
            client,
            pace: Pace::new(rate),
            size,
            turn: 0,
        })
    }

    /// Brings topics into being before anybody else asks for them: the broker creates what a producer
    /// asks for, with as many partitions as [`super::topics::PARTITIONS`]. Blocks for some milliseconds.
    ///
    /// (`MockCluster::create_topic` would be the direct way. But the mock cluster may miss its wake-up
    /// when one call follows another, and then each takes a second.)
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(super) fn create_topics(self, topics: &[Arc<str>]) -> Result<Self, KafkaError> {
        for topic in topics {
            let client = self.client.client();
            client.fetch_metadata(Some(topic), TOPIC_WITHIN)?;
        }
        Ok(self)
    }

    /// Writes until dropped, and tells what it wrote.
    ///
    /// # Errors
    /// When the broker refuses an event: the demo would have a hole.
    pub(super) async fn run(
        &mut self,
        plan: watch::Receiver<Plan>,
        written: watch::Sender<Written>,
    ) -> Result<Infallible, KafkaError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let plan = plan.borrow().clone();
            let due = self.pace.take(clock::now());
            if !plan.hold && !plan.topics.is_empty() {
                let mut sum = written.borrow().clone();
                self.write(due, &plan.topics, &mut sum)?;
                written.send_replace(sum);
            }
            self.client.poll(Duration::ZERO);
            if let Some(error) = self.client.context().take() {
                return Err(error);
            }
        }
    }

    fn write(
        &mut self,
        count: u64,
        topics: &[Arc<str>],
        written: &mut Written,
    ) -> Result<(), KafkaError> {
        for _ in 0..count {
            let turn = (self.turn % topics.len() as u64) as usize;
            let topic = &topics[turn];
            let counts = written.entry(Arc::clone(topic)).or_default();
            let event = event(topic, counts.iter().sum(), self.size);
            let headers = OwnedHeaders::new_with_capacity(1).insert(Header {
                key: event::REGION_HEADER,
                value: Some(event.region),
            });
            let record = BaseRecord::to(topic)
                .partition(event.partition)
                .key(&event.key)
                .payload(&event.value)
                .headers(headers);
            match self.client.send(record) {
                Ok(()) => {}
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => return Err(error),
            }
            counts[event.partition as usize] += 1;
            self.turn += 1;
        }
        Ok(())
    }
}

/// Turns time into a number of events.
#[derive(Debug)]
struct Pace {
    rate: u32,
    last: Option<Instant>,
    /// Millionths of an event that are due.
    credit: u64,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            last: None,
            credit: 0,
        }
    }

    /// Events due since the last call. At most those of one second: after a pause (a stopped process)
    /// the rate goes on, it does not make up.
    fn take(&mut self, now: Instant) -> u64 {
        let elapsed = self
            .last
            .map_or(TICK, |last| now.saturating_duration_since(last))
            .min(Duration::from_secs(1));
        self.last = Some(now);
        self.credit += elapsed.as_micros() as u64 * u64::from(self.rate);
        let due = self.credit / 1_000_000;
        self.credit %= 1_000_000;
        due
    }
}

/// Keeps the first error of a delivery report.
#[derive(Default)]
struct Refusal(Mutex<Option<KafkaError>>);

impl Refusal {
    fn take(&self) -> Option<KafkaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Refusal {}

impl ProducerContext for Refusal {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::{Message, Offset, TopicPartitionList};

    use super::super::broker::Broker;
    use super::super::topics::PARTITIONS;
    use super::*;

    #[test]
    fn the_pace_keeps_its_rate_over_any_ticks() {
        let start = clock::now();
        for rate in [1, 20, 333, 800] {
            let mut pace = Pace::new(rate);
            pace.take(start);
            let sum: u64 = (1..=400)
                .map(|tick| pace.take(start + tick * Duration::from_millis(25)))
                .sum();
            assert!(sum.abs_diff(u64::from(rate) * 10) <= 1, "{rate}: {sum}");
        }
    }

    #[test]
    fn a_pause_is_not_made_up() {
        let start = clock::now();
        let mut pace = Pace::new(20);
        pace.take(start);
        assert_eq!(pace.take(start + Duration::from_secs(3600)), 20);
    }

    #[test]
    fn the_broker_creates_topics_with_the_demos_partitions() {
        let broker = Broker::start().unwrap();
        let producer = Producer::new(&broker.bootstrap_servers(), 20, 256).unwrap();
        let topics = ["orders".into(), "payments".into()];
        let producer = producer.create_topics(&topics).unwrap();
        let client = producer.client.client();
        let cluster = client.fetch_metadata(None, TOPIC_WITHIN).unwrap();
        let mut found: Vec<_> = cluster
            .topics()
            .iter()
            .map(|topic| (topic.name(), topic.partitions().len()))
            .collect();
        found.sort_unstable();
        let partitions = PARTITIONS as usize;
        assert_eq!(found, [("orders", partitions), ("payments", partitions)]);
    }

    #[tokio::test]
    async fn what_is_written_can_be_read_from_the_broker() {
        let broker = Broker::start().unwrap();
        let servers = broker.bootstrap_servers();
        let mut producer = Producer::new(&servers, 800, 256).unwrap();
        let mut topics = Topics::default();
        topics.add("orders").unwrap();
        let plan = Plan::writing_to(&topics);
        let (_plan, plan) = watch::channel(plan);
        let (written, mut progress) = watch::channel(Written::new());
        let enough = progress.wait_for(|written| written.values().flatten().sum::<u64>() >= 40);
        tokio::select! {
            refused = producer.run(plan, written) => panic!("{refused:?}"),
            enough = enough => drop(enough.unwrap()),
        }
        producer.client.flush(Duration::from_secs(10)).unwrap();

        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("group.id", "reader")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..4 {
            all.add_partition_offset("orders", partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&all).unwrap();
        let mut awaited: Vec<_> = (0..40)
            .map(|number| event("orders", number, 256))
            .map(|event| (event.partition, event.value.into_bytes()))
            .collect();
        while !awaited.is_empty() {
            let message = consumer.poll(Duration::from_secs(10)).unwrap().unwrap();
            let read = (message.partition(), message.payload().unwrap());
            awaited.retain(|(partition, value)| (*partition, value.as_slice()) != read);
        }
    }
}
