//! What happens to a failing target's events: one promise a test.

use std::collections::VecDeque;

use parcelhook_crds::spec::source::KeyMatch;

use super::*;
use crate::park::bucket::bucket;
use crate::park::{Order, Refused, Run, Ticket};

fn parked(bench: &Bench) -> Vec<i64> {
    let runs = bench.topics.buckets.values().flatten();
    runs.flat_map(|run| run.events.iter().map(|event| event.offset))
        .collect()
}

#[test]
fn a_failing_targets_events_leave_the_way_and_come_back_in_order() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, unavailable());
    assert_eq!(bench.frontier(0), 2, "parked events may be committed");
    bench.read(0, [2, 3, 4, 5]);
    assert_eq!(
        (parked(&bench), bench.frontier(0)),
        (vec![0, 1, 2, 3, 4, 5], 6)
    );
    assert_eq!(
        bench.progress[&0].in_flight_bytes(),
        0,
        "what is parked holds no memory"
    );
    assert!(
        bench.in_flight.is_empty(),
        "nothing is sent before it is due"
    );
    bench.wait(3);
    assert_eq!(
        offsets(&bench.in_flight[0]),
        [0, 1],
        "the attempted transaction goes as it was"
    );
    assert_eq!(bench.in_flight[0].request.attempt, 2);
    bench.end(0, delivered());
    assert_eq!(offsets(&bench.in_flight[0]), [2, 3, 4]);
    bench.end(0, delivered());
    bench.end(0, delivered());
    assert_eq!(bench.delivered(1, 0), [0, 1, 2, 3, 4, 5]);
    assert!(bench.topics.rows.is_empty(), "the lane is live again");
    assert_eq!(bench.topics.readers(), 0);
    bench.read(0, [6]);
    assert_eq!(offsets(&bench.in_flight[0]), [6]);
    assert_eq!(parked(&bench).len(), 6, "a live lane parks nothing");
}

#[test]
fn only_what_counts_against_the_budget_counts_as_on_its_way() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    assert!(bench.in_flight[0].on_way.is_some());
    bench.end(0, unavailable());
    bench.wait(3);
    assert!(
        bench.in_flight[0].on_way.is_none(),
        "what was read back is none of the budget"
    );
}

#[test]
fn nothing_is_committed_before_park_row_and_terminator_are_written() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.writes = false;
    bench.read(0, [0, 1]);
    bench.end(0, unavailable());
    let mut frontiers = vec![bench.frontier(0)];
    while bench.topics.write_next(&mut bench.shard, bench.now) {
        bench.settle();
        frontiers.push(bench.frontier(0));
    }
    assert_eq!(frontiers, [0, 0, 0, 2], "terminator, row, park");
}

#[test]
fn a_lane_that_is_due_before_its_row_is_written_waits_for_the_row() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.writes = false;
    bench.read(0, [0]);
    bench.end(0, unavailable());
    // A lane that asked for a time that has passed would never let go of its shard.
    bench.wait(10);
    assert!(bench.in_flight.is_empty() && bench.topics.readers() == 0);
    bench.writes = true;
    bench.settle();
    assert_eq!(offsets(&bench.in_flight[0]), [0]);
}

#[test]
fn a_park_that_was_refused_goes_again_with_all_behind_it() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.writes = false;
    bench.read(0, [1]);
    bench.read(0, [2]);
    assert!(
        bench
            .topics
            .refuse_next(&mut bench.shard, Refused::Failed, bench.now)
    );
    bench.writes = true;
    bench.settle();
    assert_eq!(bench.frontier(0), 1);
    bench.wait(1);
    assert_eq!(bench.frontier(0), 3);
    bench.wait(3);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(1, 0), [0, 1, 2]);
}

#[test]
fn a_target_that_fails_again_waits_longer_and_is_sent_the_same_transaction() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    let first = bench.in_flight[0].request.clone();
    bench.end(0, unavailable());
    for attempt in 2..6 {
        bench.wait(1_000);
        let request = bench.in_flight[0].request.clone();
        assert_eq!(
            (&request.id, &request.body, request.attempt),
            (&first.id, &first.body, attempt)
        );
        bench.end(0, unavailable());
        assert_eq!(bench.topics.readers(), 0, "a lane that waits reads nothing");
    }
    assert_eq!(bench.topics.rows.values().next().unwrap().attempts, 5);
}

#[test]
fn events_that_come_while_a_lane_drains_go_behind_what_is_parked() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.wait(3);
    bench.read(0, [1, 2]);
    bench.end(0, delivered());
    bench.read(0, [3]);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(
        (bench.delivered(1, 0), bench.frontier(0)),
        (&[0, 1, 2, 3][..], 4)
    );
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn a_lane_that_succeeds_after_failing_makes_its_siblings_due() {
    let mut bench = Bench::new([target(1)]);
    for slot in 0..3 {
        bench.assign(slot, vec![]);
        bench.read(slot, [0]);
        bench.end(0, unavailable());
    }
    bench.wait(3);
    for _ in 0..2 {
        bench.end(0, unavailable());
    }
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.topics.hints.len(), 3);
    for slot in 0..3 {
        assert_eq!(bench.delivered(1, slot), [0]);
    }
}

#[test]
fn a_suspended_target_keeps_its_events_and_sends_them_in_order_when_it_is_resumed() {
    let mut suspended = target(1);
    suspended.suspend = true;
    let mut bench = Bench::new([suspended]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.wait(100_000);
    assert!(bench.in_flight.is_empty());
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![0, 1], 2));
    bench.apply([target(1)]);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(1, 0), [0, 1]);
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn a_target_that_hangs_is_overtaken_by_nobody_and_its_events_leave_memory() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(bench.attempt_of(2), delivered());
    bench.read(0, [1, 2]);
    bench.end(bench.attempt_of(2), delivered());
    bench.pause(0, true);
    for _ in 0..4 {
        bench.wait(1);
    }
    assert_eq!(bench.progress[&0].in_flight_bytes(), 0);
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![0, 1, 2], 3));
    assert_eq!(
        bench.topics.readers(),
        0,
        "nothing is read back before the attempt has ended"
    );
    bench.end(0, delivered());
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(
        bench.delivered(1, 0),
        [0, 1, 2],
        "the copy of what was in flight is skipped"
    );
}

#[test]
fn an_event_that_the_topic_does_not_take_goes_alone_and_then_by_its_place() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.writes = false;
    bench.read(0, [0, 1]);
    bench.end(0, unavailable());
    for refused in [false, false, true, true] {
        let acted = if refused {
            bench
                .topics
                .refuse_next(&mut bench.shard, Refused::TooLarge, bench.now)
        } else {
            bench.topics.write_next(&mut bench.shard, bench.now)
        };
        assert!(acted);
        bench.settle();
    }
    let orders: Vec<_> = bench
        .topics
        .orders
        .iter()
        .map(|(_, order)| format!("{order:?}"))
        .collect();
    assert!(
        orders
            .iter()
            .any(|order| order.starts_with("ParkReference")),
        "{orders:?}"
    );
}

/// Its copy was never made, because another lane's runs filled the bucket.
#[test]
fn what_was_delivered_after_its_lane_had_left_is_not_sent_again() {
    let crowded = bucket(Uuid::from_u128(1), topics::BUCKETS);
    let in_the_same = |number: &u128| bucket(Uuid::from_u128(*number), topics::BUCKETS) == crowded;
    let slow = (2..).find(in_the_same).expect("numbers are many");
    let keys = vec![KeyMatch::Exact("key-1".to_owned())];
    let headers = Vec::new();
    let some = CompiledTarget {
        sources: vec![source(Some(Filter { headers, keys }))],
        ..target(slow)
    };
    let mut bench = Bench::new([target(1), some]);
    bench.assign(0, vec![]);
    bench.writes = false;
    let value = format!("\"{}\"", "x".repeat(300 << 10));
    bench.take(0, (0..6).map(|offset| record_of(offset, &value)).collect());
    bench.end(bench.attempt_of(1), unavailable());
    // All is written but the runs that fill the bucket.
    bench.pause(0, true);
    let mut runs = VecDeque::new();
    for _ in 0..20 {
        bench.wait(1);
        let is_run = |(_, order): &(Ticket, Order)| matches!(order, Order::Park(_));
        while let Some(run) = bench.topics.orders.iter().position(is_run) {
            runs.extend(bench.topics.orders.remove(run));
        }
        bench.topics.write_next(&mut bench.shard, bench.now);
    }
    assert!(
        !runs.is_empty() && bench.topics.rows.len() == 2,
        "both have left live"
    );
    bench.end(bench.attempt_of(slow), delivered());
    bench.pause(0, false);
    bench.writes = true;
    bench.settle();
    bench.topics.orders.extend(runs);
    bench.settle();
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(slow, 0), [1, 4]);
    assert_eq!(bench.delivered(1, 0), [0, 1, 2, 3, 4, 5]);
}

/// A worker that starts again may not begin to count again: what has an end would never end.
#[test]
fn a_successor_counts_attempts_on_and_waits_as_long_as_its_predecessor_would_have() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.wait(3);
    bench.end(0, unavailable());
    bench.wait(1);
    bench.die_and_take_over(0, 1);
    assert!(bench.in_flight.is_empty(), "the second backoff is 4 s");
    bench.wait(5);
    assert_eq!(bench.in_flight[0].request.attempt, 3);
}

/// Whatever a receiver answers, what is written about it cannot make a record invalid.
#[test]
fn a_parked_record_tells_the_reason_and_no_words_of_the_receiver() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    let attempt = Attempt {
        status: Some(503),
        reason: Reason::HttpStatus,
        detail: Some("<html>\r\nX-Injected: yes".to_owned()),
        ..unavailable()
    };
    bench.end(0, attempt);
    let runs: Vec<&Run> = bench.topics.buckets.values().flatten().collect();
    assert_eq!(runs[0].last_error.as_deref(), Some("HTTPStatus 503"));
}
