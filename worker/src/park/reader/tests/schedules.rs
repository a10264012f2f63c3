//! Whatever lanes do in whatever order: each gets its records once, in order, and none starves.

use proptest::prelude::*;

use super::world::{Logged, SHARDS, World, key};
use crate::park::reader::bucket::LONG_TURN_BYTES;

const LANES: u32 = 6;
const BUCKETS: i32 = 2;

#[derive(Clone, Debug)]
enum Act {
    Append {
        bucket: i32,
        lane: u32,
        records: usize,
    },
    Begin {
        lane: u32,
        from: f64,
        room: usize,
    },
    GiveBack {
        lane: u32,
        records: usize,
    },
    End {
        lane: u32,
    },
    Plan,
    Fetch {
        bucket: i32,
    },
    Tell {
        shard: u32,
        answers: usize,
    },
    LeaveUnwanted,
    LeaveAll,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..BUCKETS, 0..LANES, 1..400_usize)
            .prop_map(|(bucket, lane, records)| Act::Append { bucket, lane, records }),
        3 => (0..LANES, 0.0..1.0, 0..80_usize)
            .prop_map(|(lane, from, room)| Act::Begin { lane, from, room }),
        6 => (0..LANES, 1..40_usize).prop_map(|(lane, records)| Act::GiveBack { lane, records }),
        1 => (0..LANES).prop_map(|lane| Act::End { lane }),
        8 => Just(Act::Plan),
        8 => (0..BUCKETS).prop_map(|bucket| Act::Fetch { bucket }),
        6 => (0..SHARDS, 0..4_usize).prop_map(|(shard, answers)| Act::Tell { shard, answers }),
        1 => Just(Act::LeaveUnwanted),
        1 => Just(Act::LeaveAll),
    ]
}

/// A lane is always in the same bucket, as all lanes of a target are.
fn bucket_of(lane: u32) -> i32 {
    i32::try_from(lane).unwrap() / 2 % BUCKETS
}

fn act(world: &mut World, act: Act, drain: u32) {
    match act {
        Act::Append {
            bucket,
            lane,
            records,
        } => {
            let own = (0..LANES).filter(|lane| bucket_of(*lane) == bucket);
            let lanes: Vec<u32> = own.collect();
            let lane = lanes[lane as usize % lanes.len()];
            let one = |_| Logged {
                lane,
                bytes: 100_000,
            };
            world.append(bucket, (0..records).map(one));
        }
        Act::Begin { lane, from, room } => {
            let bucket = bucket_of(lane);
            let from = (world.end(bucket) as f64 * from) as i64;
            world.begin(key(lane, drain), bucket, from, room);
            if room == 0 {
                world.more(key(lane, drain), 1);
            }
        }
        Act::GiveBack { lane, records } => {
            let readings = world.readings.keys().copied();
            if let Some(key) = readings.into_iter().find(|key| key.slot == lane) {
                world.give_back(key, records);
            }
        }
        Act::End { lane } => {
            let readings = world.readings.keys().copied();
            if let Some(key) = readings.into_iter().find(|key| key.slot == lane) {
                world.end_lane(key);
            }
        }
        Act::Plan => world.plan(),
        Act::Fetch { bucket } => world.fetch(bucket),
        Act::Tell { shard, answers } => world.tell(shard, answers),
        Act::LeaveUnwanted => {
            for bucket in world.scans.leave_unwanted() {
                world.seats.remove(&bucket);
            }
        }
        Act::LeaveAll => {
            world.scans.leave_all();
            world.seats.clear();
        }
    }
}

proptest! {
    #[test]
    fn every_lane_gets_each_of_its_records_once_and_in_order(
        schedule in prop::collection::vec(acts(), 1..200)
    ) {
        let mut world = World::new();
        for (drain, one) in (0..).zip(schedule) {
            act(&mut world, one, drain);
        }
        // What is told is checked as it is told; at the end nothing may be missing.
        world.run_dry();
        world.all_have_all();
    }
}

proptest! {
    // Each case is long.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_lane_starves_while_others_read(
        starts in prop::collection::vec(0..20_000_i64, 1..6),
        rooms in prop::collection::vec(1..200_usize, 6),
    ) {
        let mut world = World::new();
        let records = (0..20_000).map(|n| Logged { lane: n % LANES, bytes: 100_000 });
        world.append(0, records);
        let lanes = u32::try_from(starts.len()).unwrap();
        for (lane, (from, room)) in (0..lanes).zip(starts.iter().zip(&rooms)) {
            world.begin(key(lane, 0), 0, *from, *room);
        }
        let bound = (2 * starts.len() + 2) * usize::try_from(LONG_TURN_BYTES).unwrap();
        for _ in 0..600 {
            world.round();
            for lane in 0..lanes {
                world.give_back(key(lane, 0), usize::MAX / 1_000);
            }
            for (key, reading) in &world.readings {
                let waited = world.bytes_read - reading.moved_at;
                let at_end = reading.scanned_to == world.end(0);
                prop_assert!(at_end || waited <= bound, "{key:?} waited for {waited} bytes");
            }
        }
    }
}
