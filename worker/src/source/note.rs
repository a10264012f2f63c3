//! The metadata string of our commits: what a successor must know beside the offset.
//!
//! Bounded size, `v1;epoch=<n>.<16 hex>;topic=<id>;cfg=<lineage>:<revision>;first=<n>`, without what
//! is not known. Keys of a later version are skipped, and a string that is not ours says nothing: a
//! commit from a tool is as good as one from us.

use std::fmt;
use std::str::FromStr;

use parcelhook_crds::lane::Epoch;
use uuid::Uuid;

use super::topics::TopicId;

/// Which configuration a commit was made under. Of two lineages the greater is the newer; within
/// one, the number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// Who numbers the revisions.
    pub lineage: u64,
    /// Rises within the lineage.
    pub number: u64,
}

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

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.lineage, self.number)
    }
}

/// A text that is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form <16 hex digits>:<number>")]
pub struct ParseRevisionError(String);

impl FromStr for Revision {
    type Err = ParseRevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (lineage, number) = text.split_once(':')?;
            let lineage = (lineage.len() == 16).then_some(lineage)?;
            Some(Self {
                lineage: u64::from_str_radix(lineage, 16).ok()?,
                number: number.parse().ok()?,
            })
        };
        parse().ok_or_else(|| ParseRevisionError(text.to_owned()))
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

    #[test]
    fn a_newer_lineage_is_newer_whatever_its_number() {
        let revision = |lineage, number| Revision { lineage, number };
        assert!(revision(2, 1) > revision(1, 9));
        assert!(revision(1, 9) > revision(1, 8));
    }
}
