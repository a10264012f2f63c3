//! What a receiver reads, byte for byte. A change here changes what users parse and sign.

use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::transaction::Error;

const STRUCTURED: &[u8] = br#"{"specversion":"1.0","id":"A-1","source":"/shop","type":"shop.paid","data":{"total": 12.50}}"#;
const NO_ID: &[u8] = br#"{"specversion":"1.0","source":"/shop","type":"shop.paid"}"#;
const TRACE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const BINARY: Headers<'_> = &[
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"A-1")),
    ("ce_source", Some(b"/shop")),
    ("ce_type", Some(b"shop.paid")),
    ("ce_time", Some(b"2023-11-14T22:13:19Z")),
    ("ce_region", Some("Zürich \u{20ac}".as_bytes())),
    ("ce_token", Some(b"\xff\x00")),
    ("content-type", Some(b"application/json")),
    ("x-tenant", Some(b"acme & co")),
];

fn cases() -> Vec<(&'static str, Record)> {
    let key: Option<&[u8]> = Some(b"order-17");
    let json: Option<&[u8]> = Some(br#"{ "total": 12.50, "note": "\u00fc" }"#);
    let structured = |value| {
        record(
            key,
            Some(value),
            &[(
                "content-type",
                Some(b"application/cloudevents+json; charset=utf-8"),
            )],
        )
    };
    vec![
        ("a JSON value", record(key, json, &[])),
        ("text", record(key, Some("paid \u{20ac}\n".as_bytes()), &[])),
        (
            "text that says so",
            record(
                key,
                Some("paid \"now\"".as_bytes()),
                &[("content-type", Some(b"text/plain"))],
            ),
        ),
        (
            "a number that is said to be text",
            record(key, Some(b"17"), &[("content-type", Some(b"text/plain"))]),
        ),
        ("binary", record(key, Some(b"\x00\xff\xfe"), &[])),
        (
            "binary that says so",
            record(
                key,
                Some(b"\x0a\x01"),
                &[("content-type", Some(b"application/protobuf"))],
            ),
        ),
        ("a tombstone", record(key, None, &[])),
        ("an empty value", record(key, Some(b""), &[])),
        ("the JSON text null", record(key, Some(b"null"), &[])),
        ("a null key", record(None, json, &[])),
        ("an empty key", record(Some(b""), json, &[])),
        ("a binary key", record(Some(b"\xc3\x28"), json, &[])),
        (
            "headers",
            record(
                key,
                json,
                &[
                    ("x-tenant", Some(b"acme")),
                    ("x-tenant", Some(b"b & c")),
                    ("x-raw", Some(b"\xff")),
                    ("x-null", None),
                    ("content-type", Some(b"text/plain\r\nx-evil: 1")),
                    ("traceparent", Some(TRACE)),
                ],
            ),
        ),
        (
            "no timestamp",
            Record::new(42, Timestamp::Missing, key, json, std::iter::empty()),
        ),
        ("a CloudEvent in binary mode", record(key, json, BINARY)),
        (
            "a CloudEvent in binary mode without data",
            record(None, None, BINARY),
        ),
        (
            "a CloudEvent in binary mode without id",
            record(key, json, &BINARY[2..]),
        ),
        ("a structured CloudEvent", structured(STRUCTURED)),
        ("a structured CloudEvent without id", structured(NO_ID)),
        ("a structured CloudEvent that is no JSON", structured(b"{")),
    ]
}

fn golden(format: Format) -> String {
    let mut golden = String::new();
    for (name, record) in cases() {
        let encoded = encode(format, &[record]);
        writeln!(golden, "## {name}").unwrap();
        if let Some(content_type) = &encoded.content_type {
            writeln!(golden, "content-type: {}", content_type.to_str().unwrap()).unwrap();
        }
        for (name, value) in &encoded.headers {
            writeln!(golden, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        match std::str::from_utf8(&encoded.body) {
            Ok(text) if !text.contains(char::is_control) => writeln!(golden, "\n{text}\n"),
            Ok(_) | Err(_) => writeln!(golden, "\nbytes: {}\n", encoded.body.escape_ascii()),
        }
        .unwrap();
    }
    golden
}

#[test]
fn a_batch_of_cloudevents_is_written_like_this() {
    insta::assert_snapshot!(golden(Format::CloudEventsBatch));
}

#[test]
fn a_cloudevent_is_written_like_this() {
    insta::assert_snapshot!(golden(Format::CloudEvents));
}

#[test]
fn json_is_written_like_this() {
    insta::assert_snapshot!(golden(Format::Json));
}

#[test]
fn raw_is_written_like_this() {
    insta::assert_snapshot!(golden(Format::Raw));
}

#[test]
fn a_transaction_holds_its_events_in_order() {
    let all: Vec<Record> = cases().into_iter().map(|(_, record)| record).collect();
    let batch: Vec<Value> =
        serde_json::from_str(text(&encode(Format::CloudEventsBatch, &all))).unwrap();
    let json: Value = serde_json::from_str(text(&encode(Format::Json, &all))).unwrap();
    assert_eq!(batch.len(), all.len());
    for (position, record) in all.iter().enumerate() {
        let alone = std::slice::from_ref(record);
        let event: Value = serde_json::from_str(text(&encode(Format::CloudEvents, alone))).unwrap();
        assert_eq!(batch[position], event);
        let event: Value = serde_json::from_str(text(&encode(Format::Json, alone))).unwrap();
        assert_eq!(json["events"][position], event["events"][0]);
    }
}

#[test]
fn every_cloudevent_has_the_required_attributes() {
    for (name, record) in cases() {
        let event: Value =
            serde_json::from_str(text(&encode(Format::CloudEvents, &[record]))).unwrap();
        for attribute in ["id", "source", "type"] {
            let value = event[attribute].as_str();
            assert!(
                value.is_some_and(|value| !value.is_empty()),
                "{name}: {attribute}"
            );
        }
        assert_eq!(event["specversion"], "1.0", "{name}");
    }
}

#[test]
fn a_value_goes_raw_without_a_copy() {
    let record = record(None, Some(b"value"), &[]);
    let body = encode(Format::Raw, std::slice::from_ref(&record)).body;
    assert_eq!(body.as_ptr(), record.value().unwrap().as_ptr());
}

#[test]
fn a_format_for_one_event_takes_no_more() {
    let limits = parcelhook_crds::compiled::TransactionLimits {
        max_events: 100,
        max_bytes: 7,
    };
    let two = [record(None, None, &[]), record(None, None, &[])];
    for format in FORMATS {
        let encoding = encoding(format);
        let narrowed = encoding.limits(limits);
        assert_eq!(narrowed.max_bytes, 7);
        assert!(matches!(encoding.encode([].iter()), Err(Error::Empty)));
        match encoding.encode(two.iter()) {
            Ok(_) => assert_eq!(narrowed.max_events, 100),
            Err(error) => {
                assert_eq!(narrowed.max_events, 1);
                assert!(error.to_string().contains("got 2"), "{error}");
            }
        }
    }
}

#[test]
fn the_examples_in_the_documentation_are_what_is_sent() {
    let documentation = include_str!("../../../../../docs/formats.md");
    let shown: Vec<Value> = documentation
        .split("```json\n")
        .skip(1)
        .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
        .collect();
    let order = record(
        Some(b"order-17"),
        Some(br#"{"status":"paid","total":12.50}"#),
        &[("x-tenant", Some(b"acme"))],
    );
    let later = Record::new(
        43,
        Timestamp::Created(1_700_000_000_120),
        Some(b"order-18"),
        None,
        std::iter::empty(),
    );
    let binary = record(Some(b"order-17"), Some(br#"{"status":"paid"}"#), BINARY);
    let events = [order, later];
    let sent: Vec<Value> = [
        encode(Format::CloudEventsBatch, &events),
        encode(Format::CloudEvents, &events[..1]),
        encode(Format::CloudEvents, &[binary]),
        encode(Format::Json, &events),
    ]
    .iter()
    .map(|encoded| serde_json::from_str(text(encoded)).unwrap())
    .collect();
    assert_eq!(shown, sent);
}
