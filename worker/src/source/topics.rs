//! Topics as such: their ids, what is missing, and making them.
//!
//! Owns `TopicId` and the creation of topics by the Admin API. Does not subscribe.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use uuid::Uuid;

/// How long the cluster may take to make topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// The id that a topic has from its creation to its deletion (KIP-516). A topic that is deleted and
/// made again under the same name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the cluster says about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicState {
    /// It exists.
    Present {
        /// Its id; none from a cluster that gives none.
        id: Option<TopicId>,
        /// How many partitions it has.
        partitions: i32,
    },
    /// It does not exist.
    Missing,
    /// Nothing is known: no right to see it, or the cluster did not say.
    Unknown,
}

/// Topics by name.
pub(super) type TopicStates = BTreeMap<String, TopicState>;
