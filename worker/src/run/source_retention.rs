//! Asks the cluster how long source topics keep their events, and tells the shards.
//!
//! It matters for events that are too large for the retry topic: their source topic has them, and nothing
//! else has. What the cluster does not tell, because the worker may not ask, bounds nothing. Owns when
//! it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaResult;
use tokio::sync::watch;

use super::Shards;
use super::supervisor::Applied;
use crate::background::{Cause, waiting};
use crate::lane::driver::Request;

/// How often it is asked again: somebody may shorten a retention.
const LOOK: Duration = Duration::from_secs(3600);

/// The same after a question that nobody answered.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long brokers may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct SourceRetention {
    pub(super) client: ClientConfig,
    pub(super) shards: Shards,
    pub(super) applied: watch::Receiver<Applied>,
}

impl SourceRetention {
    /// Runs until the supervisor has ended, or the future is dropped.
    pub(super) async fn run(mut self) {
        let mut asked = BTreeSet::new();
        let mut wait = LOOK;
        loop {
            let is_due = tokio::select! {
                biased;
                changed = self.applied.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                () = waiting(Cause::Timer, tokio::time::sleep(wait)) => true,
            };
            let topics = self.topics();
            if topics.is_empty() || (topics == asked && !is_due) {
                continue;
            }
            wait = match kept(&self.client, &topics).await {
                Ok(kept) => {
                    self.tell(kept).await;
                    LOOK
                }
                Err(error) => {
                    tracing::debug!(%error, "how long source topics keep their events is not known yet");
                    ASK_AGAIN
                }
            };
            asked = topics;
        }
    }

    fn topics(&self) -> BTreeSet<String> {
        let applied = self.applied.borrow();
        let targets = applied.targets.iter();
        let sources = targets.flat_map(|target| &target.compiled.sources);
        sources.map(|source| source.topic.clone()).collect()
    }

    async fn tell(&self, kept: BTreeMap<String, Duration>) {
        let kept = Arc::new(kept);
        for shard in self.shards.iter() {
            // A shard that has ended keeps nothing.
            let _ = shard.send(Request::SourcesKeep(Arc::clone(&kept))).await;
        }
    }
}

/// How long each topic keeps its events; none of one that keeps them for ever, or does not say.
async fn kept(
    client: &ClientConfig,
    topics: &BTreeSet<String>,
) -> KafkaResult<BTreeMap<String, Duration>> {
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let topics = topics.iter().map(|topic| ResourceSpecifier::Topic(topic));
    let topics: Vec<ResourceSpecifier<'_>> = topics.collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let answer = admin.describe_configs(&topics, &options);
    let answer = waiting(Cause::Fetch, answer).await?;
    Ok(answer.into_iter().flatten().filter_map(retention).collect())
}

fn retention(topic: ConfigResource) -> Option<(String, Duration)> {
    let setting = |name: &str| {
        let entry = topic.entries.iter().find(|entry| entry.name == name)?;
        entry.value.as_deref()
    };
    let deletes = setting("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
    // -1 is for ever.
    let millis: u64 = setting("retention.ms")?.parse().ok().filter(|_| deletes)?;
    let OwnedResourceSpecifier::Topic(name) = topic.specifier else {
        return None;
    };
    Some((name, Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    use super::*;

    fn topic(settings: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::DynamicTopic,
            is_read_only: false,
            is_default: false,
            is_sensitive: false,
        };
        ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("orders".to_owned()),
            entries: settings.iter().map(entry).collect(),
        }
    }

    #[test]
    fn only_a_topic_that_deletes_by_time_bounds_anything() {
        let day = ("retention.ms", "86400000");
        let kept = |settings: &[_]| retention(topic(settings)).map(|(_, kept)| kept.as_secs());
        assert_eq!(kept(&[day, ("cleanup.policy", "delete")]), Some(86_400));
        assert_eq!(
            kept(&[day, ("cleanup.policy", "compact,delete")]),
            Some(86_400)
        );
        assert_eq!(kept(&[day, ("cleanup.policy", "compact")]), None);
        assert_eq!(kept(&[("retention.ms", "-1")]), None);
        assert_eq!(kept(&[]), None);
    }
}
