//! How many events count as parked: one promise a test.

use super::*;

fn count(bench: &Bench) -> u64 {
    bench.shard.report()[0].parked.events
}

/// A lane whose attempt with the first three of five events is in flight, and all five are parked.
fn insured() -> Bench {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2, 3, 4]);
    bench.pause(0, true);
    for _ in 0..4 {
        bench.wait(1);
    }
    assert_eq!((count(&bench), bench.frontier(0)), (5, 5));
    bench
}

#[test]
fn copies_of_what_was_delivered_after_all_do_not_count() {
    let mut bench = insured();
    // Its drain must wait for room, so that the count stands for a while.
    bench.shard.drained = crate::lane::drained::Drained::full();
    bench.end(0, delivered());
    assert_eq!(count(&bench), 2);
}

#[test]
fn copies_that_are_still_on_their_way_do_not_count_either() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.writes = false;
    bench.read(0, [0, 1, 2, 3, 4]);
    bench.pause(0, true);
    for _ in 0..4 {
        bench.wait(1);
    }
    bench.end(0, delivered());
    bench.shard.drained = crate::lane::drained::Drained::full();
    bench.writes = true;
    bench.settle();
    assert_eq!((count(&bench), bench.frontier(0)), (2, 5));
}

#[test]
fn what_a_predecessor_has_parked_and_counted_is_not_counted_again() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2]);
    bench.end(0, unavailable());
    bench.wait(1);
    bench.shard.retry(Uuid::from_u128(1), bench.now);
    bench.settle();
    bench.end(0, unavailable());
    let row = bench.topics.rows.values().next().unwrap();
    assert_eq!((row.parked, row.parked_through), (3, Some(2)));
    bench.die_and_take_over(0, 1);
    bench.read(0, [1, 2, 3, 4]);
    assert_eq!(count(&bench), 5);
}

#[test]
fn what_a_predecessor_parked_and_did_not_tell_of_counts_once_it_is_read() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1, 2]);
    bench.end(0, unavailable());
    let row = bench.topics.rows.values().next().unwrap();
    assert_eq!(row.parked, 0, "it was written before");
    bench.die_and_take_over(0, 3);
    bench.wait(3);
    assert_eq!((bench.in_flight.len(), count(&bench)), (1, 3));
    bench.end(0, unavailable());
    assert_eq!(count(&bench), 3);
}
