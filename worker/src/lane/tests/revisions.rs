//! What revisions keep apart when workers have different configurations: one promise a test.

use parcelhook_crds::spec::source::KeyMatch;

use super::*;

fn revision(number: u64) -> Option<Revision> {
    Some(Revision { lineage: 1, number })
}

const EPOCH: Epoch = Epoch { n: 3, random: 0 };

/// A target that wants the events whose key is `key-1`, every third.
fn picky(number: u128) -> CompiledTarget {
    let mut target = target(number);
    target.sources = vec![source(Some(Filter {
        headers: Vec::new(),
        keys: vec![KeyMatch::Exact("key-1".to_owned())],
    }))];
    target
}

impl Bench {
    /// A worker with the first configuration, to which a partition comes from one with the `found`.
    fn taking_over(found: u64) -> Self {
        let mut bench = Self::new([]);
        bench.revision = revision(1);
        bench.apply([target(1)]);
        bench.titles.insert(0, Some((EPOCH, revision(found))));
        bench
    }

    /// A worker that runs a partition under the first configuration.
    fn running(targets: impl IntoIterator<Item = CompiledTarget>) -> Self {
        let mut bench = Self::new([]);
        bench.revision = revision(1);
        bench.apply(targets);
        bench.assign(0, vec![]);
        bench.commits = false;
        bench
    }

    fn roll_out(&mut self, number: u64, targets: impl IntoIterator<Item = CompiledTarget>) {
        self.revision = revision(number);
        self.apply(targets);
    }

    /// A commit is acknowledged that carries the present epoch.
    fn acknowledge(&mut self, offset: i64, cfg: Option<Revision>) {
        let (epoch, _) = self.progress[&0].claimed().expect("the slot is claimed");
        self.shard.committed(0, (epoch, cfg), offset, self.now);
        self.settle();
    }

    fn cfg(&self) -> Option<Revision> {
        self.progress[&0].claimed().and_then(|(_, cfg)| cfg)
    }

    fn deliver(&mut self) {
        while !self.in_flight.is_empty() {
            self.end(0, delivered());
        }
    }
}

#[test]
fn whose_configuration_is_older_sends_parks_and_commits_nothing_until_it_has_the_newer_one() {
    let mut bench = Bench::taking_over(3);
    bench.assign(0, vec![]);
    bench.read(0, [0, 1]);
    bench.wait(3600);
    assert!(bench.in_flight.is_empty() && bench.topics.rows.is_empty());
    assert_eq!((bench.frontier(0), bench.progress[&0].claimed()), (0, None));
    assert!(
        bench.progress[&0].in_flight_bytes() > 0,
        "what waits counts"
    );
    bench.roll_out(2, [target(1)]);
    assert!(bench.in_flight.is_empty(), "newer, and still too old");
    bench.roll_out(3, [target(1), target(2)]);
    bench.deliver();
    for number in [1, 2] {
        assert_eq!(bench.delivered(number, 0), [0, 1], "target {number}");
    }
    assert_eq!((bench.frontier(0), bench.cfg()), (2, revision(3)));
    assert_eq!(bench.progress[&0].in_flight_bytes(), 0);
}

#[test]
fn a_waiting_partition_that_goes_away_leaves_the_commit_as_it_was() {
    let mut bench = Bench::taking_over(3);
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.shard.close(&[0]);
    assert!(bench.shard.is_quiet(&[0]));
    bench.shard.drop_partitions(&[0], bench.now);
    assert_eq!(bench.progress[&0].claimed(), None);
}

#[test]
fn a_newer_configuration_is_committed_before_anything_is_sent() {
    let mut bench = Bench::taking_over(0);
    bench.commits = false;
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    assert_eq!(bench.cfg(), revision(1));
    assert!(bench.in_flight.is_empty());
    bench.acknowledge(0, revision(0));
    assert!(bench.in_flight.is_empty(), "it carries another one");
    bench.acknowledge(0, revision(1));
    bench.deliver();
    assert_eq!(bench.delivered(1, 0), [0]);
}

#[test]
fn who_has_no_revision_runs_at_once_and_hands_the_predecessors_on() {
    let mut bench = Bench::new([target(1)]);
    bench.titles.insert(0, Some((EPOCH, revision(3))));
    bench.commits = false;
    bench.assign(0, vec![]);
    bench.read(0, [0]);
    bench.deliver();
    assert_eq!(
        (bench.delivered(1, 0), bench.cfg()),
        (&[0][..], revision(3))
    );
}

#[test]
fn a_new_target_waits_for_a_commit_that_carries_the_configuration_it_came_with() {
    let mut bench = Bench::running([target(1)]);
    bench.read(0, [0, 1]);
    bench.deliver();
    bench.roll_out(2, [target(1), target(2)]);
    assert_eq!(bench.cfg(), revision(2));
    bench.read(0, [2]);
    bench.end(bench.attempt_of(1), delivered());
    bench.acknowledge(2, revision(1));
    assert!(bench.in_flight.is_empty(), "made before the roll-out");
    bench.acknowledge(1, revision(2));
    assert!(bench.in_flight.is_empty(), "below where it begins");
    bench.acknowledge(2, revision(2));
    bench.deliver();
    assert_eq!(bench.delivered(2, 0), [2]);
    assert_eq!(bench.delivered(1, 0), [0, 1, 2]);
}

#[test]
fn a_new_selection_waits_and_what_came_before_it_goes_on() {
    let mut bench = Bench::running([picky(1)]);
    bench.read(0, 0..3);
    bench.roll_out(2, [target(1)]);
    bench.read(0, 3..5);
    bench.deliver();
    assert_eq!((bench.delivered(1, 0), bench.frontier(0)), (&[1][..], 3));
    bench.acknowledge(3, revision(2));
    bench.deliver();
    assert_eq!(
        (bench.delivered(1, 0), bench.frontier(0)),
        (&[1, 3, 4][..], 5)
    );
}

#[test]
fn a_second_change_before_the_first_is_committed_waits_behind_it() {
    let mut bench = Bench::running([target(1)]);
    bench.roll_out(2, [target(1), picky(2)]);
    bench.read(0, 0..3);
    bench.roll_out(3, [target(1), target(2), target(3)]);
    bench.read(0, 3..5);
    bench.acknowledge(0, revision(3));
    bench.deliver();
    assert_eq!((bench.delivered(2, 0), bench.frontier(0)), (&[1][..], 3));
    assert!(bench.delivered(3, 0).is_empty());
    bench.acknowledge(3, revision(3));
    bench.deliver();
    assert_eq!(bench.delivered(2, 0), [1, 3, 4]);
    assert_eq!((bench.delivered(3, 0), bench.frontier(0)), (&[3, 4][..], 5));
}

#[test]
fn a_change_that_selects_the_same_waits_for_nothing() {
    let mut bench = Bench::running([target(1)]);
    let mut moved = target(1);
    moved.timeout = Duration::from_secs(1);
    bench.roll_out(2, [moved]);
    bench.read(0, [0]);
    bench.deliver();
    assert_eq!(bench.delivered(1, 0), [0]);
}

#[test]
fn a_new_selection_of_a_failing_target_is_parked_behind_the_gate_only() {
    let mut bench = Bench::running([picky(1)]);
    bench.read(0, 0..3);
    bench.end(0, unavailable());
    bench.roll_out(2, [target(1)]);
    bench.read(0, 3..5);
    assert!(bench.is_parked(Uuid::from_u128(1), 0, 1));
    assert!(!bench.is_parked(Uuid::from_u128(1), 0, 3));
    bench.acknowledge(3, revision(2));
    assert!(bench.is_parked(Uuid::from_u128(1), 0, 4));
    bench.deliver();
    assert_eq!(
        (bench.delivered(1, 0), bench.frontier(0)),
        (&[1, 3, 4][..], 5)
    );
    assert!(bench.topics.rows.is_empty());
}

#[test]
fn what_waits_behind_the_gate_is_delivered_although_its_source_is_removed_meanwhile() {
    let mut bench = Bench::running([picky(1)]);
    bench.roll_out(2, [target(1)]);
    bench.read(0, 0..2);
    let mut elsewhere = target(1);
    elsewhere.sources = vec![sample::source("elsewhere")];
    bench.roll_out(3, [elsewhere]);
    bench.read(0, 2..4);
    assert_eq!(bench.shard.topics_in_use().len(), 1);
    bench.acknowledge(0, revision(3));
    bench.deliver();
    assert_eq!((bench.delivered(1, 0), bench.frontier(0)), (&[0, 1][..], 4));
    assert!(bench.shard.topics_in_use().is_empty());
}

#[test]
fn a_target_that_goes_missing_behind_the_gate_keeps_what_waits_there() {
    let mut bench = Bench::running([picky(1)]);
    bench.roll_out(2, [target(1)]);
    bench.read(0, 0..2);
    bench.revision = revision(3);
    bench.configure([target(1)], |_| Some(clock::unix_millis()), &[]);
    assert!(!bench.is_parked(Uuid::from_u128(1), 0, 0));
    bench.acknowledge(0, revision(3));
    assert!(bench.is_parked(Uuid::from_u128(1), 0, 0));
    assert_eq!(bench.frontier(0), 2);
    bench.roll_out(4, [target(1)]);
    bench.deliver();
    assert_eq!(bench.delivered(1, 0), [0, 1]);
}
