//! What the scans promise, one by one.

use std::time::Duration;

use super::world::{Logged, SHARDS, World, address, key};
use crate::park::Read;
use crate::park::reader::bucket::Move;
use crate::park::reader::ends::{Questions, Range, Ranges};
use crate::park::reader::scans::Begin;
use crate::park::reader::stall::Stalls;

fn logged(lane: u32) -> Logged {
    Logged {
        lane,
        bytes: 40_000,
    }
}

/// A log in which these lanes take turns.
fn interleaved(lanes: u32, records: u32) -> impl Iterator<Item = Logged> {
    (0..records).map(move |n| logged(n % lanes))
}

#[test]
fn nothing_is_read_while_no_lane_reads() {
    let mut world = World::new();
    world.append(0, interleaved(2, 10));
    world.begin(key(0, 0), 0, 0, 100);
    world.run_dry();
    assert_eq!(world.seats.len(), 1);
    world.end_lane(key(0, 0));
    world.plan();
    assert_eq!(world.seats.len(), 0);
    assert!(!world.scans.want_records());
}

#[test]
fn a_lane_without_room_does_not_hold_the_others_of_its_bucket() {
    let mut world = World::new();
    world.append(0, interleaved(3, 3_000));
    for lane in 0..3 {
        world.begin(key(lane, 0), 0, 0, 10);
    }
    for _ in 0..1_000 {
        world.round();
        world.give_back(key(1, 0), 10);
        world.give_back(key(2, 0), 10);
    }
    assert_eq!(world.readings[&key(0, 0)].got.len(), 10);
    assert_eq!(world.readings[&key(1, 0)].got.len(), 1_000);
    assert_eq!(world.readings[&key(2, 0)].got.len(), 1_000);
    world.run_dry();
    world.all_have_all();
}

#[test]
fn a_lane_at_the_end_gets_new_records_and_hears_how_far_others_were_scanned() {
    let mut world = World::new();
    world.append(0, interleaved(1, 5));
    world.begin(key(0, 0), 0, 5, 100);
    world.round();
    world.round();
    assert_eq!(world.readings[&key(0, 0)].scanned_to, 5);
    world.append(0, [logged(7), logged(0), logged(7)]);
    world.round();
    assert_eq!(world.readings[&key(0, 0)].got, [6]);
    assert_eq!(world.readings[&key(0, 0)].scanned_to, 8);
    world.append(0, [logged(7)]);
    world.round();
    world.now += Duration::from_secs(1);
    world.round();
    assert_eq!(world.readings[&key(0, 0)].scanned_to, 9);
}

#[test]
fn a_lane_at_the_end_is_served_while_another_is_far_behind() {
    let mut world = World::new();
    world.append(0, interleaved(1, 50_000));
    world.begin(key(1, 0), 0, 50_000, 100);
    world.run_dry();
    world.begin(key(0, 0), 0, 0, 100);
    world.round();
    world.append(0, [logged(1)]);
    let mut rounds = 0;
    while world.readings[&key(1, 0)].got.is_empty() {
        world.round();
        world.give_back(key(0, 0), 100);
        rounds += 1;
        assert!(rounds < 100, "not served");
    }
    assert!(world.readings[&key(0, 0)].scanned_to < 50_000);
}

#[test]
fn lanes_of_a_bucket_that_are_far_apart_come_together_and_are_read_once_from_there() {
    let mut world = World::new();
    world.append(0, interleaved(2, 40_000));
    world.begin(key(1, 0), 0, 20_000, 500);
    world.begin(key(0, 0), 0, 0, 500);
    world.run_dry();
    world.all_have_all();
    // Once from each start; while the one behind catches up, the other reads a fifth of it ahead.
    let read = world.records_read;
    assert!(read < 40_000 + 20_000 / 2, "{read} records were read");
}

#[test]
fn many_slow_lanes_share_what_is_read() {
    let mut world = World::new();
    let lanes = 50;
    world.append(0, interleaved(lanes, 50_000));
    for lane in 0..lanes {
        world.begin(key(lane, 0), 0, 0, 100);
    }
    let mut rounds = 0;
    while world.readings.values().any(|lane| lane.scanned_to < 50_000) {
        world.round();
        for lane in 0..lanes {
            // Some are twice as fast as others.
            world.give_back(key(lane, 0), 1 + lane as usize % 2);
        }
        rounds += 1;
        assert!(rounds < 100_000, "no end");
    }
    let read = world.records_read;
    assert!(read < 5 * 50_000, "{read} records were read for 50000");
}

#[test]
fn a_lane_that_is_alone_is_read_from_one_place_however_often_its_room_runs_out() {
    let mut world = World::new();
    world.append(0, interleaved(1, 10_000));
    world.begin(key(0, 0), 0, 0, 10);
    world.run_dry();
    world.all_have_all();
    assert_eq!((world.records_read, world.times_seated), (10_000, 1));
}

#[test]
fn a_bucket_without_room_is_left_when_its_records_come_all_the_same() {
    let mut world = World::new();
    world.append(0, interleaved(1, 1_000));
    world.append(1, interleaved(1, 1_000));
    world.begin(key(0, 0), 0, 0, 10);
    world.round();
    world.plan();
    assert!(world.seats.contains_key(&0), "kept for a moment");
    world.fetch(0);
    world.plan();
    assert!(!world.seats.contains_key(&0));
    world.run_dry();
    world.all_have_all();
}

#[test]
fn a_record_larger_than_the_room_comes_all_the_same() {
    let mut world = World::new();
    world.append(0, interleaved(1, 3));
    let begin = Begin {
        key: key(0, 0),
        lane: address(0, 0),
        from: 0,
        room: 1,
    };
    world.begin(key(0, 0), 0, 0, 1);
    world.scans.begin(begin, world.now);
    world.round();
    assert_eq!(world.readings[&key(0, 0)].got, [0]);
}

#[test]
fn what_a_busy_shard_did_not_take_stays_in_its_place_and_keeps_nobody() {
    let mut world = World::new();
    world.append(0, interleaved(2, 1_000));
    world.begin(key(0, 0), 0, 0, 10);
    world.begin(key(1, 0), 0, 0, 10);
    for _ in 0..1_000 {
        world.plan();
        world.fetch(0);
        world.tell(1, usize::MAX);
        world.give_back(key(1, 0), 10);
    }
    assert_eq!(world.readings[&key(1, 0)].got.len(), 500);
    assert!(world.scans.have_untold());
    world.tell(0, usize::MAX);
    assert_eq!(world.readings[&key(0, 0)].got.len(), 10);
    world.run_dry();
    world.all_have_all();
}

#[test]
fn a_later_drain_of_a_lane_ends_the_earlier_one() {
    let mut world = World::new();
    world.append(0, interleaved(1, 100));
    world.begin(key(0, 0), 0, 0, 10);
    world.round();
    world.begin(key(0, 1), 0, 50, 10);
    world.run_dry();
    assert_eq!(world.readings[&key(0, 1)].got.len(), 50);
    world.scans.more(key(0, 0), 1_000_000);
    world.round();
}

/// The log's range becomes known after an error that names no bucket.
fn out_of_range(world: &mut World, log_start: i64, end: i64) {
    for (_, bucket) in world.scans.read() {
        assert!(bucket.suspect());
    }
    world.log_starts.insert(0, log_start);
    assert!(world.scans.has_range(0, log_start, end));
    world.seats.remove(&0);
}

#[test]
fn a_log_that_begins_later_than_asked_is_told_and_read_from_its_start() {
    let mut world = World::new();
    world.append(0, interleaved(2, 100));
    world.begin(key(0, 0), 0, 10, 100);
    world.begin(key(1, 0), 0, 80, 100);
    world.plan();
    out_of_range(&mut world, 50, 100);
    world.run_dry();
    world.all_have_all();
    let got = |lane| &world.readings[&key(lane, 0)].got;
    assert_eq!((got(0).first(), got(0).len()), (Some(&50), 25));
    assert_eq!((got(1).first(), got(1).len()), (Some(&81), 10));
}

#[test]
fn a_log_that_ends_before_what_was_asked_is_read_again_from_its_start() {
    let mut world = World::new();
    world.append(0, interleaved(1, 20));
    world.append(0, [logged(1)]);
    world.begin(key(0, 0), 0, 500, 100);
    world.plan();
    // Its place is there, but in another log than the one it knew.
    world.begin(key(1, 0), 0, 21, 100);
    out_of_range(&mut world, 3, 21);
    world.run_dry();
    world.all_have_all();
    assert_eq!(world.readings[&key(0, 0)].got.len(), 17);
    assert_eq!(world.readings[&key(1, 0)].got, [20]);
}

#[test]
fn a_range_that_was_asked_before_the_bucket_went_on_changes_nothing() {
    let mut world = World::new();
    world.append(0, interleaved(1, 20));
    world.begin(key(0, 0), 0, 0, 100);
    world.plan();
    for (_, bucket) in world.scans.read() {
        bucket.suspect();
    }
    world.fetch(0);
    assert!(!world.scans.has_range(0, 15, 15));
}

#[test]
fn a_bucket_that_stands_still_is_read_anew_and_if_that_does_not_help_by_a_new_consumer() {
    let mut world = World::new();
    world.append(0, interleaved(1, 20));
    world.begin(key(0, 0), 0, 0, 100);
    world.plan();
    let mut questions = Questions::new(0, world.now);
    let mut stalls = Stalls::new(world.now);
    let mut alarms = Vec::new();
    for second in 0..200 {
        for (_, bucket) in world.scans.read() {
            bucket.ends_at(20);
        }
        let now = world.now + Duration::from_secs(second);
        if stalls.need_a_new_consumer(now, &mut world.scans, &mut questions) {
            alarms.push((second, "new consumer"));
        } else if questions.next(now).is_some() {
            let start = Some(0);
            questions.answered(now, &Ranges::from([(0, Range { start, end: 20 })]));
            assert!(world.scans.has_range(0, 0, 20));
            world.plan();
            alarms.push((second, "anew"));
        }
    }
    // 30 s of patience, then twice as long.
    let expected = [(30, "anew"), (91, "new consumer")];
    assert_eq!(alarms.get(..2), Some(&expected[..]), "{alarms:?}");
}

#[test]
fn what_was_sent_before_a_cut_is_told_before_it() {
    let mut world = World::new();
    world.append(0, interleaved(1, 20));
    world.begin(key(0, 0), 0, 0, 5);
    world.plan();
    world.fetch(0);
    for (_, bucket) in world.scans.read() {
        bucket.suspect();
    }
    assert!(world.scans.has_range(0, 10, 20));
    world.scans.settle(world.now);
    let told: Vec<Read> = std::iter::from_fn(|| world.scans.tell(0)).collect();
    let told = told.as_slice();
    let [
        Read::Drained {
            runs,
            scanned_to: 5,
            ..
        },
        Read::Cut { log_start: 10, .. },
        ..,
    ] = told
    else {
        panic!("{told:?}");
    };
    assert_eq!(runs.len(), 5);
}

#[test]
fn markers_are_passed() {
    let mut world = World::new();
    world.append(0, interleaved(1, 5));
    world.begin(key(0, 0), 0, 0, 100);
    world.round();
    for (_, bucket) in world.scans.read() {
        bucket.ends_at(6);
        assert!(!bucket.is_caught_up());
        bucket.pass_markers(6);
        assert!(bucket.is_caught_up());
    }
    world.now += Duration::from_secs(1);
    world.scans.settle(world.now);
    let told = world.scans.tell(0);
    assert!(
        matches!(told, Some(Read::Drained { scanned_to: 6, .. })),
        "{told:?}"
    );
}

#[test]
fn a_shard_that_is_gone_takes_its_lanes_with_it() {
    let mut world = World::new();
    world.append(0, interleaved(2, 100));
    world.begin(key(0, 0), 0, 0, 100);
    world.begin(key(1, 0), 0, 0, 100);
    world.round();
    world.scans.shard_is_gone(0);
    world.readings.remove(&key(0, 0));
    world.run_dry();
    world.all_have_all();
    world.scans.shard_is_gone(1 % SHARDS);
    assert_eq!(world.scans.plan(), [(0, Move::Leave)]);
}
