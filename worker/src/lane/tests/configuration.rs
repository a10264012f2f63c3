//! What happens when targets come, go, and ask: one promise a test.

use parcelhook_crds::compiled::{Request, SourceClass};
use parcelhook_crds::lane::{ParkReason, Wants};
use parcelhook_crds::spec::source::KeyMatch;

use super::*;

fn uid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn ephemeral(number: u128) -> CompiledTarget {
    let mut target = target(number);
    target.sources[0].class = SourceClass::Ephemeral;
    target
}

fn parked(bench: &Bench) -> Vec<i64> {
    let runs = bench.topics.buckets.values().flatten();
    runs.flat_map(|run| run.events.iter().map(|event| event.offset))
        .collect()
}

fn dropped(bench: &Bench, number: u128) -> u64 {
    let reports = bench.shard.report();
    let mut reports = reports.iter();
    let report = reports.find(|report| report.target.uid == uid(number));
    report.unwrap().counters.events_dropped
}

impl Bench {
    fn deliver_all(&mut self) {
        while !self.in_flight.is_empty() {
            self.end(0, delivered());
        }
    }

    /// The manifests of all targets are missing.
    fn all_missing(&mut self) {
        let targets = self.compiled();
        self.configure(targets, |_| Some(clock::unix_millis()), &[]);
    }

    fn compiled(&self) -> Vec<CompiledTarget> {
        let targets = self.targets.values();
        targets.map(|target| (*target.compiled).clone()).collect()
    }
}

#[test]
fn a_target_that_goes_missing_has_a_row_at_once_and_goes_on_when_it_is_back() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.all_missing();
    let row = bench.topics.rows.values().next().expect("a row").clone();
    assert_eq!((row.reason, row.parked), (ParkReason::Suspended, 0));
    assert!(row.absent_since.is_some());
    bench.read(0, [0, 1]);
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![0, 1], 2));
    bench.apply([target(1)]);
    bench.read(0, [2]);
    bench.deliver_all();
    assert_eq!(bench.delivered(1, 0), [0, 1, 2]);
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn an_owner_that_never_heard_of_a_target_parks_by_its_row() {
    let mut picky = target(1);
    picky.sources = vec![source(Some(Filter {
        headers: Vec::new(),
        keys: vec![KeyMatch::Exact("key-1".to_owned())],
    }))];
    let mut bench = Bench::new([picky.clone()]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.all_missing();
    bench.end(0, unavailable());
    bench.targets.clear();
    bench.die_and_take_over(0, 2);
    bench.read(0, 2..9);
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![1, 4, 7], 9));
    bench.apply([picky]);
    bench.read(0, 9..12);
    bench.deliver_all();
    assert_eq!(bench.delivered(1, 0), [1, 4, 7, 10]);
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn what_is_read_before_the_rows_are_known_is_parked_by_them() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.all_missing();
    bench.targets.clear();
    (bench.writes, bench.commits) = (false, false);
    bench.die_and_take_over(0, 0);
    bench.read(0, [0, 1]);
    assert_eq!(bench.frontier(0), 0, "nobody knows yet who wants them");
    bench.writes = true;
    bench.settle();
    let own = bench.shard.partitions[&0].own.map(|own| own.epoch);
    let epoch = bench
        .topics
        .terminators
        .keys()
        .map(|key| key.scope.epoch)
        .max();
    assert_eq!(own, None, "the commit is not acknowledged");
    bench
        .shard
        .committed(0, (epoch.unwrap(), None), 0, bench.now);
    bench.settle();
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![0, 1], 2));
}

#[test]
fn an_orphan_is_given_up_when_its_target_was_missing_for_too_long() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.all_missing();
    bench.read(0, [0]);
    bench.targets.clear();
    bench.die_and_take_over(0, 1);
    bench.wait(ABSENCE.as_secs() - 60);
    assert_eq!(bench.shard.topics_in_use().len(), 1);
    assert_eq!(bench.topics.rows.len(), 1);
    bench.wait(61);
    assert!(bench.topics.rows.is_empty(), "tombstones first");
    bench.read(0, [1]);
    assert_eq!((parked(&bench), bench.frontier(0)), (vec![0], 2));
    assert!(bench.shard.topics_in_use().is_empty());
}

#[test]
fn a_target_that_is_deleted_ends_with_what_it_has_parked() {
    let mut bench = Bench::new([target(1), target(2)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(bench.attempt_of(1), unavailable());
    bench.wait(3);
    assert_eq!(bench.topics.readers(), 1, "it drains");
    bench.configure([target(2)], |_| None, &[uid(1)]);
    assert!(bench.topics.rows.is_empty());
    assert_eq!(bench.topics.readers(), 0);
    bench.read(0, [1]);
    bench.in_flight.retain(|launch| *launch.prepared == uid(2));
    bench.deliver_all();
    assert_eq!((bench.frontier(0), bench.delivered(2, 0)), (2, &[0, 1][..]));
    assert!(bench.delivered(1, 0).is_empty());
    assert!(bench.shard.topics_in_use().is_empty());
}

#[test]
fn an_orphan_ends_at_once_when_its_target_is_deleted() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.all_missing();
    bench.read(0, [0]);
    bench.targets.clear();
    bench.die_and_take_over(0, 1);
    bench.configure([], |_| None, &[uid(1)]);
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn a_topic_is_in_use_until_what_waits_for_a_removed_source_is_delivered() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    let mut moved = target(1);
    moved.sources = vec![sample::source("elsewhere")];
    bench.apply([moved]);
    assert_eq!(bench.shard.topics_in_use().len(), 1);
    bench.read(0, [1]);
    bench.wait(3);
    bench.deliver_all();
    assert_eq!(bench.delivered(1, 0), [0]);
    assert!(bench.shard.topics_in_use().is_empty());
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn rows_tell_what_the_lane_takes() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    let wants = |bench: &Bench| bench.topics.rows.values().next().unwrap().wants.clone();
    assert_eq!(wants(&bench), Wants::Everything);
    let filter = Filter::default();
    let mut filtered = target(1);
    filtered.sources = vec![source(Some(filter.clone()))];
    bench.apply([filtered]);
    assert_eq!(wants(&bench), Wants::Matching(filter));
    let mut moved = target(1);
    moved.sources = vec![sample::source("elsewhere")];
    bench.apply([moved]);
    assert_eq!(wants(&bench), Wants::Nothing);
}

#[test]
fn ephemeral_events_of_a_failing_target_are_dropped_and_the_next_one_after_the_wait_is_the_probe() {
    let mut bench = Bench::new([ephemeral(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.read(0, [2]);
    bench.end(0, unavailable());
    assert_eq!((bench.frontier(0), dropped(&bench, 1)), (3, 3));
    bench.read(0, [3]);
    assert_eq!((bench.frontier(0), dropped(&bench, 1)), (4, 4));
    assert!(bench.in_flight.is_empty() && bench.topics.rows.is_empty());
    bench.wait(3);
    bench.read(0, [4]);
    bench.end(0, unavailable());
    bench.wait(3);
    bench.read(0, [5]);
    assert!(bench.in_flight.is_empty(), "the second wait is longer");
    bench.wait(3);
    bench.read(0, [6]);
    bench.end(0, delivered());
    bench.read(0, [7]);
    bench.deliver_all();
    assert_eq!(
        (bench.delivered(1, 0), dropped(&bench, 1)),
        (&[6, 7][..], 6)
    );
    assert!(parked(&bench).is_empty());
    assert_eq!(bench.progress[&0].in_flight_bytes(), 0);
}

#[test]
fn a_slow_targets_ephemeral_events_leave_memory_behind_the_attempt_in_flight() {
    let mut bench = Bench::new([ephemeral(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.read(0, [1, 2]);
    bench.pause(0, true);
    for _ in 0..4 {
        bench.wait(1);
    }
    assert_eq!((dropped(&bench, 1), bench.frontier(0)), (2, 0));
    bench.end(0, delivered());
    bench.read(0, [3]);
    bench.deliver_all();
    assert_eq!((bench.delivered(1, 0), bench.frontier(0)), (&[0, 3][..], 4));
    assert!(parked(&bench).is_empty() && bench.topics.rows.is_empty());
}

#[test]
fn a_suspended_targets_ephemeral_events_are_dropped_and_it_has_no_row() {
    let mut suspended = ephemeral(1);
    suspended.suspend = true;
    let mut bench = Bench::new([suspended]);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    assert_eq!((bench.frontier(0), dropped(&bench, 1)), (2, 2));
    bench.all_missing();
    assert!(bench.topics.rows.is_empty());
    bench.apply([ephemeral(1)]);
    bench.read(0, [2]);
    bench.deliver_all();
    assert_eq!(bench.delivered(1, 0), [2]);
}

#[test]
fn retry_now_makes_what_waits_due_and_keeps_the_count() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    for _ in 0..5 {
        bench.end(0, unavailable());
        bench.shard.retry(uid(1), bench.now);
        bench.settle();
    }
    assert_eq!(bench.in_flight[0].request.attempt, 6);
    bench.shard.retry(uid(1), bench.now);
    bench.settle();
    assert_eq!(
        bench.in_flight.len(),
        1,
        "harmless while an attempt is in flight"
    );
    bench.deliver_all();
    bench.shard.retry(uid(1), bench.now);
    assert_eq!(bench.delivered(1, 0), [0]);
}

#[test]
fn a_request_of_the_configuration_is_acted_on_once_also_by_a_successor() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.end(0, unavailable());
    let mut asking = target(1);
    asking.requests = vec![Request::RetryAt("1".to_owned())];
    bench.apply([asking]);
    assert_eq!(bench.in_flight.len(), 1);
    bench.end(0, unavailable());
    let row = bench.topics.rows.values().next().unwrap();
    assert_eq!(row.last_request.as_deref(), Some("retry-at=1"));
    bench.die_and_take_over(0, 1);
    assert!(bench.in_flight.is_empty(), "it was asked once");
    bench.wait(30);
    assert_eq!(bench.in_flight.len(), 1);
}

#[test]
fn nothing_of_a_new_target_is_sent_or_parked_before_a_commit_where_it_begins() {
    let mut bench = Bench::new([target(1)]);
    bench.commits = false;
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.apply([target(1), target(2)]);
    bench.read(0, [2]);
    bench.end(0, delivered());
    assert_eq!(bench.frontier(0), 2);
    bench.deliver_all();
    assert!(bench.delivered(2, 0).is_empty());
    bench.shard.open_gate(0, 1, None, bench.now);
    bench.settle();
    assert!(bench.in_flight.is_empty(), "a commit below does not count");
    bench.shard.open_gate(0, 2, None, bench.now);
    bench.settle();
    bench.deliver_all();
    assert_eq!(bench.delivered(2, 0), [2]);
}

#[test]
fn an_attempt_that_hangs_does_not_keep_a_new_target_waiting() {
    let mut bench = Bench::new([target(1)]);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.apply([target(1), target(2)]);
    bench.read(0, [1]);
    assert_eq!(bench.in_flight.len(), 1);
    bench.wait(1);
    bench.wait(1);
    assert_eq!(
        parked(&bench),
        [0, 1],
        "an insurance copy, and what comes behind it"
    );
    bench.end(bench.attempt_of(2), delivered());
    assert_eq!(bench.delivered(2, 0), [1]);
    bench.deliver_all();
    assert_eq!(bench.delivered(1, 0), [0, 1]);
}
