//! What a lane that is not live tells its successor, and what it makes of what its predecessor told.

use std::time::Duration;

use parcelhook_crds::lane::{Epoch, Incarnation, LaneRow, Mode, NotBefore, ParkReason};

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
        position,
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
