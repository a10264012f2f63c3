//! When the events of a lane that parks wait for others to share a record.

use super::*;

/// A lane whose events wait up to a second for others.
fn gathering() -> Bench {
    let mut bench = Bench::new([]);
    bench.shard = Shard::new(Surroundings {
        gather: Duration::from_secs(1),
        ..surroundings()
    });
    bench.apply([target(1)]);
    bench.assign(0, vec![]);
    bench
}

fn runs(bench: &Bench) -> usize {
    bench.topics.buckets.values().flatten().count()
}

/// A record of its own for each event costs many times as much.
#[test]
fn events_of_a_lane_that_parks_wait_a_moment_for_others_to_share_a_record() {
    let mut bench = gathering();
    bench.read(0, [0]);
    bench.end(0, unavailable());
    assert_eq!(
        (runs(&bench), bench.frontier(0)),
        (1, 1),
        "the first at once"
    );
    bench.read(0, [1]);
    bench.read(0, [2]);
    assert_eq!((runs(&bench), bench.frontier(0)), (1, 1));
    bench.wait(1);
    assert_eq!((runs(&bench), bench.frontier(0)), (2, 3));
    bench.read(0, 3..103);
    assert_eq!((runs(&bench), bench.frontier(0)), (3, 103), "a whole one");
    bench.read(0, [103]);
    bench.wait(2);
    assert_eq!(runs(&bench), 4);
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(1, 0), (0..104).collect::<Vec<_>>());
    assert!(bench.topics.rows.is_empty(), "live again");
}

/// A target that does not answer has its lanes wait for nearly all of the time.
#[test]
fn events_wait_for_others_beside_an_attempt_that_is_not_answered() {
    let mut bench = gathering();
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.wait(3);
    assert_eq!(bench.in_flight.len(), 1);
    bench.read(0, [1]);
    bench.read(0, [2]);
    assert_eq!((runs(&bench), bench.frontier(0)), (1, 1));
    bench.wait(1);
    assert_eq!((runs(&bench), bench.frontier(0)), (2, 3));
    while !bench.in_flight.is_empty() {
        bench.end(0, delivered());
    }
    assert_eq!(bench.delivered(1, 0), (0..3).collect::<Vec<_>>());
    assert!(bench.topics.rows.is_empty(), "live again");
}

/// Where memory is short nothing waits for others.
#[test]
fn events_do_not_wait_for_others_in_a_partition_that_is_paused() {
    let mut bench = gathering();
    bench.read(0, [0]);
    bench.end(0, unavailable());
    bench.pause(0, true);
    bench.read(0, [1]);
    assert_eq!(bench.frontier(0), 2);
}
