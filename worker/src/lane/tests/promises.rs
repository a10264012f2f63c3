//! One promise a test.

use parcelhook_crds::compiled::Filter;
use parcelhook_crds::spec::source::KeyMatch;

use super::super::pace::{AT_ONCE, YOUNG};
use super::*;

fn only(key: &str) -> Option<Filter> {
    Some(Filter {
        headers: Vec::new(),
        keys: vec![KeyMatch::Exact(key.to_owned())],
    })
}

#[test]
fn what_arrives_during_an_attempt_goes_into_the_next_transaction() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.read(0, [1, 2, 3, 4]);
    assert_eq!(
        offsets(&bench.in_flight[0]),
        [0],
        "no linger: the first goes at once"
    );
    bench.end(0, delivered());
    assert_eq!(offsets(&bench.in_flight[0]), [1, 2, 3], "at most maxEvents");
    bench.end(0, delivered());
    bench.end(0, delivered());
    assert_eq!(
        (bench.delivered(1, 0), bench.frontier(0)),
        (&[0, 1, 2, 3, 4][..], 5)
    );
}

#[test]
fn a_failed_transaction_is_repeated_with_the_same_id_and_bytes() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    let first = bench.in_flight[0].request.clone();
    bench.end(0, unavailable());
    bench.read(0, [2, 3]);
    assert!(bench.in_flight.is_empty(), "the lane waits");
    bench.wait(3);
    let second = &bench.in_flight[0].request;
    assert_eq!(
        (&second.id, &second.body, second.attempt),
        (&first.id, &first.body, 2)
    );
    bench.end(0, delivered());
    bench.end(0, delivered());
    assert_eq!(
        (bench.delivered(1, 0), bench.frontier(0)),
        (&[0, 1, 2, 3][..], 4)
    );
}

#[test]
fn a_failing_target_holds_nothing_up() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(bench.attempt_of(1), unavailable());
    bench.end(0, delivered());
    bench.read(0, [1, 2]);
    bench.end(0, delivered());
    assert_eq!(
        (bench.delivered(2, 0), bench.frontier(0)),
        (&[0, 1, 2][..], 3)
    );
}

#[test]
fn an_event_that_nobody_wants_commits_as_it_passes() {
    let mut picky = target(1);
    picky.sources = vec![source(only("key-1"))];
    let mut bench = Bench::new([picky]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 2, 3, 5]);
    assert_eq!((bench.in_flight.len(), bench.frontier(0)), (0, 6));
    assert_eq!(bench.progress[&0].in_flight_bytes(), 0);
    bench.read(0, [6, 7, 8]);
    assert_eq!(
        (offsets(&bench.in_flight[0]), bench.frontier(0)),
        (vec![7], 7)
    );
}

#[test]
fn a_new_target_begins_with_the_next_record_that_is_read() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.apply([target(1), target(2)]);
    bench.read(0, [2]);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(
        (bench.delivered(1, 0), bench.delivered(2, 0)),
        (&[0, 1, 2][..], &[2][..])
    );
}

#[test]
fn a_target_with_a_later_start_gets_nothing_before_it() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![(Uuid::from_u128(2), 2)]);
    bench.read(0, [0, 1]);
    bench.read(0, [2, 3]);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(
        (bench.delivered(1, 0), bench.delivered(2, 0)),
        (&[0, 1, 2, 3][..], &[2, 3][..])
    );
}

#[test]
fn a_changed_target_keeps_what_waits_and_is_tried_at_once() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, outcome(Outcome::Gone));
    bench.wait(100_000);
    assert!(
        bench.in_flight.is_empty(),
        "a target that is gone is left alone"
    );
    let mut changed = target(1);
    changed.timeout = Duration::from_secs(1);
    bench.apply([changed]);
    bench.end(0, delivered());
    assert_eq!((bench.delivered(1, 0), bench.frontier(0)), (&[0, 1][..], 2));
}

#[test]
fn a_filter_that_changes_leaves_what_was_selected_before_it() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2]);
    bench.end(0, unavailable());
    let mut picky = target(1);
    picky.sources = vec![source(only("key-1"))];
    bench.apply([picky]);
    bench.read(0, [3, 4]);
    let mut seen = Vec::new();
    while !bench.in_flight.is_empty() {
        seen.extend(offsets(&bench.in_flight[0]));
        bench.end(0, delivered());
    }
    assert_eq!((seen, bench.frontier(0)), (vec![0, 1, 2, 4], 5));
}

#[test]
fn a_deleted_target_lets_go_of_its_events_and_its_attempt() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.apply([target(2)]);
    let aborted = bench.in_flight.remove(bench.attempt_of(1));
    assert!(aborted.registration.handle().is_aborted());
    assert_eq!(bench.frontier(0), 0);
    bench.end(0, delivered());
    assert_eq!(
        (bench.frontier(0), bench.progress[&0].in_flight_bytes()),
        (2, 0)
    );
}

#[test]
fn a_topic_that_is_no_longer_read_is_delivered_to_its_end() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2, 3]);
    let mut elsewhere = target(1);
    elsewhere.sources = vec![Source {
        topic: "payments".to_owned(),
        ..source(None)
    }];
    bench.apply([elsewhere]);
    bench.read(0, [4]);
    let mut seen = Vec::new();
    while !bench.in_flight.is_empty() {
        seen.extend(offsets(&bench.in_flight[0]));
        bench.end(0, delivered());
    }
    assert_eq!((seen, bench.frontier(0)), (vec![0, 1, 2, 3], 5));
    assert_eq!(bench.shard.report()[0].lanes, 0, "then the lane has ended");
}

#[test]
fn a_suspended_target_keeps_its_events_and_goes_on_where_it_stood() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    let mut suspended = target(1);
    suspended.suspend = true;
    bench.apply([suspended]);
    bench.read(0, [0, 1]);
    bench.wait(10_000);
    assert_eq!((bench.in_flight.len(), bench.frontier(0)), (0, 2));
    bench.apply([target(1)]);
    bench.end(0, delivered());
    assert_eq!((bench.delivered(1, 0), bench.frontier(0)), (&[0, 1][..], 2));
}

#[test]
fn a_throttled_target_is_left_alone_on_all_its_lanes() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.assign(1, vec![]);
    bench.read(0, [0]);
    let retry_after = Some(Duration::from_secs(30));
    bench.end(0, outcome(Outcome::Throttled { retry_after }));
    bench.read(1, [0]);
    bench.wait(29);
    assert!(bench.in_flight.is_empty());
    bench.wait(1);
    let mut attempts: Vec<u32> = bench
        .in_flight
        .iter()
        .map(|it| it.request.attempt)
        .collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2], "what was not sent was no attempt");
}

#[test]
fn a_partition_that_is_let_go_starts_nothing_and_keeps_what_was_delivered() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2, 3, 4]);
    bench.shard.close(&[0]);
    assert!(!bench.shard.is_quiet(&[0]));
    bench.end(0, delivered());
    assert!(bench.in_flight.is_empty() && bench.shard.is_quiet(&[0]));
    bench.shard.drop_partitions(&[0], bench.now);
    assert_eq!((bench.frontier(0), bench.shard.partitions()), (3, 0));
}

#[test]
fn a_burst_over_many_lanes_goes_out_in_turns_and_slow_receivers_hold_nobody_up() {
    let lanes = 2 * AT_ONCE + 1;
    let mut bench = Bench::new((1..=lanes as u128).map(target));
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.read(0, [1]);
    assert_eq!(bench.in_flight.len(), AT_ONCE);
    bench.end(0, delivered());
    assert_eq!(bench.in_flight.len(), AT_ONCE, "one for one");
    bench.now += YOUNG;
    bench.launch();
    assert_eq!(bench.in_flight.len(), 2 * AT_ONCE, "the first are slow");
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.frontier(0), 2);
}

/// A body stays in memory until its receiver has answered.
#[test]
fn transactions_become_smaller_as_bodies_pile_up_and_every_lane_still_sends() {
    let mut bench = Bench::new([]);
    bench.shard = Shard::new(Surroundings {
        budget_bytes: 16_000,
        ..surroundings()
    });
    bench.apply((1..=40).map(target));
    bench.assign(0, vec![]);
    let value = "v".repeat(400);
    bench.take(0, (0..3).map(|offset| record_of(offset, &value)).collect());
    assert_eq!(bench.in_flight.len(), 40);
    let events = |launch: &Launch<Uuid>| launch.sent.events;
    let sent: Vec<u32> = bench.in_flight.iter().map(events).collect();
    assert_eq!((sent[0], sent[39]), (3, 1), "{sent:?}");
    assert!(sent.is_sorted_by(|one, next| one >= next), "{sent:?}");
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.frontier(0), 3);
    bench.take(0, (3..6).map(|offset| record_of(offset, &value)).collect());
    assert_eq!(
        events(&bench.in_flight[0]),
        3,
        "all that was taken is given back"
    );
}

#[test]
fn pending_is_exact() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2, 3, 4]);
    assert_eq!(bench.shard.report()[0].pending_events, 5);
    bench.end(0, delivered());
    assert_eq!(bench.shard.report()[0].pending_events, 2);
    bench.end(0, unavailable());
    assert_eq!(bench.shard.report()[0].pending_events, 2);
}

#[test]
fn a_live_lane_is_small() {
    let size = size_of::<super::super::Lane>();
    assert!(size <= 256, "{size} bytes");
}

#[test]
fn a_lane_that_is_live_is_small() {
    // Thousands of targets on hundreds of partitions: what is rare is behind a pointer.
    assert!(size_of::<crate::lane::Lane>() <= 256);
}
