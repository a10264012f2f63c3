//! Orders against librdkafka's own small cluster, which fails on demand.

use std::sync::Arc;
use std::time::Duration;

use parcelhook_crds::lane::{Epoch, Incarnation, LaneName, ParkReason, RowKey, Scope};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::mpsc::{Receiver, channel};
use uuid::Uuid;

use super::*;
use crate::park::{LaneAddress, Run};
use crate::source::PartitionId;
use crate::source::record::{Record, Timestamp};

/// Longer than anything takes; a test that waits for it has failed.
const SOON: Duration = Duration::from_secs(30);

struct World {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: Producer,
    answers: Receiver<Produced>,
}

impl World {
    fn new(places: usize) -> Self {
        let mock = MockCluster::new(1).unwrap();
        let names = Names::new("p");
        for (topic, partitions) in names.with_partitions() {
            mock.create_topic(&topic, partitions, 1).unwrap();
        }
        let (sender, answers) = channel(places);
        let config = ProducerConfig {
            client: vec![("bootstrap.servers".to_owned(), mock.bootstrap_servers())],
            names,
            lanes_partitions: 4,
            largest_record_bytes: 100_000,
        };
        let producer = Producer::new(config, vec![sender]).unwrap();
        Self {
            mock,
            producer,
            answers,
        }
    }

    fn order(&self, number: u64, order: Order) -> Result<(), NoRoom> {
        self.producer.carry_out(ticket(number), 0, order)
    }

    async fn answer(&mut self) -> (u64, Result<i64, Refused>) {
        let answer = tokio::time::timeout(SOON, self.answers.recv()).await;
        let answer = answer.unwrap().unwrap();
        (answer.ticket.number, answer.result)
    }

    async fn shut_down(&self) {
        self.producer.shut_down(clock::now() + SOON).await;
    }
}

fn ticket(number: u64) -> Ticket {
    Ticket {
        slot: 1,
        lane: None,
        number,
    }
}

fn park(value: &[u8]) -> Order {
    let lane = LaneAddress {
        name: LaneName {
            target: Uuid::nil(),
            selection: [0; 16],
        },
        source: PartitionId {
            topic: "orders".into(),
            partition: 0,
        },
        topic_id: None,
        bucket: 2,
    };
    let event = Record::new(7, Timestamp::Missing, None, Some(value), [].into_iter());
    Order::Park(Box::new(Run {
        lane: Arc::new(lane),
        incarnation: Incarnation {
            epoch: Epoch { n: 1, random: 1 },
            counter: 1,
        },
        reason: ParkReason::Failed,
        prev: None,
        attempts: 1,
        first_failed_at: None,
        not_before: None,
        last_error: None,
        events: vec![event],
    }))
}

fn tombstone() -> Order {
    let scope = Scope {
        group: "g".to_owned(),
        topic_id: None,
        topic: "orders".to_owned(),
        partition: 0,
        epoch: Epoch { n: 1, random: 1 },
    };
    Order::Row(RowKey { scope, lane: None }, None)
}

#[tokio::test]
async fn orders_are_answered_with_their_offsets_in_order() {
    let mut world = World::new(8);
    for number in 0..3 {
        world.order(number, park(b"{}")).unwrap();
    }
    for number in 0..3_u64 {
        assert_eq!(world.answer().await, (number, Ok(number.cast_signed())));
    }
    world.order(3, tombstone()).unwrap();
    assert_eq!(world.answer().await, (3, Ok(0)));
    assert_eq!(world.producer.unanswered_bytes(), 0);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_at_once_and_its_reference_is_taken() {
    let mut world = World::new(8);
    let large = park(&vec![0; 200_000]);
    world.order(1, large).unwrap();
    assert_eq!(world.answer().await, (1, Err(Refused::TooLarge)));
    let Order::Park(run) = park(&vec![0; 200_000]) else {
        unreachable!("it is a park");
    };
    world.order(2, Order::ParkReference(run)).unwrap();
    assert_eq!(world.answer().await, (2, Ok(0)));
}

#[tokio::test]
async fn a_shard_has_no_more_orders_open_than_its_channel_has_places() {
    let mut world = World::new(2);
    world.order(1, tombstone()).unwrap();
    world.order(2, tombstone()).unwrap();
    let refused = world.order(3, tombstone()).unwrap_err();
    assert!(matches!(*refused.0, Order::Row(_, None)));
    assert_eq!(world.answer().await, (1, Ok(0)));
    world.order(3, tombstone()).unwrap();
    assert_eq!(world.answer().await, (2, Ok(1)));
    assert_eq!(world.answer().await, (3, Ok(2)));
}

#[tokio::test]
async fn a_run_without_events_is_refused() {
    let mut world = World::new(8);
    let Order::Park(mut run) = park(b"") else {
        unreachable!("it is a park");
    };
    run.events.clear();
    world.order(1, Order::Park(run)).unwrap();
    assert_eq!(world.answer().await, (1, Err(Refused::Failed)));
}

#[tokio::test]
async fn a_park_beyond_the_share_of_its_bucket_is_refused_and_a_row_is_not() {
    let mut world = World::new(100);
    world.mock.broker_down(1).unwrap();
    let large = vec![0; 90_000];
    for number in 0..30 {
        world.order(number, park(&large)).unwrap();
    }
    let (number, result) = world.answer().await;
    assert_eq!(result, Err(Refused::QueueFull));
    assert!((20..24).contains(&number), "{number}");
    world.order(30, tombstone()).unwrap();
    world.mock.broker_up(1).unwrap();
    let mut written = 0;
    for _ in 0..30 {
        match world.answer().await.1 {
            Ok(_) => written += 1,
            Err(refused) => assert_eq!(refused, Refused::QueueFull),
        }
    }
    // Those before the first refusal, and the row.
    assert_eq!(written, number + 1);
}

#[tokio::test]
async fn a_client_that_fails_for_good_is_replaced_and_all_it_held_is_answered() {
    let mut world = World::new(8);
    // A producer that may not even begin: librdkafka calls it fatal.
    world.mock.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
    );
    for number in 0..3 {
        world.order(number, park(b"{}")).unwrap();
    }
    for number in 0..3 {
        let answer = world.answer().await;
        assert_eq!(answer, (number, Err(Refused::ProducerReplaced)));
    }
    assert_eq!(world.producer.generation(), 1);
    assert_eq!(world.producer.unanswered_bytes(), 0);

    // The next client is made a second after the last: until then orders are refused.
    let mut number = 3;
    let offset = loop {
        world.order(number, park(b"{}")).unwrap();
        match world.answer().await {
            (_, Ok(offset)) => break offset,
            (_, Err(refused)) => assert_eq!(refused, Refused::Failed),
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(offset, 0);
    assert_eq!(world.producer.generation(), 1);
}

#[tokio::test]
async fn shutting_down_waits_for_what_is_open_and_takes_no_more() {
    let mut world = World::new(8);
    world.order(1, park(b"{}")).unwrap();
    world.shut_down().await;
    assert_eq!(world.answer().await, (1, Ok(0)));
    world.order(2, park(b"{}")).unwrap();
    assert_eq!(world.answer().await, (2, Err(Refused::Failed)));
}

#[tokio::test]
async fn shutting_down_ends_at_the_deadline_and_answers_what_is_left() {
    let mut world = World::new(8);
    world.mock.broker_down(1).unwrap();
    world.order(1, park(b"{}")).unwrap();
    let deadline = clock::now() + Duration::from_millis(200);
    world.producer.shut_down(deadline).await;
    let (number, result) = world.answer().await;
    assert_eq!(number, 1);
    assert!(result.is_err(), "{result:?}");
}

#[tokio::test]
async fn orders_of_a_shard_that_has_ended_are_carried_out() {
    let World {
        producer, answers, ..
    } = World::new(1);
    drop(answers);
    producer.carry_out(ticket(1), 0, tombstone()).unwrap();
    assert!(producer.carry_out(ticket(2), 1, tombstone()).is_err());
}

#[tokio::test]
async fn one_report_is_on_its_way_at_a_time_and_nobody_waits_for_it() {
    let world = World::new(1);
    let key = ReportKey::of_worker("g", "w");
    let report = Heartbeat::default();
    world.mock.broker_down(1).unwrap();
    assert!(world.producer.tell(&key, Some(&report)));
    assert!(!world.producer.tell(&key, Some(&report)));
    world.mock.broker_up(1).unwrap();
    world.shut_down().await;
    assert_eq!(world.producer.unanswered_bytes(), 0);
    assert!(world.producer.tell(&key, None), "the last one was answered");
}
