//! What events and transactions are called.
//!
//! An event is `topic/partition/offset/topicId`; a transaction is named after its target, its
//! selection, its topic and the offsets it spans. Both are derived, never drawn, so a retry, a
//! restarted worker and a successor give the same name to the same events. What does not change
//! within a lane is prepared once; per event or transaction only integers are written.

use http::HeaderValue;
use uuid::Uuid;

use super::Error;
use super::digest::{DIGEST_BYTES, Digest, push_base64url};
use super::selection::Selection;
use super::write::push_integer;
use crate::source::TopicId;

/// Bytes of an id with the largest numbers.
const LONGEST_ID: usize = 80;

/// The source partition that a lane reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePartition<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// Its id, when the broker told it.
    pub topic_id: Option<TopicId>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

/// Names the events of a source partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventIds {
    before_offset: String,
    after_offset: String,
}

impl EventIds {
    /// Prepares the parts that all events share.
    pub fn new(source: &SourcePartition<'_>) -> Self {
        Self {
            before_offset: format!("{}/{}/", source.topic, source.partition),
            after_offset: source
                .topic_id
                .map_or_else(String::new, |id| format!("/{id}")),
        }
    }

    /// Appends `topic/partition/offset/topicId`, without the last part when the id is not known.
    pub fn write(&self, offset: i64, out: &mut String) {
        out.push_str(&self.before_offset);
        push_integer(out, offset);
        out.push_str(&self.after_offset);
    }

    /// Bytes that [`Self::write`] appends beside the offset.
    pub(super) fn fixed_length(&self) -> usize {
        self.before_offset.len() + self.after_offset.len()
    }
}

/// Names the transactions of a lane. Small: every lane has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionIds {
    digest: [u8; DIGEST_BYTES],
    partition: i32,
}

impl TransactionIds {
    /// Prepares the part that all transactions of the lane share: target, selection and topic as one
    /// digest, and the partition in clear.
    pub fn new(target: Uuid, selection: &Selection, source: &SourcePartition<'_>) -> Self {
        let mut digest = Digest::new("parcelhook/transaction/1");
        digest.field(target.as_bytes());
        digest.field(selection.as_bytes());
        match &source.topic_id {
            Some(TopicId(id)) => digest.field(id.as_bytes()),
            None => digest.field(source.topic.as_bytes()),
        }
        Self {
            digest: digest.finish(),
            partition: source.partition,
        }
    }

    /// The id of the transaction that spans these offsets, both included:
    /// `txn_<digest>-<partition>-<first>-<last>`. Letters, digits, `_` and `-` only: Standard
    /// Webhooks forbids a dot, and it may stand in a header or a path.
    ///
    /// # Errors
    /// Never for an id of this alphabet; the type of a header value cannot know that.
    pub fn header(&self, first: i64, last: i64) -> Result<HeaderValue, Error> {
        let mut id = String::with_capacity(LONGEST_ID);
        self.write(first, last, &mut id);
        Ok(HeaderValue::try_from(id)?)
    }

    /// Appends the same id as text, for log lines and rows.
    pub fn write(&self, first: i64, last: i64, out: &mut String) {
        out.push_str("txn_");
        push_base64url(out, &self.digest);
        out.push('-');
        push_integer(out, i64::from(self.partition));
        out.push('-');
        push_integer(out, first);
        out.push('-');
        push_integer(out, last);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use parcelhook_crds::compiled::StartFrom;
    use proptest::prelude::*;

    use super::*;

    const TARGET: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    const TOPIC_ID: &str = "wK7nCZqKQ9-1sEzX_0hYtA";

    fn topic_id_of(text: &str) -> TopicId {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        TopicId(Uuid::from_slice(&bytes).unwrap())
    }

    fn source(topic_id: Option<&str>) -> SourcePartition<'static> {
        SourcePartition {
            topic: "orders",
            topic_id: topic_id.map(topic_id_of),
            partition: 3,
        }
    }

    fn event(source: &SourcePartition<'_>, offset: i64) -> String {
        let mut id = String::new();
        EventIds::new(source).write(offset, &mut id);
        id
    }

    fn transaction(source: &SourcePartition<'_>, first: i64, last: i64) -> String {
        let selection = Selection::new(source.topic, None, StartFrom::Latest);
        let ids = TransactionIds::new(TARGET, &selection, source);
        let header = ids.header(first, last).unwrap();
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn an_event_is_named_after_its_place_in_kafka() {
        assert_eq!(event(&source(None), 0), "orders/3/0");
        assert_eq!(
            event(&source(Some(TOPIC_ID)), i64::MAX),
            format!("orders/3/9223372036854775807/{TOPIC_ID}")
        );
    }

    #[test]
    fn transaction_ids_are_the_same_in_every_release() {
        for (source, first, last, id) in [
            (
                source(Some(TOPIC_ID)),
                100,
                199,
                "txn_O8GsmGzK7bbsGhIOo07A_g-3-100-199",
            ),
            (source(None), 0, 0, "txn_E-pMhiVV_0AMaKvPEeUUjA-3-0-0"),
        ] {
            assert_eq!(transaction(&source, first, last), id);
        }
    }

    #[test]
    fn a_topic_created_again_gives_other_transaction_ids() {
        let again = source(Some("AAAAAAAAAAAAAAAAAAAAAQ"));
        assert_ne!(
            transaction(&source(Some(TOPIC_ID)), 1, 2),
            transaction(&again, 1, 2)
        );
        assert_ne!(transaction(&source(None), 1, 2), transaction(&again, 1, 2));
    }

    proptest! {
        #[test]
        fn a_transaction_id_is_fit_for_headers_paths_and_signatures(
            partition in 0..i32::MAX, first in 0..i64::MAX, length in 0..1_000_i64,
        ) {
            let source = SourcePartition { topic: "a.b", topic_id: None, partition };
            let id = transaction(&source, first, first.saturating_add(length));
            prop_assert!(id.len() <= 80, "{id}");
            prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{id}");
        }

        #[test]
        fn transactions_of_other_offsets_have_other_ids(a in any::<[u16; 2]>(), b in any::<[u16; 2]>()) {
            let id = |[first, last]: [u16; 2]| transaction(&source(None), first.into(), last.into());
            prop_assert_eq!(a == b, id(a) == id(b));
        }
    }
}
