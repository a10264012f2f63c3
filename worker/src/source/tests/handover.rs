//! Partitions that go from one worker to the next.

use parcelhook_crds::compiled::StartFrom;
use parcelhook_crds::lane::Epoch;

use super::shard::Habit;
use super::world::{Cluster, Worker};

/// Refusals of commits that need not concern what is given back: one that waited behind the member's
/// `JoinGroup` is of the generation before, and so may be the first after it.
const STALE: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_travels_with_the_commits_to_the_next_owner() {
    let cluster = Cluster::with_topic("t", 1);
    cluster.produce("t", 0, 0..10).await;
    let worker = Worker::start(&cluster, "g", Habit::Deliver);
    worker.subscribe("t", StartFrom::Earliest).await;
    worker.committed("t", &[(0, 10)]).await;
    assert_eq!(worker.found(), [(0, None)]);
    worker.shut_down().await;
    let next = Worker::start(&cluster, "g", Habit::ClaimNow);
    next.subscribe("t", StartFrom::Earliest).await;
    // Nothing has moved, and the epoch is committed all the same.
    next.told_of(1).await;
    let first = Epoch { n: 1, random: 0 };
    assert_eq!(next.found(), [(0, Some(first))]);
    assert_eq!(next.told(), [(0, Epoch { n: 2, random: 0 }, 10)]);
    // The shard waits for five more.
    cluster.produce("t", 0, 10..15).await;
    next.told_of(2).await;
    assert_eq!(next.told()[1], (0, Epoch { n: 2, random: 0 }, 15));
    next.shut_down().await;
}

/// The mock answers a follower whose `SyncGroup` comes after the leader's with an error, as no real
/// coordinator does. That follower joins again, and until it has, the mock refuses each commit of those
/// who give partitions back. Only what was refused again and again may be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_topic_and_nothing_is_lost_or_repeated_when_they_come_and_go() {
    let cluster = Cluster::with_topic("shared", 4);
    let first = Worker::start(&cluster, "g", Habit::FinishWhenRevoked);
    first.subscribe("shared", StartFrom::Earliest).await;
    first.owns(4).await;
    for partition in 0..4 {
        cluster.produce("shared", partition, 0..25).await;
    }
    first.received(100).await;
    let second = Worker::start(&cluster, "g", Habit::Deliver);
    second.subscribe("shared", StartFrom::Earliest).await;
    second.owns(2).await;
    first.owns(2).await;
    let (kept, refusals) = first.keeps().await;
    first.shut_down().await;
    second.owns(4).await;
    for partition in 0..4 {
        cluster.produce("shared", partition, 25..30).await;
    }
    for partition in 0..4 {
        second.received_to("shared", partition, 29).await;
        assert_eq!(
            first.offsets("shared", partition),
            (0..25).collect::<Vec<_>>()
        );
        let offsets = second.offsets("shared", partition);
        let refused = refusals > STALE && !kept.contains(&partition) && offsets[0] == 0;
        let start = if refused { 0 } else { 25 };
        assert_eq!(
            offsets,
            (start..30).collect::<Vec<_>>(),
            "partition {partition}"
        );
    }
    second.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_paused_is_read_on_by_whoever_has_it_next() {
    let cluster = Cluster::with_topic("handed", 2);
    for partition in 0..2 {
        cluster.produce_large("handed", partition, 200, 5_000).await;
    }
    let first = Worker::start(&cluster, "g", Habit::HoldPartition(1));
    first.subscribe("handed", StartFrom::Earliest).await;
    first.received_of("handed", 0, 200).await;
    first.paused("handed", 1).await;
    let second = Worker::start(&cluster, "g", Habit::Deliver);
    second.subscribe("handed", StartFrom::Earliest).await;
    first.shut_down().await;
    second.owns(2).await;
    second.received_of("handed", 1, 200).await;
    assert_eq!(second.offsets("handed", 1), (0..200).collect::<Vec<_>>());
    second.shut_down().await;
}
