//! Topics as such: their ids, what is missing, and making them.
//!
//! Owns `TopicId` and the creation of topics by the Admin API. Does not subscribe.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use uuid::Uuid;

use super::SourceError;

/// How long the cluster may take to make topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// The id that a topic has from its creation to its deletion (KIP-516). A topic that is deleted and
/// made again under the same name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// From the two halves that librdkafka gives; none when all is zero: the cluster knows no id.
    pub fn from_halves(high: i64, low: i64) -> Option<Self> {
        let id = Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned());
        (!id.is_nil()).then_some(Self(id))
    }
}

/// As Kafka shows it: 22 characters of base64url. librdkafka's own text form has `+` and `/`, which
/// would cut an event id in two.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// What the cluster says about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicState {
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

/// Creates those of the topics that the cluster does not have, with the broker's default number of
/// partitions and replicas (KIP-464). `client` are librdkafka properties, as for the consumer.
///
/// # Errors
/// When the properties cannot be used, the cluster does not answer within 30 s, or it refuses a topic.
pub async fn create_missing_topics(
    client: &[(String, String)],
    topics: &[&str],
) -> Result<(), SourceError> {
    let config: ClientConfig = client.iter().cloned().collect();
    let admin: AdminClient<DefaultClientContext> =
        config.create().map_err(SourceError::configuration)?;
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| NewTopic::new(topic, -1, TopicReplication::Fixed(-1)))
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(CREATE_TIMEOUT))
        .request_timeout(Some(CREATE_TIMEOUT));
    let results = admin
        .create_topics(&wanted, &options)
        .await
        .map_err(SourceError::CreateTopics)?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, reason)) => return Err(SourceError::CreateTopic { topic, reason }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_is_shown_as_kafka_shows_it() {
        let id = TopicId::from_halves(-1, -2).unwrap();
        assert_eq!(id.to_string(), "_____________________g");
    }

    #[test]
    fn an_id_of_zeros_is_the_id_of_no_topic() {
        assert_eq!(TopicId::from_halves(0, 0), None);
    }
}
