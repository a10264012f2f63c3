//! One Kafka record, cut out of librdkafka's fetch buffer once.
//!
//! Owns a piece of memory that holds key, value and headers back to back: an allocation of its own, or
//! a part of one that [small records of one run share](Cutting), so that a record which waits pins
//! little beside its own bytes and never a whole fetch buffer. All lanes that want the record read the
//! same bytes; nobody copies them but the encoder that writes them into a request.

mod cutting;

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;

pub use cutting::Cutting;

/// What a record costs the byte budget beside its bytes: its slot in the ledger.
pub const RECORD_OVERHEAD_BYTES: usize = 96;

/// When an event happened, as Kafka knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// The broker or an old producer gave none.
    Missing,
    /// Milliseconds since the Unix epoch, set by the producer.
    Created(i64),
    /// Milliseconds since the Unix epoch, set by the broker when it appended the record.
    Appended(i64),
}

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> Option<i64> {
        match self {
            Self::Missing => None,
            Self::Created(millis) | Self::Appended(millis) => Some(millis),
        }
    }
}

/// A Kafka record. `offset` counts within its partition.
#[derive(Clone, Debug)]
pub struct Record {
    /// Offset in its partition.
    pub offset: i64,
    /// The record's own timestamp.
    pub timestamp: Timestamp,
    data: Bytes,
    parts: Parts,
    json: Cell<Option<bool>>,
}

/// Where in its bytes a record has what. The headers come last.
#[derive(Clone, Debug)]
struct Parts {
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    headers_at: u32,
}

impl Record {
    /// Copies a record's parts into one allocation. `headers` yields name and value; a Kafka header
    /// value may be null.
    pub fn new<'a>(
        offset: i64,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
    ) -> Self {
        let header_bytes: usize = headers
            .clone()
            .map(|(name, value)| 8 + name.len() + value.map_or(0, <[u8]>::len))
            .sum();
        let body_bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let mut data = Vec::with_capacity(body_bytes + header_bytes);
        let parts = append(&mut data, key, value, headers);
        Self::of(offset, timestamp, data.into(), parts)
    }

    fn of(offset: i64, timestamp: Timestamp, data: Bytes, parts: Parts) -> Self {
        Self {
            offset,
            timestamp,
            data,
            parts,
            json: Cell::new(None),
        }
    }

    /// The key, or none when it is null.
    pub fn key(&self) -> Option<&[u8]> {
        self.slice(self.parts.key.as_ref())
    }

    /// The value, or none for a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.slice(self.parts.value.as_ref())
    }

    /// The value as a part of the shared allocation: cloning it copies no bytes.
    pub fn value_bytes(&self) -> Option<Bytes> {
        let value = self.parts.value.as_ref();
        value.map(|range| self.data.slice(range.start as usize..range.end as usize))
    }

    /// The headers in their order: name, and value unless it is null.
    pub fn headers(&self) -> Headers<'_> {
        Headers {
            rest: self
                .data
                .get(self.parts.headers_at as usize..)
                .unwrap_or_default(),
        }
    }

    /// The first header of that name, byte for byte; none when it is absent or null.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value)
    }

    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        self.data.len()
    }

    /// What the record counts against the byte budget.
    pub fn cost(&self) -> usize {
        self.data.len() + RECORD_OVERHEAD_BYTES
    }

    /// Whether the value is a JSON text (RFC 8259). The first call checks, later ones remember: a
    /// record that goes to many targets is checked once.
    pub fn is_json(&self) -> bool {
        if let Some(known) = self.json.get() {
            return known;
        }
        let json = self.value().is_some_and(|value| {
            serde_json::from_slice::<&serde_json::value::RawValue>(value).is_ok()
        });
        self.json.set(Some(json));
        json
    }

    fn slice(&self, range: Option<&Range<u32>>) -> Option<&[u8]> {
        range.and_then(|range| self.data.get(range.start as usize..range.end as usize))
    }
}

/// Iterates over a record's headers.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_length, rest) = take_length(self.rest)?;
        let (value_length, rest) = take_length(rest)?;
        let (name, rest) = rest.split_at_checked(name_length?)?;
        let (value, rest) = rest.split_at_checked(value_length.unwrap_or(0))?;
        self.rest = rest;
        Some((std::str::from_utf8(name).ok()?, value_length.map(|_| value)))
    }
}

const NULL: u32 = u32::MAX;

/// Writes a record's bytes behind what is there, and tells where in them it has what.
fn append<'a>(
    data: &mut Vec<u8>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> Parts {
    let start = data.len();
    let mut part = |bytes: &[u8]| {
        let from = position(data, start);
        data.extend_from_slice(bytes);
        from..position(data, start)
    };
    let key = key.map(&mut part);
    let value = value.map(&mut part);
    let headers_at = position(data, start);
    for (name, value) in headers {
        append_length(data, Some(name.len()));
        append_length(data, value.map(<[u8]>::len));
        data.extend_from_slice(name.as_bytes());
        data.extend_from_slice(value.unwrap_or_default());
    }
    Parts {
        key,
        value,
        headers_at,
    }
}

/// Kafka bounds a record to a 32-bit size, so a position in it always fits.
fn position(data: &[u8], start: usize) -> u32 {
    u32::try_from(data.len() - start).unwrap_or(NULL)
}

fn append_length(data: &mut Vec<u8>, length: Option<usize>) {
    let length = length.map_or(NULL, |length| u32::try_from(length).unwrap_or(NULL));
    data.extend_from_slice(&length.to_le_bytes());
}

fn take_length(data: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    Some(((length != NULL).then_some(length as usize), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Record {
        Record::new(
            7,
            Timestamp::Created(1),
            key,
            value,
            headers.iter().copied(),
        )
    }

    #[test]
    fn parts_come_back_byte_for_byte() {
        let headers: &[(&str, Option<&[u8]>)] = &[
            ("a", Some(b"1")),
            ("", Some(b"")),
            ("a", None),
            ("ü", Some(b"\xff\0")),
        ];
        let record = record(Some(b"k"), Some(b"v\0v"), headers);
        assert_eq!(
            (record.key(), record.value()),
            (Some(&b"k"[..]), Some(&b"v\0v"[..]))
        );
        assert_eq!(record.headers().collect::<Vec<_>>(), headers);
        assert_eq!(record.value_bytes().as_deref(), Some(&b"v\0v"[..]));
    }

    #[test]
    fn null_and_empty_are_different() {
        let null = record(None, None, &[]);
        let empty = record(Some(b""), Some(b""), &[]);
        assert_eq!((null.key(), null.value()), (None, None));
        assert_eq!(
            (empty.key(), empty.value()),
            (Some(&b""[..]), Some(&b""[..]))
        );
        assert_eq!(null.headers().count(), 0);
    }

    #[test]
    fn json_is_recognised_without_being_parsed_into_a_tree() {
        for (value, json) in [
            (&br#" {"a":[1,"\u00e9"]} "#[..], true),
            (b"1", true),
            (b"{", false),
            (b"", false),
            (b"{} {}", false),
            (b"\"\xff\"", false),
        ] {
            assert_eq!(
                record(None, Some(value), &[]).is_json(),
                json,
                "{}",
                String::from_utf8_lossy(value)
            );
        }
        assert!(!record(None, None, &[]).is_json());
    }
}
