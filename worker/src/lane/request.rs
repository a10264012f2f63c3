//! From waiting events to a request: how many go, what they are called, which bytes are sent.
//!
//! Pure, and a function of the events and the lane's stamp alone, so the next attempt of the same
//! events has the same id and the same bytes although neither was kept.

use http::HeaderValue;
use parcelhook_crds::compiled::{CompiledTarget, TransactionLimits};

use super::stamp::Stamp;
use crate::delivery::Request;
use crate::source::PartitionId;
use crate::source::record::Record;
use crate::telemetry::attempt_log::Attempted;
use crate::telemetry::attempt_span::AttemptSpan;
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
    /// The attempt's span.
    pub span: AttemptSpan,
    id: HeaderValue,
}

impl Sent {
    /// The transaction's id.
    pub fn id(&self) -> &str {
        text(&self.id)
    }
}

/// Where a request goes, for logs and traces.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The target.
    pub target: &'a CompiledTarget,
    /// The lane's partition.
    pub partition: &'a PartitionId,
}

impl<'a> Destination<'a> {
    /// One attempt there.
    pub fn attempted(
        &self,
        transaction: &'a str,
        offsets: (i64, i64),
        events: usize,
        attempt: u32,
    ) -> Attempted<'a> {
        Attempted {
            namespace: &self.target.namespace,
            target: &self.target.name,
            transaction,
            topic: &self.partition.topic,
            partition: self.partition.partition,
            offsets,
            events,
            attempt,
        }
    }
}

/// How many of the waiting events go into the next transaction.
pub fn cut<'a>(
    waiting: impl Iterator<Item = &'a Record>,
    limits: TransactionLimits,
    stamp: &Stamp,
) -> u32 {
    let limits = stamp.encoding.limits(limits);
    u32::try_from(cut::next(waiting.map(Record::size), limits)).unwrap_or(u32::MAX)
}

/// Forms the request of these events.
///
/// # Errors
/// When there is no event, or more than the format has room for.
pub fn form(
    destination: Destination,
    stamp: &Stamp,
    events: &[&Record],
    attempt: u32,
) -> Result<(Request, Sent), Error> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(Error::Empty);
    };
    let encoded = stamp.encoding.encode(events.iter().copied())?;
    let offsets = (first.offset, last.offset);
    let id = stamp.ids.header(first.offset, last.offset)?;
    let attempted = destination.attempted(text(&id), offsets, events.len(), attempt);
    let traceparents = events.iter().map(|event| event.header("traceparent"));
    let span = AttemptSpan::start(&attempted, traceparents);
    let request = Request {
        id: id.clone(),
        attempt,
        content_type: encoded.content_type,
        format_headers: encoded.headers,
        traceparent: span.traceparent(),
        body: encoded.body,
    };
    let sent = Sent {
        offsets,
        events: u32::try_from(events.len()).unwrap_or(u32::MAX),
        bytes: request.body.len(),
        attempt,
        span,
        id,
    };
    Ok((request, sent))
}

/// A transaction id is made of letters, digits, `_` and `-`.
fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}
