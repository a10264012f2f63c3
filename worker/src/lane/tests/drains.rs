//! How lanes that drain share what may be read back: one promise a test.

use super::*;

/// One lane that drains well leaves room for several at once; none of those that wait is forgotten.
#[test]
fn lanes_that_wait_for_room_all_get_their_turn() {
    let mut bench = Bench::new([]);
    bench.shard = Shard::new(Surroundings {
        // 64 KiB for what is read back: four lanes at first, or one that drains well.
        budget_bytes: 1 << 17,
        ..surroundings()
    });
    bench.apply((1..=20).map(target));
    bench.assign(0, vec![]);
    bench.read(0, 0..18);
    bench.end(bench.attempt_of(1), unavailable());
    bench.wait(3);
    for _ in 0..4 {
        bench.end(bench.attempt_of(1), delivered());
    }
    for number in 2..=20 {
        bench.end(bench.attempt_of(number), unavailable());
    }
    bench.wait(3);
    assert_eq!(bench.in_flight.len(), 1, "one has all the room");
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    for number in 1..=20 {
        let expected: Vec<i64> = (0..18).collect();
        assert_eq!(bench.delivered(number, 0), expected, "target {number}");
    }
}

/// There is room for one lane only, and it has much to send.
#[test]
fn a_lane_that_drains_for_long_gives_way_to_one_that_waits() {
    let mut bench = Bench::new([]);
    bench.shard = Shard::new(Surroundings {
        budget_bytes: 1 << 15,
        ..surroundings()
    });
    bench.apply([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, 0..60);
    bench.end(bench.attempt_of(1), unavailable());
    bench.wait(3);
    bench.end(bench.attempt_of(2), unavailable());
    let mut before = Vec::new();
    while bench.delivered(2, 0).len() < 60 {
        bench.wait(1);
        before.push(bench.delivered(1, 0).len());
        bench.end(0, delivered());
    }
    assert!(before[3] > 0, "the first was there first");
    let half_way = before[before.len() / 2];
    assert!(half_way < 60, "and did not keep all to itself: {before:?}");
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
        bench.wait(1);
    }
    let all: Vec<i64> = (0..60).collect();
    assert_eq!(
        (bench.delivered(1, 0), bench.delivered(2, 0)),
        (&*all, &*all)
    );
}

/// A parked record may be many times larger than what a lane reads at first.
#[test]
fn events_larger_than_the_room_of_a_drain_come_back_one_after_the_other() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    let value = format!("\"{}\"", "x".repeat(300 << 10));
    bench.take(0, (0..12).map(|offset| record_of(offset, &value)).collect());
    bench.end(0, unavailable());
    bench.wait(3);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    let expected: Vec<i64> = (0..12).collect();
    assert_eq!(bench.delivered(1, 0), expected);
    assert!(bench.topics.rows.is_empty(), "the lane is live again");
}
