//! A record of the retry topic on its way back.
//!
//! Owns nothing: it takes apart what `encode` put together, and says what is wrong with anything
//! else. It never panics, whatever somebody wrote into the topic.

use std::sync::Arc;

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::block::{Ours, lane_of};
use super::{
    BODY, FIRST, FIRST_FAILED_AT, FormatError, Header, INCARNATION, LAST, PREV, Parked, binary,
};
use crate::park::{ParkedBody, ParkedRun};
use crate::source::record::Record;
use crate::source::{PartitionId, RecordHeaders};

/// A record of the retry topic as a client gives it. `headers` yields name and value.
#[derive(Clone, Debug)]
pub struct Message<'a, H> {
    /// Its offset in the bucket.
    pub offset: i64,
    /// Its timestamp, milliseconds since the Unix epoch; the broker sets it.
    pub parked_at: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in their order.
    pub headers: H,
}

impl<'a> Message<'a, RecordHeaders<'a>> {
    /// What librdkafka fetched. Copies nothing.
    pub fn of(message: &'a BorrowedMessage<'_>) -> Self {
        Self {
            offset: message.offset(),
            parked_at: message.timestamp().to_millis().unwrap_or(0),
            key: message.key(),
            value: message.payload(),
            headers: RecordHeaders::of(message),
        }
    }
}

/// Reads a record of the retry topic. The events are copied out of the message.
///
/// # Errors
/// [`FormatError`] when it is not one of ours, or a later version's.
pub fn decode<'a, H>(message: &Message<'a, H>) -> Result<Parked, FormatError>
where
    H: Iterator<Item = Header<'a>> + Clone,
{
    let lane = lane_of(message.headers.clone()).ok_or(FormatError::Foreign)?;
    let ours = Ours::of(message.headers.clone())?;
    let offsets = (ours.must(FIRST)?, ours.must(LAST)?);
    let body = body(message, &ours, offsets)?;
    Ok(Parked {
        name: lane.name,
        source: PartitionId {
            topic: Arc::from(lane.topic),
            partition: lane.partition,
        },
        topic_id: lane.topic_id,
        run: ParkedRun {
            offset: message.offset,
            parked_at: message.parked_at,
            incarnation: ours.must(INCARNATION)?,
            offsets,
            prev: ours.maybe(PREV)?,
            first_failed_at: ours.maybe(FIRST_FAILED_AT)?,
            body,
        },
    })
}

fn body<'a, H>(
    message: &Message<'a, H>,
    ours: &Ours<H>,
    offsets: (i64, i64),
) -> Result<ParkedBody, FormatError>
where
    H: Iterator<Item = Header<'a>> + Clone,
{
    let events = match ours.text(BODY)? {
        Some("event") => vec![Record::new(
            offsets.0,
            ours.timestamp()?,
            message.key,
            message.value,
            ours.own(),
        )],
        Some("run") => binary::read(message.value.unwrap_or_default())?,
        Some("reference") => {
            let found = (offsets.0, offsets.0);
            return agree(offsets, found).map(|()| ParkedBody::Reference);
        }
        Some(_) | None => return Err(FormatError::Header(BODY)),
    };
    let first = events.first().map_or(0, |event| event.offset);
    let last = events.last().map_or(0, |event| event.offset);
    agree(offsets, (first, last))?;
    Ok(ParkedBody::Events(events))
}

fn agree(said: (i64, i64), found: (i64, i64)) -> Result<(), FormatError> {
    if said == found {
        Ok(())
    } else {
        Err(FormatError::Offsets { said, found })
    }
}
