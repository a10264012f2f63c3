//! A lane's room: how much more it takes, and when.

use parcelhook_crds::lane::{Epoch, Incarnation};

use super::world::{address, key};
use crate::clock;
use crate::park::format::LaneOf;
use crate::park::reader::lane::REST_MOST;
use crate::park::reader::scans::{Begin, Scans};
use crate::park::{ParkedBody, ParkedRun, Read};
use crate::source::record::{Record, Timestamp};

const ROOM: usize = 64 << 10;

/// A lane with [`ROOM`] has met a record of this size, and its shard was told of it.
fn met(bytes: usize) -> Scans {
    let mut scans = Scans::new(2);
    let begin = Begin {
        key: key(0, 1),
        lane: address(0, 0),
        from: 0,
        room: ROOM,
    };
    scans.begin(begin, clock::now());
    scans.plan();
    assert!(takes(&mut scans, 0));
    let value = vec![b'x'; bytes];
    let none = std::iter::empty();
    let event = Record::new(0, Timestamp::Missing, None, Some(&value), none);
    let epoch = Epoch { n: 1, random: 1 };
    let run = ParkedRun {
        offset: 0,
        parked_at: 0,
        incarnation: Incarnation { epoch, counter: 1 },
        offsets: (0, 0),
        prev: None,
        first_failed_at: None,
        body: ParkedBody::Events(vec![event]),
    };
    scans.hand(key(0, 1), run);
    scans.settle(clock::now());
    let told = scans.tell(0);
    assert!(matches!(told, Some(Read::Drained { runs, .. }) if runs.len() == 1));
    scans
}

/// Whether the lane takes its record at this offset.
fn takes(scans: &mut Scans, offset: i64) -> bool {
    let lane = address(0, 0);
    let owner = LaneOf {
        name: lane.name,
        topic: "orders",
        partition: 0,
        topic_id: None,
    };
    scans.pass(0, (offset, 1), Some(&owner)) == [key(0, 1)]
}

#[test]
fn a_lane_reads_on_behind_a_record_that_is_larger_than_all_its_room() {
    let mut scans = met(20 * ROOM);
    // To the shard nothing of what it granted is left, and it grants as much again.
    scans.more(key(0, 1), ROOM);
    scans.plan();
    assert!(takes(&mut scans, 1));
}

#[test]
fn a_lane_with_little_room_rests_for_a_moment_and_not_for_ever() {
    let mut scans = met(ROOM);
    scans.more(key(0, 1), ROOM / 8);
    let now = clock::now();
    scans.settle(now);
    scans.plan();
    assert!(!scans.want_records() && scans.have_waiting());
    scans.settle(now + REST_MOST);
    scans.plan();
    assert!(scans.want_records() && !scans.have_waiting());
    assert!(takes(&mut scans, 1));
}
