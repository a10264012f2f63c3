//! Several events as one value.
//!
//! ```text
//!   run        version (1 byte: 1), count, event × count; nothing follows
//!   event      offset as the distance from the event before it (the first: from 0), timestamp, key,
//!              value, number of headers, header × number
//!   timestamp  0 = missing; 1 = created, 2 = appended, each followed by milliseconds, zigzag
//!   header     length of the name, name (UTF-8), value
//!   key, value of an event or header: 0 = null, else length + 1 and the bytes
//! ```
//!
//! Numbers are unsigned varints, seven bits a byte, the lowest first (LEB128), as in Protocol Buffers;
//! zigzag maps 0, -1, 1, -2 … to 0, 1, 2, 3 …. Owns the bytes and nothing else: it does not know
//! lanes. Reading allocates no more than the input's size asks for.

use crate::park::RUN_EVENTS;
use crate::source::record::{Cutting, Record, Timestamp};

use super::Header;

/// The first byte.
const VERSION: u8 = 1;

/// Most bytes of a varint that holds 64 bits.
const VARINT_BYTES: usize = 10;

/// Bytes that are no run of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// Written by a later version.
    #[error("version {0} is not known; a later version of Parcelhook wrote it")]
    Version(u8),
    /// It ends too soon.
    #[error("it ends in the middle of an event")]
    Short,
    /// It goes on after the last event.
    #[error("there are bytes after the last event")]
    Long,
    /// No event, or more than there may be.
    #[error("it says that it has {0} events; 1 to {RUN_EVENTS} are possible")]
    Count(u64),
    /// An offset, a timestamp or a length that cannot be.
    #[error("it has a number that cannot be")]
    Number,
    /// The name of a header is not UTF-8.
    #[error("the name of a header is not UTF-8")]
    Name,
}

/// Writes events, in offset order, into one buffer of exactly their size.
pub(super) fn write(events: &[Record]) -> Vec<u8> {
    let mut size = Size(0);
    write_to(&mut size, events);
    let mut bytes = Vec::with_capacity(size.0);
    write_to(&mut bytes, events);
    bytes
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// [`BinaryError`] for anything else. It never panics.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Record>, BinaryError> {
    let mut rest = Cursor(bytes);
    let version = *rest.take(1)?.first().ok_or(BinaryError::Short)?;
    if version != VERSION {
        return Err(BinaryError::Version(version));
    }
    let count = rest.varint()?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| (1..=RUN_EVENTS).contains(count))
        .ok_or(BinaryError::Count(count))?;
    let mut events = Cutting::default();
    let mut offset: Option<i64> = None;
    for _ in 0..count {
        offset = Some(read_event(&mut rest, offset, &mut events)?);
    }
    if rest.0.is_empty() {
        Ok(events.finish())
    } else {
        Err(BinaryError::Long)
    }
}

/// What bytes are written to: a buffer, or what counts them.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Size(usize);

impl Sink for Size {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

fn write_to(sink: &mut impl Sink, events: &[Record]) {
    sink.put(&[VERSION]);
    write_varint(sink, events.len() as u64);
    let mut before = 0_i64;
    for event in events {
        write_varint(sink, event.offset.wrapping_sub(before).cast_unsigned());
        before = event.offset;
        write_timestamp(sink, event.timestamp);
        write_bytes(sink, event.key());
        write_bytes(sink, event.value());
        write_varint(sink, event.headers().count() as u64);
        for (name, value) in event.headers() {
            write_varint(sink, name.len() as u64);
            sink.put(name.as_bytes());
            write_bytes(sink, value);
        }
    }
}

fn write_timestamp(sink: &mut impl Sink, timestamp: Timestamp) {
    let (kind, millis) = match timestamp {
        Timestamp::Missing => return write_varint(sink, 0),
        Timestamp::Created(millis) => (1, millis),
        Timestamp::Appended(millis) => (2, millis),
    };
    write_varint(sink, kind);
    write_varint(sink, ((millis << 1) ^ (millis >> 63)).cast_unsigned());
}

fn write_bytes(sink: &mut impl Sink, bytes: Option<&[u8]>) {
    write_varint(sink, bytes.map_or(0, |bytes| bytes.len() as u64 + 1));
    sink.put(bytes.unwrap_or_default());
}

fn write_varint(sink: &mut impl Sink, mut number: u64) {
    while number >= 0x80 {
        sink.put(&[(number & 0x7f) as u8 | 0x80]);
        number >>= 7;
    }
    sink.put(&[number as u8]);
}

fn read_event(
    rest: &mut Cursor<'_>,
    before: Option<i64>,
    events: &mut Cutting,
) -> Result<i64, BinaryError> {
    let distance = i64::try_from(rest.varint()?).map_err(|_| BinaryError::Number)?;
    // Two events of one partition never have the same offset.
    let rises = before.is_none() || distance > 0;
    let offset = before.unwrap_or(0).checked_add(distance);
    let offset = offset.filter(|_| rises).ok_or(BinaryError::Number)?;
    let timestamp = rest.timestamp()?;
    let key = rest.bytes()?;
    let value = rest.bytes()?;
    let headers = Headers {
        left: rest.varint()?,
        rest: *rest,
    };
    // Goes over them once, so that the iterator below meets nothing that it would have to pass over.
    let mut left = headers.left;
    while left > 0 {
        rest.header()?;
        left -= 1;
    }
    events.cut((offset, timestamp), key, value, headers);
    Ok(offset)
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BinaryError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BinaryError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, BinaryError> {
        let mut number = 0_u64;
        for (index, byte) in self.0.iter().take(VARINT_BYTES).enumerate() {
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * index);
            if shifted >> (7 * index) != bits {
                return Err(BinaryError::Number);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                self.take(index + 1)?;
                return Ok(number);
            }
        }
        Err(if self.0.len() < VARINT_BYTES {
            BinaryError::Short
        } else {
            BinaryError::Number
        })
    }

    fn length(&mut self) -> Result<usize, BinaryError> {
        usize::try_from(self.varint()?).map_err(|_| BinaryError::Number)
    }

    fn bytes(&mut self) -> Result<Option<&'a [u8]>, BinaryError> {
        match self.length()?.checked_sub(1) {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    fn timestamp(&mut self) -> Result<Timestamp, BinaryError> {
        let kind = self.varint()?;
        if kind == 0 {
            return Ok(Timestamp::Missing);
        }
        let zigzag = self.varint()?;
        let millis = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
        match kind {
            1 => Ok(Timestamp::Created(millis)),
            2 => Ok(Timestamp::Appended(millis)),
            _ => Err(BinaryError::Number),
        }
    }

    fn header(&mut self) -> Result<Header<'a>, BinaryError> {
        let length = self.length()?;
        let name = std::str::from_utf8(self.take(length)?).map_err(|_| BinaryError::Name)?;
        Ok((name, self.bytes()?))
    }
}

/// The headers of one event, which have been gone over before.
#[derive(Clone)]
struct Headers<'a> {
    left: u64,
    rest: Cursor<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.rest.header().ok()
    }
}
