//! Events that were parked by their place: fetched, in their turn, or told as gone.

use std::time::Duration;

use parcelhook_crds::lane::{Epoch, Incarnation};

use super::world::{address, key};
use crate::clock;
use crate::park::format::LaneOf;
use crate::park::reader::fetch::Found;
use crate::park::reader::scans::{Begin, Scans};
use crate::park::{ParkedBody, ParkedRun, Read};
use crate::source::record::{Record, Timestamp};

fn event(offset: i64) -> Record {
    Record::new(offset, Timestamp::Missing, None, None, std::iter::empty())
}

/// A lane that has met these records, in this order.
fn met(bodies: Vec<ParkedBody>) -> Scans {
    let mut scans = Scans::new(2);
    let begin = Begin {
        key: key(0, 1),
        lane: address(0, 0),
        from: 0,
        room: 1 << 20,
    };
    scans.begin(begin, clock::now());
    scans.plan();
    for (offset, body) in (0..).zip(bodies) {
        let lane = address(0, 0);
        let owner = LaneOf {
            name: lane.name,
            topic: "orders",
            partition: 0,
            topic_id: None,
        };
        assert_eq!(scans.pass(0, (offset, 1), Some(&owner)), [key(0, 1)]);
        let epoch = Epoch { n: 1, random: 1 };
        let run = ParkedRun {
            offset,
            parked_at: 0,
            incarnation: Incarnation { epoch, counter: 1 },
            offsets: (offset, offset),
            prev: None,
            first_failed_at: None,
            body,
        };
        scans.hand(key(0, 1), run);
    }
    scans
}

/// What the lane's shard is told now: offsets of events, those that are gone below 0, and how far all
/// is told.
fn told(scans: &mut Scans) -> Option<(Vec<i64>, i64)> {
    scans.settle(clock::now() + Duration::from_secs(9));
    let Some(Read::Drained {
        runs, scanned_to, ..
    }) = scans.tell(0)
    else {
        return None;
    };
    let offset = |run: &ParkedRun| match &run.body {
        ParkedBody::Events(events) => events[0].offset,
        ParkedBody::Fetched(event) => event.offset,
        ParkedBody::Gone => -run.offset,
        ParkedBody::Reference => panic!("a reference was told"),
    };
    Some((runs.iter().map(offset).collect(), scanned_to))
}

#[test]
fn what_lies_behind_an_event_that_must_be_fetched_waits_for_it() {
    let events = |offset| ParkedBody::Events(vec![event(offset)]);
    let bodies = vec![
        events(0),
        ParkedBody::Reference,
        events(2),
        ParkedBody::Reference,
    ];
    let mut scans = met(bodies);
    assert_eq!(told(&mut scans), Some((vec![0], 1)));
    let (lane, wanted) = scans.next_reference().unwrap();
    assert_eq!((lane, wanted.offset), (key(0, 1), 1));
    scans.fetched(lane, 1, Found::Unknown);
    assert_eq!(told(&mut scans), None, "nobody knows yet");
    scans.fetched(lane, 1, Found::Event(event(1)));
    assert_eq!(told(&mut scans), Some((vec![1, 2], 3)));
    let (lane, wanted) = scans.next_reference().unwrap();
    assert_eq!(wanted.offset, 3);
    scans.fetched(lane, 3, Found::Gone);
    assert_eq!(told(&mut scans), Some((vec![-3], 4)));
    assert!(scans.next_reference().is_none() && !scans.has_references());
}

#[test]
fn nothing_is_fetched_for_a_lane_that_reads_no_more() {
    let mut scans = met(vec![ParkedBody::Reference]);
    let (lane, wanted) = scans.next_reference().unwrap();
    scans.end(lane);
    scans.fetched(lane, wanted.offset, Found::Event(event(0)));
    assert_eq!(told(&mut scans), None);
    assert!(scans.next_reference().is_none());
}
