//! The tail against librdkafka's mock cluster.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parcelhook_crds::lane::{Epoch, RowKey, Terminator};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::mpsc::{Receiver, channel};

use super::super::sample::{epoch, lane, place, row};
use super::super::table::scope_of;
use super::super::{Ask, Told};
use super::*;
use crate::park::bucket::lanes_partition;

const GROUP: &str = "parcelhook.main.default";
const TOPIC: &str = "parcelhook.lanes";
const PARTITIONS: i32 = 3;

/// Long enough that only a real hang reaches it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A mock cluster with a lanes topic.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl Cluster {
    fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .create()
            .unwrap();
        Self { mock, producer }
    }

    async fn write(&self, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) {
        let mut record = FutureRecord::to(TOPIC).partition(partition);
        record.key = key;
        record.payload = value;
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    /// Writes a lane's row, or its end.
    async fn row(&self, partition: i32, epoch: Epoch, number: u8, delivered: Option<i64>) {
        let key = RowKey {
            scope: scope_of(GROUP, &place(partition), epoch),
            lane: Some(lane(number)),
        };
        let value = delivered.map(|delivered| row(delivered).encode());
        self.write(home(partition), Some(&key.encode()), value.as_deref())
            .await;
    }

    async fn terminator(&self, partition: i32, epoch: Epoch, frontier: i64) {
        let key = RowKey {
            scope: scope_of(GROUP, &place(partition), epoch),
            lane: None,
        };
        let value = Terminator { frontier }.encode();
        self.write(home(partition), Some(&key.encode()), Some(&value))
            .await;
    }

    fn tail(&self) -> Tail {
        let config = TailConfig {
            client: crate::config::KAFKA_DEFAULTS
                .into_iter()
                .chain([
                    ("bootstrap.servers", self.mock.bootstrap_servers().as_str()),
                    ("reconnect.backoff.max.ms", "500"),
                ])
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            partitions: PARTITIONS,
        };
        let (first, first_told) = channel(1);
        let (second, second_told) = channel(1);
        let (handle, thread) = prepare(config, vec![first, second]).unwrap();
        let thread = std::thread::Builder::new()
            .spawn(move || thread.run())
            .unwrap();
        Tail {
            handle,
            told: [first_told, second_told],
            thread,
        }
    }
}

/// Where in the lanes topic the rows of a source partition are.
fn home(partition: i32) -> i32 {
    lanes_partition(GROUP, "orders", partition, PARTITIONS)
}

/// A running tail with two shards that have room for one answer each.
struct Tail {
    handle: TailHandle,
    told: [Receiver<Told>; 2],
    thread: std::thread::JoinHandle<()>,
}

impl Tail {
    fn take_over(&self, shard: u32, slot: u32, partition: i32, epoch: Option<Epoch>) {
        let place = place(partition);
        let ask = Ask::TakeOver {
            shard,
            slot,
            place,
            epoch,
        };
        self.handle.ask(ask).unwrap();
    }

    fn sweep(&self, slot: u32, partition: i32, epoch: Epoch) {
        let place = place(partition);
        let ask = Ask::Sweep {
            shard: 0,
            slot,
            place,
            epoch,
        };
        self.handle.ask(ask).unwrap();
    }

    async fn told(&mut self, shard: usize) -> Told {
        let told = tokio::time::timeout(PATIENCE, self.told[shard].recv());
        told.await.expect("the tail answers").unwrap()
    }

    /// Slot, offsets of the rows, highest epoch and frontier.
    async fn rows(&mut self, shard: usize) -> (u32, Vec<i64>, u32, Option<i64>) {
        match self.told(shard).await {
            Told::Rows {
                slot,
                rows,
                highest,
                frontier,
            } => {
                let rows = rows.iter().map(|(_, row)| row.delivered_through);
                (slot, rows.collect(), highest, frontier)
            }
            Told::Stale { .. } | Told::Recovered { .. } => panic!("rows were asked for"),
        }
    }

    async fn stale(&mut self) -> (u32, Vec<RowKey>) {
        match self.told(0).await {
            Told::Stale { slot, keys } => (slot, keys),
            Told::Rows { .. } | Told::Recovered { .. } => panic!("stale keys were asked for"),
        }
    }

    async fn end(self) {
        drop(self.handle);
        let thread = self.thread;
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_gets_every_row_that_was_written_before_it_asked() {
    let cluster = Cluster::new();
    let mut tail = cluster.tail();
    // Without rows: also the answer of an empty topic comes.
    tail.take_over(0, 1, 0, None);
    assert_eq!(tail.rows(0).await, (1, Vec::new(), 0, None));
    for round in 0..20u32 {
        let own = epoch(round + 1);
        cluster.terminator(0, own, 7).await;
        for number in 0..9 {
            cluster.row(0, own, number, Some(i64::from(round))).await;
        }
        cluster.row(0, own, 0, None).await;
        tail.take_over(1, round + 2, 0, Some(own));
        let expected = (round + 2, vec![i64::from(round); 8], round + 1, Some(7));
        assert_eq!(tail.rows(1).await, expected);
    }
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_starts_late_reads_everything_first() {
    let cluster = Cluster::new();
    for partition in 0..12 {
        cluster.terminator(partition, epoch(1), 5).await;
        cluster
            .row(partition, epoch(1), 1, Some(partition.into()))
            .await;
    }
    let mut tail = cluster.tail();
    for partition in 0..12 {
        tail.take_over(0, partition as u32, partition, None);
    }
    let mut slots = Vec::new();
    for _ in 0..12 {
        let (slot, rows, highest, frontier) = tail.rows(0).await;
        assert_eq!((rows, highest, frontier), (vec![slot.into()], 1, Some(5)));
        slots.push(slot);
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..12).collect::<Vec<_>>());
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_missing_however_many_come_at_once() {
    let cluster = Cluster::new();
    // More than is read in one go, and each of them counts.
    let (owners, lanes) = (12, 200);
    for partition in 0..owners {
        let rows = (0..lanes).map(|lane| cluster.row(partition, epoch(1), lane, Some(1)));
        futures::future::join_all(rows).await;
    }
    let mut tail = cluster.tail();
    for partition in 0..owners {
        tail.take_over(0, partition as u32, partition, Some(epoch(1)));
    }
    for _ in 0..owners {
        let (slot, rows, ..) = tail.rows(0).await;
        assert_eq!(rows.len(), usize::from(lanes), "partition {slot}");
    }
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_of_what_is_stale_now_and_of_what_comes_late() {
    let cluster = Cluster::new();
    cluster.row(0, epoch(1), 1, Some(1)).await;
    let mut tail = cluster.tail();
    tail.take_over(1, 9, 0, None);
    let _ = tail.rows(1).await;
    tail.sweep(9, 0, epoch(2));
    let (slot, keys) = tail.stale().await;
    assert_eq!((slot, keys.len()), (9, 1));
    cluster.row(0, epoch(1), 1, None).await;
    // A predecessor that does not know yet.
    cluster.row(0, epoch(1), 2, Some(2)).await;
    let (_, keys) = tail.stale().await;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].lane, keys[0].scope.epoch),
        (Some(lane(2)), epoch(1))
    );
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_records_are_counted_and_skipped() {
    let cluster = Cluster::new();
    for partition in 0..PARTITIONS {
        cluster.write(partition, None, Some(b"x")).await;
        cluster.write(partition, Some(b"{}"), None).await;
    }
    cluster.row(0, epoch(1), 1, Some(1)).await;
    let mut tail = cluster.tail();
    for partition in 0..12 {
        tail.take_over(0, partition as u32, partition, Some(epoch(1)));
    }
    for _ in 0..12 {
        let (slot, rows, ..) = tail.rows(0).await;
        assert_eq!(rows.len(), usize::from(slot == 0));
    }
    assert_eq!(tail.handle.unreadable().load(Ordering::Relaxed), 6);
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_cost_nothing_but_time() {
    let cluster = Cluster::new();
    cluster.row(0, epoch(1), 1, Some(1)).await;
    cluster.mock.broker_down(1).unwrap();
    let mut tail = cluster.tail();
    tail.take_over(0, 1, 0, Some(epoch(1)));
    let early = tokio::time::timeout(Duration::from_secs(2), tail.told[0].recv()).await;
    assert!(early.is_err(), "nothing can be known yet");
    cluster.mock.broker_up(1).unwrap();
    assert_eq!(tail.rows(0).await, (1, vec![1], 1, None));
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_refuse_to_name_the_end_are_asked_again() {
    let cluster = Cluster::new();
    cluster.row(0, epoch(1), 1, Some(1)).await;
    let mut tail = cluster.tail();
    tail.take_over(0, 1, 0, Some(epoch(1)));
    let _ = tail.rows(0).await;
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    cluster
        .mock
        .request_errors(RDKafkaApiKey::ListOffsets, &refusals);
    for partition in 0..6 {
        tail.take_over(0, partition as u32 + 2, partition, Some(epoch(1)));
    }
    for _ in 0..6 {
        let (slot, rows, ..) = tail.rows(0).await;
        assert_eq!(rows.len(), usize::from(slot == 2));
    }
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_takes_no_answers_keeps_no_other_waiting() {
    let cluster = Cluster::new();
    let mut tail = cluster.tail();
    for slot in 0..8 {
        tail.take_over(0, slot, slot as i32, None);
    }
    for slot in 8..16 {
        tail.take_over(1, slot, slot as i32, None);
        assert_eq!(tail.rows(1).await.0, slot);
    }
    for slot in 0..8 {
        assert_eq!(tail.rows(0).await.0, slot);
    }
    tail.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thread_ends_with_the_last_handle_also_without_brokers() {
    let cluster = Cluster::new();
    cluster.mock.broker_down(1).unwrap();
    let tail = cluster.tail();
    tail.take_over(0, 1, 0, None);
    tokio::time::timeout(PATIENCE, tail.end()).await.unwrap();
}
