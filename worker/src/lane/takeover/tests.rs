//! What a take-over promises, by example.

mod schedules;

use super::writing::WRITE_AGAIN;
use super::*;
use crate::clock;
use crate::state::sample::{epoch, lane, place, row};

const GROUP: &str = "g";

fn subject() -> Subject {
    Subject {
        group: GROUP.into(),
        place: place(0),
        frontier: 40,
    }
}

fn cfg(number: u64) -> Option<Revision> {
    Some(Revision { lineage: 1, number })
}

/// A predecessor whose configuration nobody numbered.
fn owner(n: u32) -> Predecessor {
    Predecessor {
        epoch: Some(epoch(n)),
        cfg: None,
    }
}

fn rows(count: u8) -> Vec<(LaneName, LaneRow)> {
    let row = |number: u8| LaneRow {
        bucket: i32::from(number % 2),
        ..row(i64::from(number))
    };
    (0..count)
        .map(|number| (lane(number), row(number)))
        .collect()
}

/// Steps without what does not matter here.
fn words(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Lack(cfg) => format!("lack {cfg}"),
        Step::Ask(epoch) => format!("ask {}", epoch.map_or(0, |epoch| epoch.n)),
        Step::Bucket { bucket, .. } => format!("bucket {bucket}"),
        Step::Write { order, .. } => match order {
            Order::Row(key, _) => format!("row of {}", key.scope.epoch.n),
            Order::Terminator(key, _) => format!("terminator of {}", key.scope.epoch.n),
            Order::Park(_) | Order::ParkReference(_) | Order::DeadLetter(_) => {
                "something else".to_owned()
            }
        },
        Step::Own(epoch, None, claim) => format!("own {} {claim:?}", epoch.n),
        Step::Own(epoch, Some(cfg), claim) => format!("own {} with {cfg} {claim:?}", epoch.n),
        Step::Run(taken) => format!("run {} with {}", taken.epoch.n, taken.lanes.len()),
    };
    steps.iter().map(word).collect()
}

fn numbers(steps: &[Step]) -> Vec<u64> {
    let number = |step: &Step| match step {
        Step::Bucket { number, .. } | Step::Write { number, .. } => Some(*number),
        Step::Lack(_) | Step::Ask(_) | Step::Own(..) | Step::Run(_) => None,
    };
    steps.iter().filter_map(number).collect()
}

#[test]
fn a_partition_without_rows_runs_at_once_and_its_epoch_goes_with_the_first_commit() {
    let (mut take_over, steps) = TakeOver::begin(subject(), owner(3), None);
    assert_eq!(words(&steps), ["ask 3"]);
    let steps = take_over.told(Vec::new(), 3, 9);
    assert_eq!(words(&steps), ["own 4 WithNextCommit", "run 4 with 0"]);
    let Some(Step::Run(taken)) = steps.last() else {
        panic!("it runs");
    };
    assert_eq!((taken.epoch.random, taken.committed), (9, false));
    assert!(take_over.is_over());
    assert!(take_over.told(Vec::new(), 5, 9).is_empty(), "told twice");
}

#[test]
fn without_rows_but_with_a_later_epoch_it_commits_first_for_a_successor_may_have_swept_them() {
    let (mut take_over, _) = TakeOver::begin(subject(), owner(3), None);
    let steps = take_over.told(Vec::new(), 5, 9);
    assert_eq!(words(&steps), ["own 6 Now"]);
    let steps = take_over.committed(Epoch { n: 6, random: 9 }, None);
    assert_eq!(words(&steps), ["run 6 with 0"]);
}

#[test]
fn rows_are_written_then_the_terminator_then_the_commit_then_it_runs() {
    let (mut take_over, _) = TakeOver::begin(subject(), owner(3), None);
    let now = clock::now();
    let steps = take_over.told(rows(2), 3, 9);
    assert_eq!(
        words(&steps),
        ["bucket 0", "bucket 1", "row of 4", "row of 4"]
    );
    let number = numbers(&steps);
    assert!(take_over.bucket_end(number[0], 100).is_empty());
    assert!(take_over.produced(number[3], Ok(0), now, 0).is_empty());
    let steps = take_over.produced(number[2], Ok(0), now, 0);
    assert_eq!(words(&steps), ["terminator of 4"]);
    let steps = take_over.produced(numbers(&steps)[0], Ok(0), now, 0);
    assert_eq!(words(&steps), ["own 4 Now"]);
    assert!(
        take_over.committed(epoch(3), None).is_empty(),
        "not its own"
    );
    let own = Epoch { n: 4, random: 9 };
    assert!(
        take_over.committed(own, None).is_empty(),
        "a bucket's end is missing"
    );
    let steps = take_over.bucket_end(number[1], 200);
    let Some(Step::Run(taken)) = steps.first() else {
        panic!("it runs");
    };
    let needs: Vec<i64> = taken.lanes.iter().map(|lane| lane.need).collect();
    assert_eq!((taken.committed, needs), (true, vec![100, 200]));
}

#[test]
fn a_refused_write_is_made_again_a_moment_later() {
    let (mut take_over, _) = TakeOver::begin(subject(), Predecessor::default(), None);
    let now = clock::now();
    let steps = take_over.told(rows(1), 0, 9);
    let refused = take_over.produced(numbers(&steps)[1], Err(Refused::QueueFull), now, 0);
    assert!(refused.is_empty());
    assert_eq!(take_over.due(), Some(now + WRITE_AGAIN));
    assert!(take_over.wake(now).is_empty());
    let steps = take_over.wake(now + WRITE_AGAIN);
    assert_eq!(words(&steps), ["row of 1"]);
    assert_eq!(take_over.due(), None);
}

#[test]
fn a_replaced_producer_means_a_new_epoch_and_what_it_still_reports_means_nothing() {
    let (mut take_over, _) = TakeOver::begin(subject(), Predecessor::default(), None);
    let now = clock::now();
    let steps = take_over.told(rows(2), 0, 9);
    let old = numbers(&steps);
    let replaced = Err(Refused::ProducerReplaced);
    let steps = take_over.produced(old[2], replaced, now, 8);
    assert_eq!(words(&steps), ["row of 2", "row of 2"]);
    assert!(take_over.produced(old[3], replaced, now, 7).is_empty());
    assert!(take_over.produced(old[3], Ok(0), now, 7).is_empty());
}

#[test]
fn an_owner_takes_over_from_itself_with_what_it_knows() {
    let lanes: Vec<InheritedLane> = rows(2)
        .into_iter()
        .map(|(name, row)| InheritedLane {
            name,
            row,
            need: 10,
        })
        .collect();
    let (mut take_over, steps) = TakeOver::again(subject(), owner(4), lanes.clone(), 9);
    assert_eq!(words(&steps), ["row of 5", "row of 5"]);
    let now = clock::now();
    let mut last = Vec::new();
    for number in numbers(&steps) {
        last = take_over.produced(number, Ok(0), now, 0);
    }
    let own = take_over.produced(numbers(&last)[0], Ok(0), now, 0);
    assert_eq!(words(&own), ["own 5 Now"]);
    let steps = take_over.committed(Epoch { n: 5, random: 9 }, None);
    let Some(Step::Run(taken)) = steps.first() else {
        panic!("it runs");
    };
    assert_eq!(taken.lanes, lanes);
}

/// A predecessor that ran a configuration of that number.
fn numbered(number: u64) -> Predecessor {
    Predecessor {
        cfg: cfg(number),
        ..owner(3)
    }
}

#[test]
fn whose_configuration_is_older_waits_until_it_is_not() {
    let (mut take_over, steps) = TakeOver::begin(subject(), numbered(5), cfg(3));
    assert_eq!(words(&steps), ["lack 1:5"]);
    assert!(take_over.told(Vec::new(), 3, 9).is_empty(), "nobody asked");
    assert_eq!(words(&take_over.configured(cfg(4))), ["lack 1:5"]);
    assert_eq!(words(&take_over.configured(cfg(5))), ["ask 3"]);
    let steps = take_over.told(Vec::new(), 3, 9);
    assert_eq!(
        words(&steps),
        ["own 4 with 1:5 WithNextCommit", "run 4 with 0"]
    );
}

#[test]
fn a_newer_lineage_is_never_behind_and_an_older_one_always() {
    let of = |lineage, number| Some(Revision { lineage, number });
    let (_, steps) = TakeOver::begin(subject(), numbered(5), of(2, 1));
    assert_eq!(words(&steps), ["ask 3"]);
    let (_, steps) = TakeOver::begin(subject(), numbered(5), of(0, 9));
    assert_eq!(words(&steps), ["lack 1:5"]);
}

#[test]
fn who_has_no_revisions_waits_for_none_and_hands_the_predecessors_on() {
    let (mut take_over, steps) = TakeOver::begin(subject(), numbered(5), None);
    assert_eq!(words(&steps), ["ask 3"]);
    let steps = take_over.told(Vec::new(), 3, 9);
    assert_eq!(words(&steps)[0], "own 4 with 1:5 WithNextCommit");
}

#[test]
fn a_newer_configuration_is_committed_before_it_runs_also_without_rows() {
    for predecessor in [numbered(5), owner(3), Predecessor::default()] {
        let (mut take_over, _) = TakeOver::begin(subject(), predecessor, cfg(6));
        let highest = predecessor.epoch.map_or(0, |epoch| epoch.n);
        let n = highest + 1;
        let steps = take_over.told(Vec::new(), highest, 9);
        assert_eq!(words(&steps), [format!("own {n} with 1:6 Now")]);
        let own = Epoch { n, random: 9 };
        assert!(take_over.committed(own, cfg(5)).is_empty(), "an older one");
        let steps = take_over.committed(own, cfg(6));
        assert_eq!(words(&steps), [format!("run {n} with 0")]);
    }
}

#[test]
fn a_configuration_that_changes_on_the_way_is_committed_before_it_runs() {
    let (mut take_over, _) = TakeOver::begin(subject(), numbered(5), cfg(6));
    take_over.told(Vec::new(), 3, 9);
    let own = Epoch { n: 4, random: 9 };
    assert_eq!(words(&take_over.configured(cfg(7))), ["own 4 with 1:7 Now"]);
    assert!(take_over.configured(cfg(7)).is_empty());
    assert!(take_over.committed(own, cfg(6)).is_empty());
    assert_eq!(words(&take_over.committed(own, cfg(7))), ["run 4 with 0"]);
}

#[test]
fn a_configuration_that_changes_after_the_commit_is_committed_again() {
    let (mut take_over, _) = TakeOver::begin(subject(), numbered(5), cfg(5));
    let now = clock::now();
    let steps = take_over.told(rows(1), 3, 9);
    let (end, row) = (numbers(&steps)[0], numbers(&steps)[1]);
    let steps = take_over.produced(row, Ok(0), now, 0);
    take_over.produced(numbers(&steps)[0], Ok(0), now, 0);
    let own = Epoch { n: 4, random: 9 };
    assert!(
        take_over.committed(own, cfg(5)).is_empty(),
        "the bucket's end is missing"
    );
    assert_eq!(words(&take_over.configured(cfg(6))), ["own 4 with 1:6 Now"]);
    assert!(take_over.bucket_end(end, 100).is_empty());
    assert_eq!(words(&take_over.committed(own, cfg(6))), ["run 4 with 1"]);
}
