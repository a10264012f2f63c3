//! Whatever a producer writes: the body is valid, nothing of the event is lost, and the same event
//! is written the same way again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::*;

/// A JSON object whose members' names are unique; serde alone would take the last of a name.
struct Object(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("{name} appears twice")));
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Object {
    fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap()
    }

    fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.raw(name)
            .and_then(|json| serde_json::from_str(json).unwrap())
    }

    /// The bytes that stand as text under `name` or as base64 under `encoded`.
    fn bytes(&self, name: &str, encoded: &str) -> Option<Vec<u8>> {
        match (self.text(name), self.text(encoded)) {
            (Some(text), None) => Some(text.into_bytes()),
            (None, Some(encoded)) => Some(STANDARD.decode(encoded).unwrap()),
            (None, None) => None,
            (Some(_), Some(_)) => panic!("both {name} and {encoded}"),
        }
    }
}

type OwnedHeader = (String, Option<Vec<u8>>);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        any::<String>().prop_map(String::into_bytes),
        "[a-z0-9 \"\\\\\n]{0,12}".prop_map(String::into_bytes),
    ]
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let number = prop::num::f32::NORMAL;
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ("[a-z]{0,3}", number).prop_map(|(name, n)| format!(" {{ \"{name}\" :\t[{n:e}, null]}}\n")),
        Just(r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#.to_owned()),
    ]
    .prop_map(String::into_bytes)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![bytes(), json()]
}

/// Arbitrary headers, many of which mean something to an encoder.
fn headers() -> impl Strategy<Value = Vec<OwnedHeader>> {
    let name = prop_oneof![
        any::<String>(),
        "(ce_)?(id|source|type|specversion|time|a|ab64|data|A|partitionkey|datacontenttype)",
        "(content-type|traceparent|tracestate|kafkaheaders)",
    ];
    let known = prop::sample::select(vec![
        "1.0",
        "application/json",
        "application/cloudevents+json",
        "text/plain",
        "image/png",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ]);
    let value = prop_oneof![bytes(), known.prop_map(|text| text.as_bytes().to_vec())];
    let core = ["specversion", "id", "source", "type"]
        .map(|name| (format!("ce_{name}"), Some(b"1.0".to_vec())))
        .to_vec();
    let headers = prop::collection::vec((name, prop::option::weighted(0.9, value)), 0..8);
    (prop_oneof![Just(Vec::new()), Just(core)], headers)
        .prop_map(|(core, headers)| [core, headers].concat())
}

fn built(key: Option<&Vec<u8>>, value: Option<&Vec<u8>>, headers: &[OwnedHeader]) -> Record {
    let headers: Vec<(&str, Option<&[u8]>)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    record(key.map(Vec::as_slice), value.map(Vec::as_slice), &headers)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    bytes
}

fn kafka_headers(event: &Object) -> VecDeque<OwnedHeader> {
    let Some(text) = event.text("kafkaheaders") else {
        return VecDeque::new();
    };
    let header = |pair: &str| {
        let (name, value) = pair
            .split_once('=')
            .map_or((pair, None), |(n, v)| (n, Some(v)));
        let name = String::from_utf8(percent_decoded(name)).unwrap();
        (name, value.map(percent_decoded))
    };
    text.split('&').map(header).collect()
}

/// Every header is either in `kafkaheaders`, in its order, or the value of its attribute.
fn assert_headers(event: &Object, headers: &[OwnedHeader]) {
    let mut listed = kafka_headers(event);
    for header in headers {
        if listed.front() == Some(header) {
            listed.pop_front();
            continue;
        }
        let (name, value) = header;
        let attribute = match name.strip_prefix("ce_") {
            Some(attribute) => attribute,
            None if name == "content-type" => "datacontenttype",
            None => name,
        };
        let encoded = format!("{attribute}b64");
        let text = event.text(attribute).map(String::into_bytes);
        let binary = event
            .text(&encoded)
            .map(|text| STANDARD.decode(text).unwrap_or_default());
        assert!(value.is_some(), "{header:?} is lost");
        assert!(text == *value || binary == *value, "{header:?} is lost");
    }
    assert!(listed.is_empty(), "{listed:?} were never there");
}

fn assert_data(event: &Object, value: Option<&Vec<u8>>) {
    let declared = event.text("datacontenttype").unwrap_or_default();
    let found = match event.raw("data") {
        Some(_) if declared.starts_with("text/") => event.text("data").map(String::into_bytes),
        // A raw value begins and ends without the white space around it.
        Some(json) => {
            let json = json.as_bytes().to_vec();
            assert_eq!(Some(&json[..]), value.map(|value| value.trim_ascii()));
            return;
        }
        None => event.bytes("", "data_base64"),
    };
    assert_eq!(found.as_ref(), value);
}

proptest! {
    #[test]
    fn json_tells_everything_of_an_event(
        key in prop::option::of(bytes()),
        value in prop::option::of(value()),
        headers in headers(),
    ) {
        let record = built(key.as_ref(), value.as_ref(), &headers);
        let body = encode(Format::Json, std::slice::from_ref(&record));
        let body = Object::read(text(&body));
        let [event]: [Object; 1] = serde_json::from_str(body.raw("events").unwrap()).unwrap();
        prop_assert_eq!(event.bytes("key", "keyBase64"), key);
        let listed: Vec<Object> = serde_json::from_str(event.raw("headers").unwrap()).unwrap();
        let listed: Vec<OwnedHeader> = listed
            .iter()
            .map(|header| (header.text("name").unwrap(), header.bytes("value", "valueBase64")))
            .collect();
        prop_assert_eq!(listed, headers);
        match event.raw("data") {
            Some(json) => prop_assert_eq!(
                Some(json.as_bytes()),
                value.as_ref().map(|value| value.trim_ascii())
            ),
            None => prop_assert_eq!(event.bytes("", "dataBase64"), value),
        }
    }

    #[test]
    fn a_cloudevent_tells_everything_of_an_event(
        key in prop::option::of(bytes()),
        value in prop::option::of(value()),
        headers in headers(),
    ) {
        let record = built(key.as_ref(), value.as_ref(), &headers);
        let body = encode(Format::CloudEvents, std::slice::from_ref(&record));
        if Some(body.body.as_ref()) == value.as_deref() {
            // A structured CloudEvent, sent as it is.
            return Ok(());
        }
        let event = Object::read(text(&body));
        for name in ["id", "source", "type"] {
            prop_assert!(event.text(name).is_some_and(|value| !value.is_empty()));
        }
        let own_key = headers.iter().any(|(name, _)| name == "ce_partitionkey" || name == "ce_partitionkeyb64");
        if !own_key {
            prop_assert_eq!(event.bytes("partitionkey", "partitionkeyb64"), key);
        }
        assert_headers(&event, &headers);
        assert_data(&event, value.as_ref());
    }

    #[test]
    fn a_json_value_is_embedded_byte_for_byte(value in json()) {
        let record = built(None, Some(&value), &[]);
        let value = std::str::from_utf8(&value).unwrap();
        for format in [Format::CloudEventsBatch, Format::CloudEvents, Format::Json] {
            let body = encode(format, std::slice::from_ref(&record));
            let embedded = format!("\"data\":{value}}}");
            prop_assert!(text(&body).contains(&embedded), "{}", text(&body));
        }
    }

    #[test]
    fn the_same_events_give_the_same_bytes_on_every_attempt(
        records in prop::collection::vec(
            (prop::option::of(bytes()), prop::option::of(value()), headers()), 1..5,
        ),
    ) {
        let build = || -> Vec<Record> {
            records.iter().map(|(k, v, h)| built(k.as_ref(), v.as_ref(), h)).collect()
        };
        for format in FORMATS {
            let (first, again) = (build(), build());
            let events = if encoding(format).limits(ALL).max_events == 1 { 1 } else { first.len() };
            let body = encode(format, &first[..events]);
            prop_assert_eq!(&body, &encode(format, &first[..events]), "the same records");
            prop_assert_eq!(&body, &encode(format, &again[..events]), "records read again");
        }
    }

    #[test]
    fn a_raw_body_is_the_value(value in prop::option::of(value()), headers in headers()) {
        let record = built(None, value.as_ref(), &headers);
        let encoded = encode(Format::Raw, std::slice::from_ref(&record));
        prop_assert_eq!(encoded.body.as_ref(), value.as_deref().unwrap_or_default());
        prop_assert_eq!(encoded.content_type.is_some(), value.is_some());
        prop_assert_eq!(encoded.headers.len(), usize::from(value.is_none()));
    }
}

const ALL: parcelhook_crds::compiled::TransactionLimits =
    parcelhook_crds::compiled::TransactionLimits {
        max_events: 100,
        max_bytes: usize::MAX,
    };
