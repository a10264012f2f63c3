//! The topics that the producer writes to, and which the demo broker thereby has: those of the demo,
//! and those that targets name. Pure.

use std::sync::Arc;

/// Partitions of each topic.
pub(super) const PARTITIONS: i32 = 4;

/// Topics at most: with 4 partitions of 5 MiB the broker holds at most 640 MiB.
const MAX_TOPICS: usize = 32;

/// Longest name of a Kafka topic, bytes.
const MAX_TOPIC_NAME_BYTES: usize = 249;

/// There are too many already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the demo has its {MAX_TOPICS} topics already; end it to begin anew")]
pub struct TooMany;

/// Names in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics(Vec<Arc<str>>);

impl Topics {
    /// All of them.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Adds a topic unless it is there. What cannot be a topic's name is left out: the worker refuses
    /// a manifest with it.
    ///
    /// # Errors
    /// When it is one too many.
    pub(super) fn add(&mut self, topic: &str) -> Result<(), TooMany> {
        if !is_topic_name(topic) || self.0.iter().any(|known| **known == *topic) {
            return Ok(());
        }
        if self.0.len() >= MAX_TOPICS {
            return Err(TooMany);
        }
        self.0.push(topic.into());
        Ok(())
    }
}

/// Kafka's rule for names (`org.apache.kafka.common.internals.Topic`).
fn is_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_TOPIC_NAME_BYTES
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_added_once_and_keeps_its_place() {
        let mut topics = Topics::default();
        for topic in ["orders", "payments", "orders", "no topic", "", ".."] {
            topics.add(topic).unwrap();
        }
        let names: Vec<&str> = topics.names().iter().map(|topic| &**topic).collect();
        assert_eq!(names, ["orders", "payments"]);
    }

    #[test]
    fn topics_are_bounded() {
        let mut topics = Topics::default();
        for number in 0..MAX_TOPICS {
            topics.add(&format!("topic-{number}")).unwrap();
        }
        assert_eq!(topics.add("more"), Err(TooMany));
        assert_eq!(topics.add("topic-0"), Ok(()));
    }
}
