//! What may be wrong with a topic, in words that say what to do.

use std::fmt;

/// Something that is wrong with a topic, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It is not there.
    Missing {
        /// The topic.
        topic: String,
        /// What it would be created with.
        settings: String,
    },
    /// It has another number of partitions.
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: i32,
        /// How many it must have.
        wanted: i32,
    },
    /// A partition has fewer replicas than must have a write before it is acknowledged.
    Replicas {
        /// The topic.
        topic: String,
        /// The fewest that a partition has.
        found: i32,
        /// The fewest that it must have.
        wanted: i32,
    },
    /// A setting is not as it must be.
    Setting {
        /// The topic.
        topic: String,
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it must be.
        wanted: String,
        /// A value to set.
        set: String,
        /// What would happen otherwise.
        reason: &'static str,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic, settings } => write!(
                f,
                "topic {topic} does not exist; create it with {settings}, or let the operator do it, or a worker with createTopics"
            ),
            Self::Partitions {
                topic,
                found,
                wanted,
            } => write!(
                f,
                "topic {topic} has {found} partitions and must have {wanted}; create it anew"
            ),
            Self::Replicas {
                topic,
                found,
                wanted,
            } => write!(
                f,
                "topic {topic} has a partition with {found} replicas and must have {wanted} or more, else what was acknowledged is lost with one disk; give it more with kafka-reassign-partitions.sh"
            ),
            Self::Setting {
                topic,
                name,
                found,
                wanted,
                set,
                reason,
            } => write!(
                f,
                "topic {topic}: {name} is {found} and must be {wanted}, {reason}; run kafka-configs.sh --alter --topic {topic} --add-config {name}={set}"
            ),
        }
    }
}
