//! A dead letter, taken apart: whose it is, and the event in it.

use parcelhook_worker::{
    park::format::{BODY, LaneOf, lane_of},
    source::RecordHeaders,
};
use rdkafka::{Message as _, message::BorrowedMessage};

use crate::source::{Place, Source};

/// The header that names the event's offset.
const OFFSET: &str = "parcelhook-offset";

/// See the module.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) of: LaneOf<'a>,
    pub(crate) offset: i64,
    /// It holds the event's place and not the event.
    is_reference: bool,
    /// The event's own header.
    kind: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Letter<'a> {
    /// What lies in the dead-letter topic; none when it is none of the workers'.
    pub(crate) fn of(message: &'a BorrowedMessage<'_>) -> Option<Self> {
        let headers = RecordHeaders::of(message);
        let mut rest = headers.clone();
        let mut offset = None;
        let body = loop {
            match rest.next()? {
                (BODY, body) => break body,
                (OFFSET, value) => offset = std::str::from_utf8(value?).ok()?.parse().ok(),
                _ => {}
            }
        };
        Some(Self {
            of: lane_of(headers)?,
            offset: offset?,
            is_reference: body == Some(b"reference"),
            kind: rest.find(|(name, _)| *name == "kind").and_then(|own| own.1),
            key: message.key(),
            value: message.payload(),
        })
    }

    /// Whether it holds what was written there, byte for byte, unless it only names the place.
    pub(crate) fn is_as_written(&self, source: Source, place: Place) -> bool {
        if self.is_reference {
            return self.key.is_none() && self.value.is_none();
        }
        let texts = [self.key, self.value, self.kind].map(|bytes| std::str::from_utf8(bytes?).ok());
        let [Some(key), Some(value), Some(kind)] = texts else {
            return false;
        };
        source
            .wrote(place, self.offset, (key, value, kind))
            .is_some()
    }
}
