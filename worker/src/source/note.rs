//! The metadata string of our commits: what a successor must know beside the offset.
//!
//! Constant size, `v1;topic=<id>;first=<n>`. Keys that are not known are skipped, and a string that
//! is not ours says nothing: a commit from a tool is as good as one from us.

use uuid::Uuid;

use super::topics::TopicId;

/// What travels with a committed offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitNote {
    /// Id of the topic the offset counts in.
    pub(super) topic_id: Option<TopicId>,
    /// Partitions the topic had when the group first read this one. Tells a partition that was added
    /// later from one that another worker is just starting.
    pub(super) first_count: Option<i32>,
}

impl CommitNote {
    /// The string to commit.
    pub(super) fn encode(self) -> String {
        let mut text = String::from("v1");
        if let Some(TopicId(id)) = self.topic_id {
            text.push_str(&format!(";topic={id}"));
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
                Some(("topic", id)) => note.topic_id = Uuid::parse_str(id).ok().map(TopicId),
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
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was() {
        let id = TopicId(Uuid::from_u128(0x1234));
        for (topic_id, first_count) in [(None, None), (Some(id), None), (Some(id), Some(64))] {
            let note = CommitNote {
                topic_id,
                first_count,
            };
            assert_eq!(CommitNote::parse(&note.encode()), note);
        }
    }

    #[test]
    fn foreign_metadata_says_nothing() {
        for text in [
            "",
            "v2;first=3",
            "hello",
            "v1;first=-1;topic=x;",
            "\u{fffd}",
        ] {
            assert_eq!(CommitNote::parse(text), CommitNote::default(), "{text:?}");
        }
        assert_eq!(
            CommitNote::parse("v1;epoch=4.1f;first=2").first_count,
            Some(2)
        );
    }
}
