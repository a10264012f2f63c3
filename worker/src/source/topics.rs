//! Topics as such: their ids, what is missing, and making them.
//!
//! Owns the creation of topics by the Admin API. Does not subscribe.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::SourceError;
pub use parcelhook_crds::lane::TopicId;

/// How long the cluster may take to make topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

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
