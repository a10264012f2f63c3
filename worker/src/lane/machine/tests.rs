//! What a lane that is not live tells its successor, and what it makes of what its predecessor told.

use std::time::Duration;

use parcelhook_crds::lane::{
    Epoch, Incarnation, LaneRow, LastFailure, Mode, NotBefore, ParkReason, Wants,
};

use super::*;
use crate::clock;

/// An event of which only the place matters.
#[derive(Clone, Debug)]
struct Dot(i64);

impl Event for Dot {
    fn offset(&self) -> i64 {
        self.0
    }

    fn cost(&self) -> usize {
        1
    }
}

const INCARNATION: Incarnation = Incarnation {
    epoch: Epoch { n: 1, random: 1 },
    counter: 1,
};

fn row(attempted: Option<(i64, i64)>) -> LaneRow {
    LaneRow {
        mode: Mode::Parking,
        reason: ParkReason::Failed,
        incarnation: INCARNATION,
        delivered_through: 4,
        attempted,
        bucket: 0,
        resume_offset: 10,
        attempts: 1,
        not_before: NotBefore::At(1),
        since: 0,
        oldest_parked_at: None,
        last_failure: None,
        parked: 1,
        parked_through: Some(5),
        last_request: None,
        wants: Wants::Everything,
        absent_since: None,
    }
}

fn run(offset: i64, event: i64) -> DrainedRun<Dot> {
    DrainedRun {
        offset,
        parked_at: 0,
        incarnation: INCARNATION,
        prev: None,
        size: 1,
        events: vec![Dot(event)],
    }
}

fn sight(position: i64) -> Sight {
    Sight {
        waiting: 0,
        hold_is_full: false,
        may_park: true,
        room_most: usize::MAX,
        ages: Ages {
            too_old: i64::MIN,
            overdue: i64::MIN,
            elsewhere: i64::MIN,
        },
        position,
        counts: true,
    }
}

#[test]
fn a_transaction_goes_again_as_it_was_also_when_a_successor_has_not_read_all_of_it() {
    let now = clock::now();
    let mut lane = Machine::resumed(row(Some((5, 6))), 11, Due::At(now, 1));
    assert_eq!(lane.work(now, sight(5)), Some(Work::BeginDrain));
    let (drain, from, _) = lane.begin_drain().unwrap();
    lane.drained(drain, vec![run(from, 5)], from + 1);
    assert_eq!(
        lane.work(now, sight(6)),
        None,
        "6 was never parked, and is still to be read from the source"
    );
    assert_eq!(
        lane.work(now, sight(7)),
        Some(Work::Attempt),
        "6 is not there any more: compaction took it"
    );
}

#[test]
fn the_row_of_a_suspended_lane_says_so_whatever_it_failed_of() {
    let now = clock::now();
    let mut lane: Machine<Dot> = Machine::resumed(row(None), 11, Due::At(now, 1));
    lane.suspend(true, now, 1);
    let told = lane.write_row(1, 0, now).unwrap();
    assert_eq!(
        (told.reason, told.not_before),
        (ParkReason::Suspended, NotBefore::Never)
    );
    assert_eq!(lane.work(now + Duration::from_secs(9), sight(5)), None);
    lane.written(1, 0);
    lane.suspend(false, now, 2);
    let told = lane.write_row(2, 0, now).unwrap();
    assert_eq!(
        (told.reason, told.not_before),
        (ParkReason::Failed, NotBefore::At(2))
    );
}

#[test]
fn a_bucket_that_ends_below_the_place_to_read_from_is_read_from_its_start() {
    let now = clock::now();
    let mut lane = Machine::resumed(row(None), 2, Due::At(now, 1));
    assert_eq!(lane.work(now, sight(5)), Some(Work::BeginDrain));
    let (drain, from, _) = lane.begin_drain().unwrap();
    assert_eq!(from, 0);
    assert_eq!(lane.work(now, sight(5)), None, "nothing of it is read");
    lane.drained(drain, vec![run(1, 5)], 2);
    assert_eq!(lane.work(now, sight(6)), Some(Work::Attempt));
    lane.start_drain(1);
    lane.drain_delivered();
    let told = lane.write_row(1, 0, now).unwrap();
    assert_eq!((told.delivered_through, told.resume_offset), (5, 2));
    lane.written(1, 0);
    assert_eq!(lane.awaits_commit(), Some(5), "4 may have been given up");
    assert_eq!(lane.work(now, sight(6)), Some(Work::More));
    lane.committed(5);
    assert_eq!(lane.work(now, sight(6)), Some(Work::Tombstone));
}

#[test]
fn what_retention_took_is_no_gap_to_a_later_attempt_either() {
    let now = clock::now();
    let parked = LaneRow {
        parked: 3,
        parked_through: Some(7),
        ..row(None)
    };
    let mut lane = Machine::resumed(parked, 12, Due::At(now, 1));
    let left = DrainedRun {
        prev: Some(6),
        ..run(11, 7)
    };
    let (drain, ..) = lane.begin_drain().unwrap();
    lane.cut(drain, 11, true);
    lane.drained(drain, vec![left.clone()], 12);
    assert_eq!(lane.work(now, sight(8)), Some(Work::WriteRow));
    let told = lane.write_row(1, 0, now).unwrap();
    assert_eq!((told.delivered_through, told.parked), (6, 1));
    lane.written(1, 0);
    assert_eq!(lane.work(now, sight(8)), Some(Work::Attempt));
    lane.start_drain(1);
    lane.drain_failed(Failed {
        due: Due::At(now, 2),
        failure: LastFailure {
            at: 0,
            reason: "HTTPStatus".to_owned(),
            status: Some(503),
            message: None,
        },
    });
    lane.write_row(2, 0, now).unwrap();
    lane.written(2, 0);

    let (drain, ..) = lane.begin_drain().unwrap();
    lane.drained(drain, vec![left], 12);
    assert!(!lane.backlog().unwrap().has_gap());
    assert_eq!(lane.work(now, sight(8)), Some(Work::Attempt));
}

#[test]
fn a_suspended_lane_of_which_retention_took_everything_is_live_when_it_is_resumed() {
    let now = clock::now();
    let mut lane: Machine<Dot> = Machine::resumed(row(None), 11, Due::At(now, 1));
    lane.suspend(true, now, 1);
    lane.write_row(1, 0, now).unwrap();
    lane.written(1, 0);
    let (drain, ..) = lane.begin_drain().unwrap();
    lane.cut(drain, 11, true);
    lane.drained(drain, Vec::new(), 11);
    lane.rest();
    assert_eq!(lane.take_lost(), 1);
    lane.committed(6);
    lane.suspend(false, now, 2);
    lane.write_row(2, 0, now).unwrap();
    lane.written(2, 0);

    let (drain, ..) = lane.begin_drain().unwrap();
    lane.drained(drain, Vec::new(), 11);
    assert_eq!(lane.work(now, sight(6)), Some(Work::Tombstone));
}

#[test]
fn what_retention_takes_behind_an_attempt_is_lost_when_that_has_delivered_the_rest() {
    let now = clock::now();
    let parked = LaneRow {
        parked: 3,
        parked_through: Some(7),
        ..row(None)
    };
    let mut lane = Machine::resumed(parked, 12, Due::At(now, 1));
    let (drain, ..) = lane.begin_drain().unwrap();
    lane.drained(drain, vec![run(10, 5)], 11);
    assert_eq!(lane.work(now, sight(8)), Some(Work::Attempt));
    lane.start_drain(1);
    lane.cut(drain, 12, true);
    lane.drained(drain, Vec::new(), 12);
    assert_eq!(lane.take_lost(), 0, "it may be in the attempt");
    lane.drain_delivered();
    assert_eq!(lane.take_lost(), 2);
    assert_eq!(lane.work(now, sight(8)), Some(Work::WriteRow));
    let told = lane.write_row(1, 0, now).unwrap();
    assert_eq!((told.delivered_through, told.parked), (7, 0));
    lane.written(1, 0);
    assert_eq!(lane.awaits_commit(), Some(8), "7 was given up");
    lane.committed(8);
    assert_eq!(lane.work(now, sight(8)), Some(Work::Tombstone));
}

#[test]
fn a_lane_that_reads_another_log_than_it_writes_waits_to_be_told_where_that_begins() {
    let now = clock::now();
    let mut lane = Machine::resumed(row(None), 10, Due::At(now, 1));
    let (drain, from, _) = lane.begin_drain().unwrap();
    let mut waiting = sight(6);
    waiting.waiting = 1;
    assert_eq!(lane.work(now, waiting), Some(Work::Park { skip: 0 }));
    let span = Span {
        events: 1,
        first: 5,
        last: 5,
    };
    lane.park(1, span);
    lane.written(1, 3);
    assert_eq!(lane.settle(true, 0), 1);
    lane.drained(drain, Vec::new(), from);
    assert_eq!(
        lane.work(now, sight(6)),
        None,
        "5 is at 3, and was not read"
    );
    lane.cut(drain, 0, false);
    lane.drained(drain, vec![run(3, 5)], 10);
    assert_eq!(lane.work(now, sight(6)), Some(Work::Attempt));
}
