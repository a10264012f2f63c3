//! Turns a transaction's events into a request body.
//!
//! Everything that does not change within a lane is prepared once as an [`Encoding`]; per
//! transaction the events are written into one buffer. Values are never parsed into trees and never
//! re-encoded: a JSON value is embedded byte for byte, other bytes as base64. The same events give
//! the same bytes, always. `docs/formats.md` shows each format as a receiver sees it.

mod cloudevents;
mod json;
mod media_type;
mod raw;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use parcelhook_crds::compiled::{Format, TransactionLimits};

use super::Error;
use super::id::SourcePartition;
use crate::source::record::Record;

/// How the events of one lane are written.
#[derive(Clone, Debug)]
pub struct Encoding(Layout);

#[derive(Clone, Debug)]
enum Layout {
    CloudEventsBatch(cloudevents::Layout),
    CloudEvents(cloudevents::Layout),
    Json(json::Layout),
    Raw,
}

/// A request's body, and the headers that only the format knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBody {
    /// The bytes to send, the same on every attempt.
    pub body: Bytes,
    /// Their media type; none for a tombstone in format `Raw`.
    pub content_type: Option<HeaderValue>,
    /// Further headers, such as `parcelhook-tombstone`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Encoding {
    /// Prepares a lane's encoding. `event_type` is the CloudEvents type of events that are not
    /// CloudEvents already; `Json` and `Raw` do not use it.
    pub fn new(format: Format, event_type: &str, source: &SourcePartition<'_>) -> Self {
        let cloudevents = || cloudevents::Layout::new(event_type, source);
        Self(match format {
            Format::CloudEventsBatch => Layout::CloudEventsBatch(cloudevents()),
            Format::CloudEvents => Layout::CloudEvents(cloudevents()),
            Format::Json => Layout::Json(json::Layout::new(source)),
            Format::Raw => Layout::Raw,
        })
    }

    /// The target's limits, narrowed to one event where the format has room for no more.
    pub fn limits(&self, limits: TransactionLimits) -> TransactionLimits {
        match self.0 {
            Layout::CloudEventsBatch(_) | Layout::Json(_) => limits,
            Layout::CloudEvents(_) | Layout::Raw => TransactionLimits {
                max_events: 1,
                ..limits
            },
        }
    }

    /// Writes the events, in their order, as one body.
    ///
    /// # Errors
    /// When there is no event, or more than the format carries: see [`Self::limits`].
    pub fn encode<'a>(
        &self,
        events: impl ExactSizeIterator<Item = &'a Record> + Clone,
    ) -> Result<EncodedBody, Error> {
        if events.len() == 0 {
            return Err(Error::Empty);
        }
        Ok(match &self.0 {
            Layout::CloudEventsBatch(layout) => text(
                buffer(events.clone(), layout.overhead()),
                |out| layout.write_batch(events, out),
                "application/cloudevents-batch+json; charset=UTF-8",
            ),
            Layout::CloudEvents(layout) => {
                let event = only(Format::CloudEvents, events)?;
                text(
                    buffer(std::iter::once(event), layout.overhead()),
                    |out| layout.write_one(event, out),
                    "application/cloudevents+json; charset=UTF-8",
                )
            }
            Layout::Json(layout) => text(
                buffer(events.clone(), layout.overhead()),
                |out| layout.write(events, out),
                "application/json",
            ),
            Layout::Raw => raw::encode(only(Format::Raw, events)?),
        })
    }
}

fn only<'a>(
    format: Format,
    mut events: impl ExactSizeIterator<Item = &'a Record>,
) -> Result<&'a Record, Error> {
    let error = Error::OneEvent {
        format,
        events: events.len(),
    };
    match (events.next(), events.next()) {
        (Some(event), None) => Ok(event),
        (None | Some(_), _) => Err(error),
    }
}

/// An empty buffer with room for the events: a JSON value goes in as it is, other bytes grow by a
/// third. Keys and headers with many special characters grow further; the buffer grows with them.
fn buffer<'a>(events: impl Iterator<Item = &'a Record>, overhead: usize) -> String {
    let bytes = events
        .map(|record| {
            let size = record.size();
            let growth = if record.is_json() { 0 } else { size / 3 };
            overhead + size + growth
        })
        .sum();
    String::with_capacity(bytes)
}

fn text(mut out: String, write: impl FnOnce(&mut String), media_type: &'static str) -> EncodedBody {
    write(&mut out);
    EncodedBody {
        body: out.into(),
        content_type: Some(HeaderValue::from_static(media_type)),
        headers: Vec::new(),
    }
}

/// The value when it is a JSON text, as the text it is.
fn json_value(record: &Record) -> Option<&str> {
    let value = record.value().filter(|_| record.is_json())?;
    std::str::from_utf8(value).ok()
}
