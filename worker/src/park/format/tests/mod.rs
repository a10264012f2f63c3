//! The bytes stay the same in every release, and what is wrong with a record is named.

mod properties;

use std::sync::Arc;

use parcelhook_crds::lane::{Epoch, Incarnation, LaneName, ParkReason};
use uuid::Uuid;

use super::*;
use crate::park::{LaneAddress, ParkedBody, Run};
use crate::source::record::{Record, Timestamp};

type OwnedHeader = (String, Option<Vec<u8>>);

/// A record as it lies in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

fn stored(encoded: &Encoded<'_>) -> Stored {
    let mut headers = Vec::new();
    encoded.headers(|name, value| headers.push((name.to_owned(), value.map(<[u8]>::to_vec))));
    Stored {
        key: encoded.key().map(<[u8]>::to_vec),
        value: encoded.value().map(<[u8]>::to_vec),
        headers,
    }
}

impl Stored {
    fn decode(&self) -> Result<Parked, FormatError> {
        decode(&Message {
            offset: 1_000,
            parked_at: 1_700_000_000_500,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: self.headers(),
        })
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    fn text(&self) -> String {
        let show = |bytes: Option<&[u8]>| {
            bytes.map_or("null".to_owned(), |bytes| bytes.escape_ascii().to_string())
        };
        let mut lines = vec![format!("key   {}", show(self.key.as_deref()))];
        lines.push(format!("value {}", show(self.value.as_deref())));
        let headers = self.headers();
        lines.extend(headers.map(|(name, value)| format!("{name}: {}", show(value))));
        lines.join("\n")
    }
}

fn lane() -> Arc<LaneAddress> {
    Arc::new(LaneAddress {
        name: LaneName {
            target: Uuid::from_u128(7),
            selection: [9; 16],
        },
        source: PartitionId {
            topic: "orders".into(),
            partition: 3,
        },
        topic_id: Some(TopicId(Uuid::from_u128(0x1234))),
        bucket: 5,
    })
}

fn run(events: Vec<Record>) -> Run {
    Run {
        lane: lane(),
        incarnation: Incarnation {
            epoch: Epoch { n: 4, random: 0x1f },
            counter: 2,
        },
        reason: ParkReason::Failed,
        prev: Some(41),
        attempts: 3,
        first_failed_at: Some(1_700_000_000_000),
        not_before: Some(1_700_000_008_000),
        last_error: Some("HTTPStatus 503".to_owned()),
        events,
    }
}

fn two_events() -> Vec<Record> {
    let tenant = ("x-tenant", Some(&b"acme"[..]));
    let paid = Timestamp::Created(1_700_000_000_007);
    let (key, value) = (Some(&b"o-17"[..]), Some(&b"{}"[..]));
    vec![
        Record::new(42, paid, key, value, [tenant].into_iter()),
        Record::new(45, Timestamp::Missing, None, None, [].into_iter()),
    ]
}

#[test]
fn one_event_is_the_same_bytes_in_every_release() {
    let run = run(two_events().drain(..1).collect());
    insta::assert_snapshot!(stored(&encode(&run).unwrap()).text(), @r"
    key   o-17
    value {}
    parcelhook-target: 00000000-0000-0000-0000-000000000007
    parcelhook-selection: CQkJCQkJCQkJCQkJCQkJCQ
    parcelhook-source: orders/3
    parcelhook-topic-id: 00000000-0000-0000-0000-000000001234
    parcelhook-first: 42
    parcelhook-last: 42
    parcelhook-prev: 41
    parcelhook-incarnation: 4.000000000000001f.2
    parcelhook-reason: Failed
    parcelhook-attempts: 3
    parcelhook-first-failed-at: 1700000000000
    parcelhook-not-before: 1700000008000
    parcelhook-last-error: HTTPStatus 503
    parcelhook-timestamp: created 1700000000007
    parcelhook-body: event
    x-tenant: acme
    ");
}

#[test]
fn several_events_are_the_same_bytes_in_every_release() {
    let mut run = run(two_events());
    (run.prev, run.first_failed_at, run.not_before) = (None, None, None);
    run.last_error = None;
    insta::assert_snapshot!(stored(&encode(&run).unwrap()).text(), @r"
    key   o-17
    value \x01\x02*\x01\x8e\xa0\xab\xfe\xf9b\x05o-17\x03{}\x01\x08x-tenant\x05acme\x03\x00\x00\x00\x00
    parcelhook-target: 00000000-0000-0000-0000-000000000007
    parcelhook-selection: CQkJCQkJCQkJCQkJCQkJCQ
    parcelhook-source: orders/3
    parcelhook-topic-id: 00000000-0000-0000-0000-000000001234
    parcelhook-first: 42
    parcelhook-last: 45
    parcelhook-incarnation: 4.000000000000001f.2
    parcelhook-reason: Failed
    parcelhook-attempts: 3
    parcelhook-not-before: never
    parcelhook-body: run
    ");
}

#[test]
fn a_reference_is_the_same_bytes_in_every_release() {
    let run = run(two_events().drain(..1).collect());
    let stored = stored(&reference(&run).unwrap());
    insta::assert_snapshot!(stored.text(), @r"
    key   null
    value null
    parcelhook-target: 00000000-0000-0000-0000-000000000007
    parcelhook-selection: CQkJCQkJCQkJCQkJCQkJCQ
    parcelhook-source: orders/3
    parcelhook-topic-id: 00000000-0000-0000-0000-000000001234
    parcelhook-first: 42
    parcelhook-last: 42
    parcelhook-prev: 41
    parcelhook-incarnation: 4.000000000000001f.2
    parcelhook-reason: Failed
    parcelhook-attempts: 3
    parcelhook-first-failed-at: 1700000000000
    parcelhook-not-before: 1700000008000
    parcelhook-last-error: HTTPStatus 503
    parcelhook-timestamp: created 1700000000007
    parcelhook-body: reference
    ");
    let parked = stored.decode().unwrap();
    assert!(matches!(parked.run.body, ParkedBody::Reference));
    assert_eq!(parked.run.offsets, (42, 42));
}

#[test]
fn what_cannot_be_parked_has_no_record() {
    assert!(encode(&run(Vec::new())).is_none());
    assert!(reference(&run(Vec::new())).is_none());
    assert!(reference(&run(two_events())).is_none());
}

#[test]
fn an_events_own_headers_of_our_names_are_its_own() {
    let headers = [
        ("parcelhook-body", Some(&b"reference"[..])),
        ("parcelhook-target", None),
        ("parcelhook-first", Some(b"0")),
    ];
    let event = Record::new(
        42,
        Timestamp::Created(1),
        None,
        None,
        headers.iter().copied(),
    );
    let run = run(vec![event]);
    let parked = stored(&encode(&run).unwrap()).decode().unwrap();
    let ParkedBody::Events(events) = parked.run.body else {
        unreachable!("it was parked as an event");
    };
    assert_eq!(events[0].headers().collect::<Vec<_>>(), headers);
    assert_eq!(parked.run.offsets, (42, 42));
}

#[test]
fn long_words_about_a_failure_are_cut_between_characters() {
    let mut run = run(two_events());
    run.last_error = Some("ü".repeat(2_000));
    let stored = stored(&encode(&run).unwrap());
    let (_, words) = stored
        .headers()
        .find(|(name, _)| *name == LAST_ERROR)
        .unwrap();
    assert_eq!(words, Some("ü".repeat(512).as_bytes()));
}

#[test]
fn a_long_key_is_not_repeated_beside_its_event() {
    let key = vec![b'k'; 2_000];
    let event = |offset| Record::new(offset, Timestamp::Missing, Some(&key), None, [].into_iter());
    let run = run(vec![event(1), event(2)]);
    assert_eq!(encode(&run).unwrap().key(), None);
}

#[test]
fn headers_of_a_later_version_are_skipped() {
    let run = run(two_events());
    let mut stored = stored(&encode(&run).unwrap());
    let later = ("parcelhook-later".to_owned(), None);
    stored.headers.insert(stored.headers.len() - 1, later);
    assert!(stored.decode().is_ok());
}

#[test]
fn what_is_wrong_with_a_record_is_named() {
    let run = run(two_events());
    let good = stored(&encode(&run).unwrap());
    let without = |name: &str| {
        let mut record = good.clone();
        record.headers.retain(|(found, _)| found != name);
        record
    };
    let with = |name: &str, value: &str| {
        let mut record = good.clone();
        for (found, old) in &mut record.headers {
            if found == name {
                *old = Some(value.into());
            }
        }
        record
    };
    let mut later = good.clone();
    later.value = Some(vec![2]);
    let mut longer = good.clone();
    longer.value.as_mut().unwrap().push(0);
    for (record, error) in [
        (without(TARGET), FormatError::Foreign),
        (with(TARGET, "7"), FormatError::Foreign),
        (without(BODY), FormatError::Foreign),
        (with(BODY, "x"), FormatError::Header(BODY)),
        (with(BODY, "event"), FormatError::Header(TIMESTAMP)),
        (without(FIRST), FormatError::Header(FIRST)),
        (with(LAST, "x"), FormatError::Header(LAST)),
        (with(INCARNATION, "4.1"), FormatError::Header(INCARNATION)),
        (later, FormatError::Events(BinaryError::Version(2))),
        (longer, FormatError::Events(BinaryError::Long)),
        (
            with(LAST, "46"),
            FormatError::Offsets {
                said: (42, 46),
                found: (42, 45),
            },
        ),
    ] {
        assert_eq!(record.decode().unwrap_err(), error);
    }
}

#[test]
fn impossible_numbers_are_refused() {
    for (bytes, error) in [
        (&[][..], BinaryError::Short),
        (&[1], BinaryError::Short),
        (&[1, 0], BinaryError::Count(0)),
        (&[1, 101], BinaryError::Count(101)),
        (&[1, 1, 0x80], BinaryError::Short),
        (&[1, 1, 0, 3, 0], BinaryError::Number),
        (&[1, 1, 0, 0, 5, b'k'], BinaryError::Short),
        (&[1, 1, 0, 0, 0, 0, 1, 1, 0xff, 0], BinaryError::Name),
        // The same offset again.
        (&[1, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0], BinaryError::Number),
    ] {
        assert_eq!(binary::read(bytes).unwrap_err(), error, "{bytes:?}");
    }
    let too_large = [&[1, 1][..], &[0xff; 10], &[0; 5]].concat();
    assert_eq!(binary::read(&too_large).unwrap_err(), BinaryError::Number);
}

#[test]
fn the_run_in_the_documentation_is_what_is_written() {
    let example = binary::write(&two_events());
    let hex: Vec<String> = example.iter().map(|byte| format!("{byte:02x}")).collect();
    let documentation = include_str!("../../../../../docs/formats.md");
    let words = documentation
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(words.contains(&hex.join(" ")), "{}", hex.join(" "));
}
