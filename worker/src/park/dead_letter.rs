//! What a dead letter looks like.
//!
//! Key, value and headers are the event's, byte for byte. Ours come before its own headers, from
//! `parcelhook-target` to `parcelhook-body`, as in the retry topic. The event's own timestamp is in
//! `parcelhook-timestamp` and not the record's: retention counts from the record's, and would take the
//! dead letter of an old event at once. A dead letter whose event is gone has no key and no value, and
//! names its place.

use super::DeadLetter;
use super::format::block::Block;
use super::format::{ATTEMPTS, REASON};
use crate::source::record::Record;

/// The event's offset in its partition, which `parcelhook-source` names.
pub const OFFSET: &str = "parcelhook-offset";
/// Status of the last response.
pub const STATUS: &str = "parcelhook-status";
/// When the lane's first attempt failed, milliseconds since the Unix epoch.
pub const FIRST_ATTEMPT: &str = "parcelhook-first-attempt";
/// When its last attempt failed, milliseconds since the Unix epoch.
pub const LAST_ATTEMPT: &str = "parcelhook-last-attempt";

/// A dead letter as a record.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a>(&'a DeadLetter);

/// The record for a dead letter.
pub fn encode(letter: &DeadLetter) -> Letter<'_> {
    Letter(letter)
}

impl<'a> Letter<'a> {
    fn event(self) -> Option<&'a Record> {
        self.0.event.as_ref().ok()
    }

    /// The record's key.
    pub fn key(self) -> Option<&'a [u8]> {
        self.event().and_then(Record::key)
    }

    /// The record's value.
    pub fn value(self) -> Option<&'a [u8]> {
        self.event().and_then(Record::value)
    }

    /// Hands the record's headers to `put`, in their order.
    pub fn headers(self, put: impl FnMut(&str, Option<&[u8]>)) {
        let letter = self.0;
        let mut block = Block::new(put);
        block.lane(&letter.lane);
        match &letter.event {
            Ok(event) => block.line(OFFSET, event.offset),
            Err(place) => block.line(OFFSET, place.0),
        }
        block.line(REASON, letter.reason);
        block.line_if(STATUS, letter.status);
        block.line(ATTEMPTS, letter.attempts);
        block.line_if(FIRST_ATTEMPT, letter.first_attempt);
        block.line_if(LAST_ATTEMPT, letter.last_attempt);
        match &letter.event {
            Ok(event) => {
                block.timestamp(event.timestamp);
                block.end("event", event.headers());
            }
            Err(_) => block.end("reference", []),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parcelhook_crds::lane::LaneName;
    use uuid::Uuid;

    use super::*;
    use crate::park::{LaneAddress, SourceOffset};
    use crate::source::PartitionId;
    use crate::source::record::Timestamp;

    fn letter(event: Result<Record, SourceOffset>) -> DeadLetter {
        let lane = LaneAddress {
            name: LaneName {
                target: Uuid::from_u128(7),
                selection: [9; 16],
            },
            source: PartitionId {
                topic: "orders".into(),
                partition: 3,
            },
            topic_id: None,
            bucket: 5,
        };
        DeadLetter {
            lane: Arc::new(lane),
            topic: None,
            reason: "HTTPStatus",
            status: Some(422),
            attempts: 3,
            first_attempt: Some(1_700_000_000_000),
            last_attempt: Some(1_700_000_008_000),
            event,
        }
    }

    fn text(letter: &DeadLetter) -> String {
        let show = |bytes: Option<&[u8]>| {
            bytes.map_or("null".to_owned(), |bytes| bytes.escape_ascii().to_string())
        };
        let letter = encode(letter);
        let mut lines = vec![format!("{} = {}", show(letter.key()), show(letter.value()))];
        letter.headers(|name, value| lines.push(format!("{name}: {}", show(value))));
        lines.join("\n")
    }

    #[test]
    fn an_event_is_untouched_and_its_reason_comes_before_its_own_headers() {
        let own = [("parcelhook-reason", Some(&b"mine"[..])), ("x", None)];
        let event = Record::new(
            42,
            Timestamp::Created(1_600_000_000_000),
            Some(b"k"),
            Some(b"\xff"),
            own.into_iter(),
        );
        insta::assert_snapshot!(text(&letter(Ok(event))), @r"
        k = \xff
        parcelhook-target: 00000000-0000-0000-0000-000000000007
        parcelhook-selection: CQkJCQkJCQkJCQkJCQkJCQ
        parcelhook-source: orders/3
        parcelhook-offset: 42
        parcelhook-reason: HTTPStatus
        parcelhook-status: 422
        parcelhook-attempts: 3
        parcelhook-first-attempt: 1700000000000
        parcelhook-last-attempt: 1700000008000
        parcelhook-timestamp: created 1600000000000
        parcelhook-body: event
        parcelhook-reason: mine
        x: null
        ");
    }

    #[test]
    fn an_event_that_is_gone_leaves_its_place() {
        let mut letter = letter(Err(SourceOffset(42)));
        letter.reason = "SourceGone";
        (letter.status, letter.first_attempt, letter.last_attempt) = (None, None, None);
        letter.attempts = 0;
        insta::assert_snapshot!(text(&letter), @r"
        null = null
        parcelhook-target: 00000000-0000-0000-0000-000000000007
        parcelhook-selection: CQkJCQkJCQkJCQkJCQkJCQ
        parcelhook-source: orders/3
        parcelhook-offset: 42
        parcelhook-reason: SourceGone
        parcelhook-attempts: 0
        parcelhook-body: reference
        ");
    }
}
