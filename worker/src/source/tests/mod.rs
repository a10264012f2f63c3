//! The consumer thread against librdkafka's mock cluster.
//!
//! The mock lets a group join after three seconds and keeps 5 MiB a partition; the tests stay below.

mod handover;
mod shard;
mod world;

use std::time::Duration;

use parcelhook_crds::compiled::StartFrom;
use rdkafka::types::RDKafkaRespErr;

use super::*;
use crate::clock;
use shard::Habit;
use world::{Cluster, Worker};

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_in_order_and_what_is_done_is_committed() {
    let cluster = Cluster::with_topic("orders", 3);
    cluster.produce("orders", 0, 0..50).await;
    cluster.produce("orders", 2, 0..20).await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("orders", StartFrom::Earliest).await;
    worker.received(70).await;
    cluster.produce("orders", 0, 50..60).await;
    worker.received(80).await;
    worker
        .committed("orders", &[(0, 60), (1, 0), (2, 20)])
        .await;
    assert_eq!(worker.offsets("orders", 0), (0..60).collect::<Vec<_>>());
    assert_eq!(worker.offsets("orders", 2), (0..20).collect::<Vec<_>>());
    let report = worker.handle.report().await.unwrap();
    assert_eq!((report.records_read, report.bytes_in_flight), (80, 0));
    assert!(report.joined && report.commits_ok > 0 && report.events_lost.is_empty());
    worker.shut_down().await;
    assert_eq!(cluster.committed("g", "orders", 0), Some(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_values_headers_and_tombstones_arrive_as_they_were_written() {
    let cluster = Cluster::with_topic("raw", 1);
    cluster.produce_odd_records("raw").await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("raw", StartFrom::Earliest).await;
    worker.received(2).await;
    let records = worker.records();
    let (full, bare) = (&records[0], &records[1]);
    assert_eq!(
        (full.key(), full.value()),
        (Some(&b"k"[..]), Some(&b"v\0"[..]))
    );
    let headers: Vec<_> = full.headers().collect();
    assert_eq!(headers, [("a", Some(&b"\xff"[..])), ("a", None)]);
    assert_eq!(
        (bare.key(), bare.value(), bare.headers().count()),
        (None, None, 0)
    );
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_new_topic_is_remembered_at_once() {
    let cluster = Cluster::with_topic("news", 2);
    cluster.produce("news", 0, 0..5).await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("news", StartFrom::Latest).await;
    worker.committed("news", &[(0, 5), (1, 0)]).await;
    worker.shut_down().await;
    // What comes while no worker runs is not skipped by the next one.
    cluster.produce("news", 0, 5..8).await;
    cluster.produce("news", 1, 0..2).await;
    let next = Worker::start(&cluster, "g", Habit::Deliver);
    next.subscribe("news", StartFrom::Latest).await;
    next.received(5).await;
    assert_eq!(next.offsets("news", 0), [5, 6, 7]);
    assert_eq!(next.offsets("news", 1), [0, 1]);
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_shard_has_claimed_is_not_committed_and_the_next_owner_finds_nothing() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::NeverClaim);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(10).await;
    worker.shut_down().await;
    assert_eq!(cluster.committed("g", "t", 0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_commit_begins_where_an_earlier_owner_has_left_it() {
    let cluster = Cluster::with_topic("t", 2);
    cluster.produce("t", 0, 0..10).await;
    cluster.produce("t", 1, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::BeginAt(6));
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.committed("t", &[(0, 10), (1, 10)]).await;
    worker.shut_down().await;
    for partition in 0..2 {
        let offsets = worker.offsets("t", partition);
        let again: Vec<i64> = offsets.iter().copied().skip_while(|o| *o < 6).collect();
        assert!(again.ends_with(&[6, 7, 8, 9]), "{offsets:?}");
    }
    // It had no commit: now it has one, and what is left elsewhere does not matter any more.
    let next = Worker::start(&cluster, "g", Habit::BeginAt(3));
    next.subscribe("t", StartFrom::Earliest).await;
    next.owns(2).await;
    cluster.produce("t", 0, 10..12).await;
    next.received(2).await;
    assert_eq!(next.offsets("t", 0), [10, 11]);
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_commits_what_shards_finish_in_their_grace() {
    let cluster = Cluster::with_topic("t", 2);
    cluster.produce("t", 0, 0..10).await;
    cluster.produce("t", 1, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::FinishWhenRevoked);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(20).await;
    assert_eq!(cluster.committed("g", "t", 0).unwrap_or(0), 0);
    worker.shut_down().await;
    assert_eq!(cluster.committed("g", "t", 0), Some(10));
    assert_eq!(cluster.committed("g", "t", 1), Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_never_answers_does_not_stop_a_shutdown() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::NeverAnswer);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(10).await;
    worker.shut_down().await;
    assert_eq!(cluster.committed("g", "t", 0), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_spent_stops_reading_until_bytes_are_released() {
    let cluster = Cluster::with_topic("big", 4);
    for partition in 0..4 {
        cluster.produce_large("big", partition, 100, 10_000).await;
    }
    let worker = Worker::start(&cluster, "g", Habit::Hold);
    worker.subscribe("big", StartFrom::Earliest).await;
    worker.all_paused_or_full().await;
    let report = worker.handle.report().await.unwrap();
    let bound = world::BUDGET + 4 * (2 * 64 * 1024 + 20_000);
    assert!(
        report.bytes_in_flight <= bound,
        "{}",
        report.bytes_in_flight
    );
    worker.change(Habit::Deliver);
    worker.received(400).await;
    for partition in 0..4 {
        let offsets = worker.offsets("big", partition);
        assert_eq!(offsets, (0..100).collect::<Vec<_>>());
    }
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_does_not_drain_is_paused_alone_and_goes_on_later() {
    let cluster = Cluster::with_topic("mixed", 3);
    for partition in 0..3 {
        cluster.produce_large("mixed", partition, 200, 5_000).await;
    }
    let worker = Worker::start(&cluster, "g", Habit::HoldPartition(1));
    worker.subscribe("mixed", StartFrom::Earliest).await;
    worker.received_of("mixed", 0, 200).await;
    worker.received_of("mixed", 2, 200).await;
    let report = worker.handle.report().await.unwrap();
    let paused: Vec<i32> = report
        .partitions
        .iter()
        .filter(|partition| partition.paused)
        .map(|partition| partition.partition)
        .collect();
    assert_eq!(paused, [1]);
    worker.change(Habit::Deliver);
    worker.received_of("mixed", 1, 200).await;
    assert_eq!(worker.offsets("mixed", 1), (0..200).collect::<Vec<_>>());
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_and_comes_back_costs_nothing_but_time() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..5).await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(5).await;
    cluster.mock.broker_down(1).unwrap();
    worker.handle.report().await.unwrap();
    cluster.mock.broker_up(1).unwrap();
    cluster.produce("t", 0, 5..10).await;
    worker.received(10).await;
    worker.committed("t", &[(0, 10)]).await;
    assert_eq!(worker.offsets("t", 0), (0..10).collect::<Vec<_>>());
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_start_cannot_be_asked_for_waits_and_skips_nothing() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..5).await;
    // Enough refusals to outlast the first question, inside the rebalance.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 4];
    cluster.refuse_list_offsets(&refusals);
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(5).await;
    assert_eq!(worker.offsets("t", 0), (0..5).collect::<Vec<_>>());
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_while_no_worker_ran_is_counted() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.committed("t", &[(0, 10)]).await;
    worker.shut_down().await;
    // The mock keeps 5 MiB.
    cluster.produce_large("t", 0, 100, 100_000).await;
    let next = Worker::start(&cluster, "g", Habit::Deliver);
    next.subscribe("t", StartFrom::Latest).await;
    next.received_to("t", 0, 109).await;
    let first = next.offsets("t", 0)[0];
    assert!(first > 10);
    assert_eq!(next.lost("retention").await, first - 10);
    assert_eq!(next.offsets("t", 0), (first..110).collect::<Vec<_>>());
    next.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_from_a_paused_partition_is_counted_and_reading_goes_on() {
    let cluster = Cluster::with_topic("t", 2);
    cluster.produce_large("t", 0, 60, 40_000).await;
    cluster.produce("t", 1, 0..3).await;
    let worker = Worker::start(&cluster, "g", Habit::HoldPartition(0));
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.paused("t", 0).await;
    worker.received_of("t", 1, 3).await;
    let held = worker.offsets("t", 0);
    cluster.produce_large("t", 0, 100, 100_000).await;
    worker.change(Habit::Deliver);
    worker.received_to("t", 0, 159).await;
    let all = worker.offsets("t", 0);
    let after = all[held.len()];
    assert_eq!(all[..held.len()], held);
    assert_eq!(all[held.len()..], (after..160).collect::<Vec<_>>());
    assert_eq!(worker.lost("retention").await, after - held.len() as i64);
    cluster.produce("t", 1, 3..5).await;
    worker.received_of("t", 1, 5).await;
    assert_eq!(worker.offsets("t", 1), [0, 1, 2, 3, 4]);
    worker.committed("t", &[(0, 160), (1, 5)]).await;
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_topics_a_worker_gives_its_partitions_back_and_can_take_them_again() {
    let cluster = Cluster::with_topic("t", 2);
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.owns(2).await;
    worker.handle.subscribe(Subscription::new()).await.unwrap();
    worker.owns(0).await;
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.owns(2).await;
    worker.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_ends_the_thread_in_good_order() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..3).await;
    let worker = Worker::start(&cluster, "g", Habit::FinishWhenRevoked);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.received(3).await;
    worker.drop_handle().await;
    assert_eq!(cluster.committed("g", "t", 0), Some(3));
}

#[tokio::test]
async fn a_thread_that_has_ended_says_so() {
    let cluster = Cluster::with_topic("t", 1);
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.shut_down().await;
    worker
        .handle
        .shut_down(clock::now() + Duration::from_secs(60))
        .await;
    assert!(matches!(
        worker.handle.report().await,
        Err(SourceError::Ended)
    ));
    assert!(matches!(worker.handle.failed().await, SourceError::Ended));
}

#[test]
fn a_refused_property_is_named_without_its_value() {
    let config = SourceConfig {
        client: vec![("session.timeout.ms".to_owned(), "s3cret".to_owned())],
        group: "g".to_owned(),
        budget_bytes: 1,
        let_go: LET_GO,
    };
    assert!(!format!("{config:?}").contains("s3cret"));
    let error = prepare(config, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("session.timeout.ms"), "{error}");
}
