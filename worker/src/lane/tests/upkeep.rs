//! What a shard does that nobody's events ask for: one promise a test.

use super::*;
use crate::state::Told;

const DAY_SECONDS: u64 = 24 * 3600;

#[test]
fn what_is_written_of_a_lane_that_stands_is_written_again_once_a_day() {
    let mut suspended = target(1);
    suspended.suspend = true;
    let mut bench = Bench::new([suspended]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.wait(3600);
    for _ in 0..2 {
        let written = (bench.topics.rows.clone(), bench.topics.terminators.clone());
        assert_eq!((written.0.len(), written.1.len()), (1, 1));
        bench.topics.rows.clear();
        bench.topics.terminators.clear();
        bench.wait(DAY_SECONDS / 2);
        assert!(bench.topics.rows.is_empty() && bench.topics.terminators.is_empty());
        bench.wait(DAY_SECONDS / 2);
        assert_eq!(bench.topics.rows, written.0);
        assert_eq!(bench.topics.terminators, written.1);
    }
}

#[test]
fn a_partition_without_rows_writes_nothing_however_long_it_stands() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, delivered());
    bench.wait(3 * DAY_SECONDS);
    assert!(bench.topics.rows.is_empty() && bench.topics.terminators.is_empty());
}

#[test]
fn a_lane_that_waits_tries_when_another_worker_tells_that_its_target_takes_deliveries_again() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    for number in [1, 2] {
        for _ in 0..4 {
            bench.end(bench.attempt_of(number), unavailable());
            bench.shard.retry(Uuid::from_u128(number), bench.now);
            bench.settle();
        }
        bench.end(bench.attempt_of(number), unavailable());
    }
    let recovered = Told::Recovered {
        target: Uuid::from_u128(1),
    };
    bench.shard.told(recovered, bench.now);
    bench.settle();
    assert_eq!(bench.in_flight.len(), 1, "the other target's lane waits");
    assert_eq!(bench.in_flight[0].request.attempt, 6, "its count stays");
    assert!(bench.topics.hints.is_empty(), "no hint follows from a hint");
    bench.end(0, delivered());
    assert_eq!(bench.delivered(1, 0), [0]);
}
