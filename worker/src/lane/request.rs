//! From waiting events to a request: how many go, what they are called, which bytes are sent.
//!
//! Pure, and a function of the events and the lane's stamp alone, so the next attempt of the same
//! events has the same id and the same bytes although neither was kept.

use http::HeaderValue;

use super::stamp::Stamp;
use crate::delivery::Request;
use crate::source::record::Record;
use crate::transaction::{Error, cut};

/// What is remembered about a request until its attempt ends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// First and last offset.
    pub offsets: (i64, i64),
    /// Events.
    pub events: u32,
    /// Bytes of the body.
    pub bytes: usize,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    id: HeaderValue,
}

impl Sent {
    /// The transaction's id.
    pub fn id(&self) -> String {
        String::from_utf8_lossy(self.id.as_bytes()).into_owned()
    }
}

/// How many of the waiting events go into the next transaction.
pub fn cut<'a>(waiting: impl Iterator<Item = &'a Record>, stamp: &Stamp) -> u32 {
    let events = cut::next(waiting.map(Record::size), stamp.limits);
    u32::try_from(events).unwrap_or(u32::MAX)
}

/// Forms the request of these events.
///
/// # Errors
/// When there is no event, or more than the format has room for.
pub fn form(stamp: &Stamp, events: &[&Record], attempt: u32) -> Result<(Request, Sent), Error> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(Error::Empty);
    };
    let encoded = stamp.encoding.encode(events.iter().copied())?;
    let offsets = (first.offset, last.offset);
    let id = stamp.ids.header(first.offset, last.offset)?;
    let sent = Sent {
        offsets,
        events: u32::try_from(events.len()).unwrap_or(u32::MAX),
        bytes: encoded.body.len(),
        attempt,
        id: id.clone(),
    };
    let request = Request {
        id,
        attempt,
        content_type: encoded.content_type,
        body: encoded.body,
        format_headers: encoded.headers,
        traceparent: None,
    };
    Ok((request, sent))
}
