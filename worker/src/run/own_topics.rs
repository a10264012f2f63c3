//! The worker's own topics at start: there, as they must be, and claimed by this installation.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Cluster, Config};
use crate::park::Names;
use crate::park::topics::{self, Internal, SOURCE_LIMIT_BYTES, TopicsError, Wanted};

/// How long to wait before brokers that did not answer are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Waits until the topics are there and claimed. Brokers that do not answer are asked again, for ever.
///
/// # Errors
/// When somebody must change something first.
pub(super) async fn settled(config: &Config) -> Result<Internal, TopicsError> {
    loop {
        match ensured(config).await {
            Err(error @ TopicsError::Unanswered { .. }) => {
                tracing::warn!(%error, "the worker's own topics are not known yet; asking again");
                tokio::time::sleep(ASK_AGAIN).await;
            }
            answered => return answered,
        }
    }
}

async fn ensured(config: &Config) -> Result<Internal, TopicsError> {
    let client = config.kafka_properties_of("topics");
    let names = Names::new(&config.prefix);
    let wanted = Wanted {
        names: names.clone(),
        create: config.create_topics,
        check: config.cluster == Cluster::Kafka,
        largest_event_bytes: SOURCE_LIMIT_BYTES,
    };
    let internal = topics::ensure(&client, &wanted).await?;
    let group = config.consumer_group();
    let installation = config.installation.clone();
    let claimed = Arc::new(internal);
    let claim = move || topics::claim(&client, &names, (&group, &installation), &claimed);
    tokio::task::spawn_blocking(claim)
        .await
        .unwrap_or_else(|_| Err(TopicsError::Interrupted))
}
