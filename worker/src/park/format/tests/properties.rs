//! Any events come back byte for byte, and no garbage panics.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{OwnedHeader, lane, run, stored, two_events};
use crate::park::format::{binary, encode, lane_of};
use crate::park::{LaneAddress, ParkedBody, RUN_EVENTS};
use crate::source::PartitionId;
use crate::source::record::{Record, Timestamp};

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(vec(any::<u8>(), 0..20))
}

fn header() -> impl Strategy<Value = OwnedHeader> {
    let name = prop_oneof![
        "parcelhook-(body|target|first)",
        ".{0,8}",
        Just("\0".to_owned())
    ];
    (name, bytes())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::Missing),
        any::<i64>().prop_map(Timestamp::Created),
        any::<i64>().prop_map(Timestamp::Appended),
    ]
}

type Parts = (
    i64,
    Timestamp,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<OwnedHeader>,
);

fn events() -> impl Strategy<Value = Vec<Record>> {
    let some = |most| {
        let event = (
            1..i64::MAX / 200,
            timestamp(),
            bytes(),
            bytes(),
            vec(header(), 0..4),
        );
        vec(event, most)
    };
    prop_oneof![some(1..=1), some(2..=5), some(RUN_EVENTS..=RUN_EVENTS)].prop_map(placed)
}

/// Gives each event an offset, which lies its distance above the one before.
fn placed(events: Vec<Parts>) -> Vec<Record> {
    let mut offset = -1;
    let place = |(distance, timestamp, key, value, headers): Parts| {
        offset += distance;
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()));
        Record::new(offset, timestamp, key.as_deref(), value.as_deref(), headers)
    };
    events.into_iter().map(place).collect()
}

fn same(one: &Record, other: &Record) -> bool {
    one.offset == other.offset
        && one.timestamp == other.timestamp
        && one.key() == other.key()
        && one.value() == other.value()
        && one.headers().eq(other.headers())
}

proptest! {
    #[test]
    fn any_events_come_back_byte_for_byte(events in events(), prev: Option<i64>, since: Option<i64>) {
        let mut run = run(events);
        (run.prev, run.first_failed_at) = (prev, since);
        let stored = stored(&encode(&run).unwrap());
        let parked = stored.decode().unwrap();
        prop_assert_eq!(
            (parked.name, &parked.source, parked.topic_id),
            (run.lane.name, &run.lane.source, run.lane.topic_id)
        );
        let of = lane_of(stored.headers()).unwrap();
        prop_assert_eq!((of.name, of.topic_id), (run.lane.name, run.lane.topic_id));
        prop_assert_eq!((of.topic, of.partition), ("orders", 3));
        prop_assert_eq!(Some(parked.run.offsets), run.offsets());
        prop_assert_eq!(parked.run.incarnation, run.incarnation);
        prop_assert_eq!((parked.run.prev, parked.run.first_failed_at), (prev, since));
        prop_assert_eq!((parked.run.offset, parked.run.parked_at), (1_000, 1_700_000_000_500));
        let ParkedBody::Events(back) = parked.run.body else {
            return Err(TestCaseError::fail("not events"));
        };
        prop_assert_eq!(back.len(), run.events.len());
        prop_assert!(back.iter().zip(&run.events).all(|(one, other)| same(one, other)));
    }

    #[test]
    fn a_lane_without_a_topic_id_comes_back(topic in "[a-zA-Z0-9._-]{1,249}", partition: i32) {
        let mut run = run(two_events());
        let source = PartitionId { topic: topic.as_str().into(), partition };
        run.lane = Arc::new(LaneAddress { source: source.clone(), topic_id: None, ..(*lane()).clone() });
        let parked = stored(&encode(&run).unwrap()).decode().unwrap();
        prop_assert_eq!((parked.source, parked.topic_id), (source, None));
    }

    #[test]
    fn garbage_is_refused_and_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        let _ = binary::read(&bytes);
        let _ = binary::read(&[&[1, 1], &bytes[..]].concat());
    }

    #[test]
    fn a_damaged_record_never_panics(
        events in events(), at: prop::sample::Index, with: u8, cut: bool, header: prop::sample::Index,
    ) {
        let run = run(events);
        let mut stored = stored(&encode(&run).unwrap());
        if let Some(value) = stored.value.as_mut().filter(|value| !value.is_empty()) {
            let at = at.index(value.len());
            if cut { value.truncate(at) } else { value[at] = with }
        }
        let _ = stored.decode();
        let damaged = header.index(stored.headers.len());
        if let (_, Some(value)) = &mut stored.headers[damaged] {
            value.insert(at.index(value.len() + 1), with);
        }
        let _ = stored.decode();
        stored.headers.remove(damaged);
        let _ = (stored.decode(), lane_of(stored.headers()));
    }
}
