//! Which of a record's headers are CloudEvents attributes.
//!
//! * `ce_<name>`, on a record that is a CloudEvent in binary mode: the attribute `<name>`.
//! * `content-type`, when it is a media type: `datacontenttype`.
//! * `traceparent` (valid by W3C Trace Context) and `tracestate`: the distributed tracing extension.
//!
//! Names are unique: the first header wins, and a header that the binding defines for an attribute
//! wins over one that only happens to carry it. What is not taken stays a header of the record.

use super::values::{is_rfc3339, is_traceparent, text};
use crate::source::record::Record;
use crate::transaction::format::media_type::{CONTENT_TYPE, MediaType};

/// Only a record's first headers can become attributes, so that a record with very many headers
/// costs no more than its bytes: the others are carried in `kafkaheaders`.
const MAX_ATTRIBUTE_HEADERS: usize = 64;

/// Attributes that only the encoder writes.
const RESERVED: [&str; 2] = ["data", "kafkaheaders"];

/// Attributes without which an event is no CloudEvent.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// An attribute that a header gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// Its name; in a body `b64` is appended when the value is bytes.
    pub(super) name: &'a str,
    /// Its value.
    pub(super) value: Value<'a>,
    origin: Origin,
    header: usize,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A CloudEvents string.
    Text(&'a str),
    /// What CloudEvents does not allow in a string.
    Bytes(&'a [u8]),
}

/// Whether the Kafka protocol binding says that this header carries this attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Binding,
    Elsewhere,
}

/// A record's attributes. Kept from record to record, so that its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    found: Vec<Attribute<'a>>,
    taken: u64,
    cloudevent: bool,
}

impl<'a> Attributes<'a> {
    /// Reads the record's attributes and forgets those of the record before.
    pub(super) fn read(&mut self, record: &'a Record) {
        self.collect(record, true);
        self.cloudevent = REQUIRED.iter().all(|name| self.has_required(name));
        if !self.cloudevent && record.headers().any(|(name, _)| name.starts_with("ce_")) {
            self.collect(record, false);
        }
        self.taken = self
            .found
            .iter()
            .fold(0, |taken, attribute| taken | 1 << attribute.header);
    }

    /// Whether the record is a CloudEvent in binary mode.
    pub(super) fn are_a_cloudevent(&self) -> bool {
        self.cloudevent
    }

    /// The attributes in the order of their headers, without `specversion`.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.found.iter().filter(|attribute| {
            (attribute.name, attribute.value) != ("specversion", Value::Text("1.0"))
        })
    }

    /// Whether there is an attribute of that name, as text or as bytes.
    pub(super) fn contain(&self, name: &str) -> bool {
        self.found.iter().any(|attribute| {
            attribute.name == name || attribute.name.strip_suffix("b64") == Some(name)
        })
    }

    /// The media type of the data.
    pub(super) fn content_type(&self) -> Option<&'a str> {
        self.text("datacontenttype")
    }

    /// Whether the header at that index became an attribute.
    pub(super) fn took(&self, header: usize) -> bool {
        header < MAX_ATTRIBUTE_HEADERS && self.taken & (1 << header) != 0
    }

    fn collect(&mut self, record: &'a Record, binary: bool) {
        self.found.clear();
        let headers = record.headers().take(MAX_ATTRIBUTE_HEADERS).enumerate();
        for (header, (name, value)) in headers {
            let Some(value) = value else { continue };
            if let Some((name, value, origin)) = attribute(name, value, binary) {
                self.add(Attribute {
                    name,
                    value,
                    origin,
                    header,
                });
            }
        }
    }

    fn add(&mut self, new: Attribute<'a>) {
        match self.found.iter_mut().find(|old| old.shares_name(&new)) {
            Some(old) if new.origin < old.origin => *old = new,
            Some(_) => {}
            None => self.found.push(new),
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.found
            .iter()
            .filter(|attribute| attribute.name == name)
            .find_map(|attribute| match attribute.value {
                Value::Text(text) => Some(text),
                Value::Bytes(_) => None,
            })
    }

    fn has_required(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| match name {
            "specversion" => text == "1.0",
            _ => !text.is_empty(),
        })
    }
}

impl Attribute<'_> {
    /// Whether both would be written under the same name.
    fn shares_name(&self, other: &Self) -> bool {
        match (self.value, other.value) {
            (Value::Text(_), Value::Text(_)) | (Value::Bytes(_), Value::Bytes(_)) => {
                self.name == other.name
            }
            (Value::Text(_), Value::Bytes(_)) => self.name.strip_suffix("b64") == Some(other.name),
            (Value::Bytes(_), Value::Text(_)) => other.name.strip_suffix("b64") == Some(self.name),
        }
    }
}

fn attribute<'a>(
    header: &'a str,
    value: &'a [u8],
    binary: bool,
) -> Option<(&'a str, Value<'a>, Origin)> {
    if let Some(name) = header.strip_prefix("ce_").filter(|_| binary) {
        return prefixed(name, value);
    }
    if header.eq_ignore_ascii_case(CONTENT_TYPE) {
        let media_type = MediaType::parse(value)?.as_str();
        return Some(("datacontenttype", Value::Text(media_type), Origin::Binding));
    }
    let text = text(value)?;
    let valid = match header {
        "traceparent" => is_traceparent(text),
        "tracestate" => !text.is_empty(),
        _ => false,
    };
    valid.then_some((header, Value::Text(text), Origin::Elsewhere))
}

/// A header `ce_<name>`. Refuses what would make the whole event invalid for its receiver.
fn prefixed<'a>(name: &'a str, value: &'a [u8]) -> Option<(&'a str, Value<'a>, Origin)> {
    let name_is_valid = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && !RESERVED.contains(&name);
    if !name_is_valid {
        return None;
    }
    let Some(text) = text(value) else {
        return Some((name, Value::Bytes(value), Origin::Binding));
    };
    let (valid, origin) = match name {
        "time" => (is_rfc3339(text), Origin::Binding),
        "datacontenttype" => (MediaType::parse(value).is_some(), Origin::Elsewhere),
        "subject" | "dataschema" | "partitionkey" => (!text.is_empty(), Origin::Binding),
        _ => (true, Origin::Binding),
    };
    valid.then_some((name, Value::Text(text), origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::record::Timestamp;

    type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];

    const CORE: Headers<'_> = &[
        ("ce_specversion", Some(b"1.0")),
        ("ce_id", Some(b"1")),
        ("ce_source", Some(b"/s")),
        ("ce_type", Some(b"t")),
    ];

    /// Names in their order (with `b64` for bytes) and the headers that became none.
    fn read(headers: Headers<'_>) -> (bool, Vec<String>, Vec<usize>) {
        let record = Record::new(0, Timestamp::Missing, None, None, headers.iter().copied());
        let mut attributes = Attributes::default();
        attributes.read(&record);
        let names = attributes.iter().map(|attribute| match attribute.value {
            Value::Text(_) => attribute.name.to_owned(),
            Value::Bytes(_) => format!("{}b64", attribute.name),
        });
        let left = (0..headers.len()).filter(|header| !attributes.took(*header));
        (
            attributes.are_a_cloudevent(),
            names.collect(),
            left.collect(),
        )
    }

    fn read_event(more: Headers<'_>) -> (Vec<String>, Vec<usize>) {
        let headers = [CORE, more].concat();
        let (cloudevent, names, left) = read(&headers);
        assert!(cloudevent);
        let names = names.into_iter().skip(3).collect();
        (
            names,
            left.into_iter().map(|header| header - CORE.len()).collect(),
        )
    }

    #[test]
    fn a_cloudevent_in_binary_mode_has_all_required_attributes() {
        assert!(read(CORE).0);
        for missing in 0..CORE.len() {
            let mut headers = CORE.to_vec();
            headers.remove(missing);
            assert_eq!(read(&headers), (false, vec![], vec![0, 1, 2]));
        }
        for broken in [&b"0.3"[..], b"", b"\xff", b"1.0\n"] {
            let mut headers = CORE.to_vec();
            headers[0].1 = Some(broken);
            assert!(!read(&headers).0);
        }
        let mut headers = CORE.to_vec();
        headers[1].1 = None;
        assert!(!read(&headers).0);
    }

    #[test]
    fn a_header_is_an_attribute_or_stays_a_header() {
        let traceparent = &b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"[..];
        for (what, headers, names, left) in [
            (
                "an extension",
                &[("ce_myext", Some(&b"x"[..]))][..],
                &["myext"][..],
                &[][..],
            ),
            (
                "an empty extension",
                &[("ce_myext", Some(b""))],
                &["myext"],
                &[],
            ),
            ("bytes", &[("ce_myext", Some(b"\xff"))], &["myextb64"], &[]),
            (
                "a control character",
                &[("ce_myext", Some(b"a\nb"))],
                &["myextb64"],
                &[],
            ),
            ("a null value", &[("ce_myext", None)], &[], &[0]),
            ("an invalid name", &[("ce_my-ext", Some(b"x"))], &[], &[0]),
            ("an upper-case name", &[("ce_myExt", Some(b"x"))], &[], &[0]),
            ("no name", &[("ce_", Some(b"x"))], &[], &[0]),
            ("a reserved name", &[("ce_data", Some(b"x"))], &[], &[0]),
            (
                "a name twice",
                &[("ce_a", Some(b"1")), ("ce_a", Some(b"2"))],
                &["a"],
                &[1],
            ),
            (
                "text, then bytes of its name",
                &[("ce_ab64", Some(b"1")), ("ce_a", Some(b"\xff"))],
                &["ab64"],
                &[1],
            ),
            (
                "bytes, then text of their name",
                &[("ce_a", Some(b"\xff")), ("ce_ab64", Some(b"1"))],
                &["ab64"],
                &[1],
            ),
            (
                "a name both as text and bytes",
                &[("ce_a", Some(b"\xff")), ("ce_a", Some(b"1"))],
                &["ab64", "a"],
                &[],
            ),
            (
                "a time",
                &[("ce_time", Some(b"2018-04-05T17:31:00Z"))],
                &["time"],
                &[],
            ),
            (
                "a time that is none",
                &[("ce_time", Some(b"yesterday"))],
                &[],
                &[0],
            ),
            ("an empty subject", &[("ce_subject", Some(b""))], &[], &[0]),
            (
                "a content type",
                &[("Content-Type", Some(b"text/plain"))],
                &["datacontenttype"],
                &[],
            ),
            (
                "a content type that is none",
                &[("content-type", Some(b"text"))],
                &[],
                &[0],
            ),
            (
                "the binding's content type",
                &[
                    ("ce_datacontenttype", Some(b"text/css")),
                    ("content-type", Some(b"text/plain")),
                ],
                &["datacontenttype"],
                &[0],
            ),
            (
                "a trace",
                &[
                    ("traceparent", Some(traceparent)),
                    ("tracestate", Some(b"a=1")),
                ],
                &["traceparent", "tracestate"],
                &[],
            ),
            (
                "a trace that is none",
                &[("traceparent", Some(b"00-x"))],
                &[],
                &[0],
            ),
            (
                "the event's own trace",
                &[
                    ("traceparent", Some(traceparent)),
                    ("ce_traceparent", Some(traceparent)),
                ],
                &["traceparent"],
                &[0],
            ),
            (
                "any other header",
                &[("x-tenant", Some(b"acme"))],
                &[],
                &[0],
            ),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(read_event(headers), (names, left.to_vec()), "{what}");
        }
    }

    #[test]
    fn a_record_of_very_many_headers_has_a_bounded_number_of_attributes() {
        let names: Vec<String> = (0..200).map(|n| format!("ce_x{n}")).collect();
        let more: Vec<(&str, Option<&[u8]>)> = names
            .iter()
            .map(|name| (name.as_str(), Some(&b"1"[..])))
            .collect();
        let (names, left) = read_event(&more);
        assert_eq!(names.len() + CORE.len(), MAX_ATTRIBUTE_HEADERS);
        assert_eq!(left.len() + names.len(), more.len());
    }
}
