//! What happens to parked events that are given up: one promise a test.

use super::*;
use crate::park::{DeadLetter, Order, Refused, SourceOffset};

const HOUR: u64 = 3_600;

/// Of a target that keeps events for ten hours.
fn bench() -> Bench {
    Bench::new([keeping(1, 10)])
}

fn keeping(number: u128, hours: u64) -> CompiledTarget {
    let mut target = target(number);
    target.retry.max_age = Duration::from_secs(hours * HOUR);
    target
}

fn offset(letter: &DeadLetter) -> i64 {
    match &letter.event {
        Ok(event) => event.offset,
        Err(SourceOffset(offset)) => *offset,
    }
}

fn dead(bench: &Bench) -> Vec<i64> {
    bench.topics.dead_letters.iter().map(offset).collect()
}

fn report(bench: &Bench) -> crate::report::TargetReport {
    bench.shard.report().remove(0)
}

fn row(bench: &Bench) -> &parcelhook_crds::lane::LaneRow {
    let mut rows = bench.topics.rows.values();
    rows.next().expect("the lane is not live")
}

/// Writes what was ordered before the next dead letter.
fn until_a_dead_letter_is_next(bench: &mut Bench) {
    let is_letter = |order: Option<&(_, Order)>| matches!(order, Some((_, Order::DeadLetter(_))));
    while !is_letter(bench.topics.orders.front()) {
        let written = bench.topics.write_next(&mut bench.shard, bench.now);
        assert!(written, "no dead letter was ordered");
        bench.settle();
    }
}

/// An answer after which the target is left alone.
fn gone() -> Attempt {
    outcome(Outcome::Gone)
}

#[test]
fn events_that_wait_too_long_become_dead_letters_in_order_and_the_lane_is_live_again() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, gone());
    bench.read(0, [2, 3, 4]);
    bench.wait(10 * HOUR);
    assert!(dead(&bench).is_empty(), "not before their time");
    bench.wait(HOUR);
    assert_eq!(dead(&bench), [0, 1, 2, 3, 4]);
    let letter = &bench.topics.dead_letters[0];
    assert_eq!((letter.reason, letter.attempts), ("Expired", 1));
    assert!(letter.first_attempt.is_some() && letter.last_attempt.is_some());
    let value = letter.event.as_ref().map(|event| event.value());
    assert_eq!(value, Ok(Some(&b"0"[..])));
    assert!(bench.topics.rows.is_empty() && bench.topics.readers() == 0);
    assert!(bench.in_flight.is_empty(), "what is given up is not sent");
    bench.read(0, [5]);
    assert_eq!(offsets(&bench.in_flight[0]), [5]);
    let counters = report(&bench).counters;
    assert_eq!(
        counters.events_dead_lettered,
        BTreeMap::from([("Expired", 5)])
    );
    assert!(counters.events_lost.is_empty());
}

#[test]
fn younger_events_go_on_waiting_and_are_sent_in_their_turn() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, gone());
    bench.wait(6 * HOUR);
    bench.read(0, [2, 3]);
    bench.wait(5 * HOUR);
    assert_eq!(dead(&bench), [0, 1]);
    assert_eq!(bench.topics.readers(), 0, "a lane that waits reads nothing");
    assert!(bench.in_flight.is_empty(), "it is not due");
    let row = row(&bench);
    assert_eq!((row.delivered_through, row.attempted), (1, None));
    bench.apply([CompiledTarget {
        timeout: Duration::from_secs(1),
        ..keeping(1, 10)
    }]);
    assert_eq!(offsets(&bench.in_flight[0]), [2, 3]);
    bench.end(0, delivered());
    assert_eq!(bench.delivered(1, 0), [2, 3]);
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn a_target_that_goes_on_failing_loses_no_event_before_its_time() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    for offset in 0..30 {
        bench.read(0, [offset]);
        bench.wait(HOUR);
        while !bench.in_flight.is_empty() {
            bench.end(0, unavailable());
        }
    }
    // The longest backoff, and its jitter.
    bench.wait(1_000);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    let dead = dead(&bench);
    assert!((19..=21).contains(&dead.len()), "{dead:?}");
    let all: Vec<i64> = dead.iter().chain(bench.delivered(1, 0)).copied().collect();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
}

#[test]
fn nothing_passes_an_event_before_its_dead_letter_is_written() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, gone());
    bench.writes = false;
    bench.wait(11 * HOUR);
    for _ in 0..3 {
        until_a_dead_letter_is_next(&mut bench);
        let refused = bench
            .topics
            .refuse_next(&mut bench.shard, Refused::Failed, bench.now);
        assert!(refused, "a refused dead letter is written again");
        bench.wait(1);
        assert_eq!(row(&bench).delivered_through, -1);
        assert!(bench.topics.dead_letters.is_empty());
    }
    // Rows may be written: they do not tell of what is not.
    bench.wait(HOUR);
    assert_eq!(row(&bench).delivered_through, -1);
    bench.writes = true;
    bench.settle();
    bench.wait(1);
    assert!(bench.topics.rows.is_empty());
    let mut dead = dead(&bench);
    dead.sort_unstable();
    dead.dedup();
    assert_eq!(dead, [0, 1]);
}

#[test]
fn a_suspended_targets_events_are_given_up_too_and_it_stays_suspended() {
    let mut target = keeping(1, 10);
    target.suspend = true;
    let mut bench = Bench::new([target]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.wait(11 * HOUR);
    assert_eq!(dead(&bench), [0]);
    assert_eq!(bench.topics.readers(), 0);
    bench.read(0, [1]);
    assert!(bench.in_flight.is_empty());
    bench.apply([keeping(1, 10)]);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(1, 0), [1]);
}

#[test]
fn an_event_whose_source_has_it_no_more_leaves_its_place_and_counts_as_lost() {
    let mut bench = bench();
    bench.topics.gone.insert(0);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.read(0, [1]);
    bench.wait(3);
    bench.end(0, delivered());
    assert_eq!(bench.delivered(1, 0), [1]);
    let letter = &bench.topics.dead_letters[0];
    assert_eq!(letter.reason, "SourceGone");
    assert_eq!(letter.event.as_ref().err(), Some(&SourceOffset(0)));
    let counters = report(&bench).counters;
    assert_eq!(counters.events_lost, BTreeMap::from([("source-gone", 1)]));
}

#[test]
fn an_event_that_the_dead_letter_topic_does_not_take_leaves_its_place() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, gone());
    bench.writes = false;
    bench.wait(11 * HOUR);
    until_a_dead_letter_is_next(&mut bench);
    let refused = bench
        .topics
        .refuse_next(&mut bench.shard, Refused::TooLarge, bench.now);
    assert!(refused);
    bench.writes = true;
    bench.settle();
    let letter = &bench.topics.dead_letters[0];
    assert_eq!(letter.reason, "Expired");
    assert_eq!(letter.event.as_ref().err(), Some(&SourceOffset(0)));
}

#[test]
fn data_are_at_risk_from_half_of_their_time_on() {
    let mut bench = bench();
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, gone());
    bench.wait(5 * HOUR - 60);
    assert!(!report(&bench).at_risk);
    bench.wait(61);
    assert!(report(&bench).at_risk);
    bench.wait(6 * HOUR);
    assert!(!report(&bench).at_risk);
}

#[test]
fn what_retention_takes_is_counted_once_and_the_rest_goes_on() {
    let mut bench = Bench::new([keeping(1, 1_000)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.end(0, gone());
    bench.read(0, [2, 3]);
    // The worker slept past the retention.
    let bucket = *bench.topics.buckets.keys().next().unwrap();
    bench.topics.cuts.insert(bucket, 1);
    bench.wait(170 * HOUR);
    let counters = report(&bench).counters;
    assert_eq!(counters.events_lost, BTreeMap::from([("retention", 2)]));
    assert_eq!(dead(&bench), [2, 3]);
    assert!(bench.topics.rows.is_empty());
}

/// The first event was too large to be parked.
fn elsewhere() -> Bench {
    let mut bench = bench();
    bench.topics.elsewhere.insert(0);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.wait(3);
    bench.end(0, gone());
    bench.read(0, [1]);
    bench
}

fn sources_keep(bench: &mut Bench, hours: u64) {
    let retention = Duration::from_secs(hours * HOUR);
    let retention = BTreeMap::from([("orders".to_owned(), retention)]);
    bench.shard.sources_keep(Arc::new(retention));
}

#[test]
fn an_event_that_only_its_source_has_is_given_up_before_that_deletes_it() {
    let mut bench = elsewhere();
    sources_keep(&mut bench, 8);
    bench.wait(2 * HOUR + 60);
    bench.wait(1);
    assert!(report(&bench).at_risk, "half of its time is over");
    assert!(dead(&bench).is_empty());
    bench.wait(2 * HOUR);
    bench.wait(1);
    assert_eq!(dead(&bench), [0], "the other one is parked, and stays");
    let letter = &bench.topics.dead_letters[0];
    assert!(letter.reason == "Expired" && letter.event.is_ok());
    assert!(!report(&bench).at_risk);
    bench.wait(6 * HOUR);
    assert_eq!(dead(&bench), [0, 1]);
}

#[test]
fn an_event_that_only_its_source_has_is_kept_like_the_others_while_that_keeps_it_for_long() {
    let mut bench = elsewhere();
    sources_keep(&mut bench, 48);
    bench.wait(10 * HOUR - 60);
    assert!(dead(&bench).is_empty());
    bench.wait(HOUR);
    assert_eq!(dead(&bench), [0, 1]);
}
