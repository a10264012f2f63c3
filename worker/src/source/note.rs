//! The metadata string of our commits: what a successor must know beside the offset.
//!
//! Bounded size, `v1;epoch=<n>.<16 hex>;topic=<id>;cfg=<lineage>:<revision>;first=<n>`, without what
//! is not known. Keys of a later version are skipped, and a string that is not ours says nothing: a
//! commit from a tool is as good as one from us.

pub use parcelhook_crds::config::Revision;
use parcelhook_crds::lane::Epoch;
use uuid::Uuid;

use super::topics::TopicId;

/// What travels with a committed offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitNote {
    /// The ownership under which it was committed: the lanes' rows of this epoch count.
    pub(super) epoch: Option<Epoch>,
    /// Id of the topic the offset counts in.
    pub(super) topic_id: Option<TopicId>,
    /// The configuration that was applied.
    pub(super) cfg: Option<Revision>,
    /// Partitions the topic had when the group first read this one. Tells a partition that was added
    /// later from one that another worker is just starting.
    pub(super) first_count: Option<i32>,
}

impl CommitNote {
    /// The string to commit.
    pub(super) fn encode(self) -> String {
        let mut text = String::from("v1");
        if let Some(epoch) = self.epoch {
            text.push_str(&format!(";epoch={epoch}"));
        }
        if let Some(TopicId(id)) = self.topic_id {
            text.push_str(&format!(";topic={id}"));
        }
        if let Some(revision) = self.cfg {
            text.push_str(&format!(";cfg={revision}"));
        }
        if let Some(count) = self.first_count {
            text.push_str(&format!(";first={count}"));
        }
        text
    }

    /// Reads what another worker, or somebody else, has committed.
    pub(super) fn parse(text: &str) -> Self {
        let mut note = Self::default();
        let mut parts = text.split(';');
        if parts.next() != Some("v1") {
            return note;
        }
        for part in parts {
            match part.split_once('=') {
                Some(("epoch", epoch)) => note.epoch = epoch.parse().ok(),
                Some(("topic", id)) => note.topic_id = Uuid::parse_str(id).ok().map(TopicId),
                Some(("cfg", revision)) => note.cfg = revision.parse().ok(),
                Some(("first", count)) => {
                    note.first_count = count.parse().ok().filter(|count| *count >= 0);
                }
                Some(_) | None => {}
            }
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notes() -> impl Strategy<Value = CommitNote> {
        let epoch = prop::option::of((any::<u32>(), any::<u64>()));
        let cfg = prop::option::of((any::<u64>(), any::<u64>()));
        let topic = prop::option::of(1..u128::MAX);
        let first = prop::option::of(0..i32::MAX);
        (epoch, topic, cfg, first).prop_map(|(epoch, topic, cfg, first_count)| CommitNote {
            epoch: epoch.map(|(n, random)| Epoch { n, random }),
            topic_id: topic.map(|id| TopicId(Uuid::from_u128(id))),
            cfg: cfg.map(|(lineage, number)| Revision { lineage, number }),
            first_count,
        })
    }

    proptest! {
        #[test]
        fn a_note_comes_back_as_it_was(note in notes()) {
            prop_assert_eq!(CommitNote::parse(&note.encode()), note);
        }

        #[test]
        fn a_note_is_short(note in notes()) {
            // The broker's own bound is 4096.
            prop_assert!(note.encode().len() <= 160);
        }
    }

    #[test]
    fn a_note_is_the_same_text_in_every_release() {
        let note = CommitNote {
            epoch: Some(Epoch { n: 4, random: 0x1f }),
            topic_id: Some(TopicId(Uuid::from_u128(0x1234))),
            cfg: Some(Revision {
                lineage: 0xab,
                number: 12,
            }),
            first_count: Some(64),
        };
        insta::assert_snapshot!(note.encode(), @"v1;epoch=4.000000000000001f;topic=00000000-0000-0000-0000-000000001234;cfg=00000000000000ab:12;first=64");
        assert_eq!(CommitNote::default().encode(), "v1");
    }

    #[test]
    fn foreign_metadata_says_nothing() {
        for text in [
            "",
            "v2;first=3",
            "hello",
            "v1;first=-1;topic=x;epoch=3;cfg=1:1;",
            "\u{fffd}",
        ] {
            assert_eq!(CommitNote::parse(text), CommitNote::default(), "{text:?}");
        }
        let later = CommitNote::parse("v1;later=4.1f;first=2");
        assert_eq!(later.first_count, Some(2));
    }
}
