//! Topics, made and changed through the Admin API.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{
        AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    error::{KafkaError, RDKafkaErrorCode},
    metadata::{MetadataPartition, MetadataTopic},
};

use super::{CALL, Kafka, LOOK, PATIENCE, data_directory};
use crate::eventually;

/// How long a change may take to reach every broker.
const SPREAD: Duration = Duration::from_secs(60);

impl Kafka {
    /// Makes a topic and waits until every partition has a leader. Returns its name, which starts
    /// with `prefix` and is no other test's. `config` holds topic properties.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn create_topic(
        &self,
        prefix: &str,
        partitions: usize,
        config: &[(&str, &str)],
    ) -> Result<String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        self.create_topic_named(&name, partitions, config).await?;
        Ok(name)
    }

    /// Makes a topic of exactly this name, for a test that deletes one and makes it again.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn create_topic_named(
        &self,
        name: &str,
        partitions: usize,
        config: &[(&str, &str)],
    ) -> Result<()> {
        let replicas = i32::try_from(self.brokers.len().min(3))?;
        let mut topic = NewTopic::new(
            name,
            i32::try_from(partitions)?,
            TopicReplication::Fixed(replicas),
        );
        for (property, value) in config {
            topic = topic.set(property, value);
        }
        let results = self.admin.create_topics([&topic], &options()).await?;
        one(results).with_context(|| format!("make topic {name}"))?;
        self.leaders(name, partitions).await
    }

    /// Deletes a topic and waits until it is gone.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let results = self.admin.delete_topics(&[name], &options()).await?;
        one(results).with_context(|| format!("delete topic {name}"))?;
        eventually(&format!("the end of topic {name}"), SPREAD, async || {
            let partitions = self.partitions(name).await?;
            ensure!(partitions.is_empty(), "it has partitions {partitions:?}");
            Ok(())
        })
        .await
    }

    /// Adds partitions, so that there are `total`, and waits for their leaders.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn add_partitions(&self, topic: &str, total: usize) -> Result<()> {
        let more = NewPartitions::new(topic, total);
        let results = self.admin.create_partitions([&more], &options()).await?;
        one(results).with_context(|| format!("add partitions to topic {topic}"))?;
        self.leaders(topic, total).await
    }

    /// Sets *all* properties of a topic: those that `config` does not name return to their
    /// defaults.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn configure_topic(&self, topic: &str, config: &[(&str, &str)]) -> Result<()> {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (property, value) in config {
            change = change.set(property, value);
        }
        let results = self.admin.alter_configs([&change], &options()).await?;
        let refused = results.into_iter().find_map(Result::err);
        match refused {
            Some((_, code)) => Err(anyhow!("configure topic {topic}: {code}")),
            None => Ok(()),
        }
    }

    /// Sets one property of a topic besides those that it has of its own, lets `story` happen, and
    /// takes it away again.
    ///
    /// # Errors
    /// When Kafka refuses, and those of the story.
    pub async fn with_property(
        &self,
        topic: &str,
        (property, value): (&str, &str),
        story: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let own = self.own_properties(topic).await?;
        let own: Vec<(&str, &str)> = own.iter().map(|(name, set)| (&**name, &**set)).collect();
        let others = own.iter().filter(|(name, _)| *name != property);
        let changed: Vec<(&str, &str)> = others.copied().chain([(property, value)]).collect();
        self.configure_patiently(topic, &changed).await?;
        let told = story.await;
        self.configure_patiently(topic, &own).await?;
        told
    }

    /// The same as [`Kafka::configure_topic`] while brokers may be away, or slow.
    ///
    /// # Errors
    /// When Kafka refuses for three minutes.
    pub async fn configure_patiently(&self, topic: &str, config: &[(&str, &str)]) -> Result<()> {
        eventually(
            &format!("a change of topic {topic}"),
            PATIENCE,
            async || {
                // A call that went to a broker that is away is never answered.
                tokio::time::timeout(LOOK, self.configure_topic(topic, config)).await?
            },
        )
        .await
    }

    /// The properties that were set for this topic.
    async fn own_properties(&self, topic: &str) -> Result<Vec<(String, String)>> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answers = self.admin.describe_configs(&asked, &options()).await?;
        let answer = answers.into_iter().next().context("no answer")?;
        let found = answer.map_err(|code| anyhow!("describe topic {topic}: {code}"))?;
        let own = found.entries.into_iter();
        let own = own.filter(|entry| entry.source == ConfigSource::DynamicTopic);
        Ok(own
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    /// Deletes the events of one partition whose offset is lower than `before`.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let done = self.admin.delete_records(&offsets, &options()).await?;
        done.elements().iter().try_for_each(|element| {
            element
                .error()
                .with_context(|| format!("delete events of {topic}/{partition}"))
        })
    }

    /// The id that Kafka gave to a topic that has events, as Kafka writes it: 16 bytes in URL-safe
    /// Base64.
    ///
    /// Read from the file `partition.metadata` beside the log of partition 0, so that it is Kafka's
    /// own word and no client's. Brokers write that file with the first event.
    ///
    /// # Errors
    /// When no broker has that file.
    pub async fn topic_id(&self, topic: &str) -> Result<String> {
        eventually(&format!("the id of topic {topic}"), SPREAD, async || {
            let text = (1..=self.brokers.len()).find_map(|id| {
                let log = data_directory(&self.directory, id).join(format!("{topic}-0"));
                fs::read_to_string(log.join("partition.metadata")).ok()
            });
            let text = text.context("no broker has told it")?;
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("topic_id: "));
            Ok(id.context("no topic_id in partition.metadata")?.to_owned())
        })
        .await
    }

    /// The partitions of a topic that have a leader, and its node id. Empty when there is no such
    /// topic.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn partitions(&self, topic: &str) -> Result<BTreeMap<i32, i32>> {
        let seen = self.look(topic, |partition| {
            let leader = partition.leader();
            (partition.error().is_none() && leader >= 0).then(|| (partition.id(), leader))
        });
        Ok(seen.await?.into_iter().collect())
    }

    /// The partitions of a topic that lack a replica in sync.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn under_replicated(&self, topic: &str) -> Result<Vec<i32>> {
        self.look(topic, |partition| {
            let lacking = partition.isr().len() < partition.replicas().len();
            lacking.then(|| partition.id())
        })
        .await
    }

    /// What `of` makes of each partition of a topic; asked again when a broker does not answer.
    async fn look<T: Send + 'static>(
        &self,
        topic: &str,
        of: impl Fn(&MetadataPartition) -> Option<T> + Copy + Send + 'static,
    ) -> Result<Vec<T>> {
        eventually(&format!("metadata of topic {topic}"), CALL, async || {
            let (name, admin) = (topic.to_owned(), Arc::clone(&self.admin));
            tokio::task::spawn_blocking(move || {
                let metadata = match admin.inner().fetch_metadata(Some(&name), LOOK) {
                    Ok(metadata) => metadata,
                    Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic)) => {
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(error.into()),
                };
                let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
                Ok(partitions.filter_map(of).collect())
            })
            .await?
        })
        .await
    }

    async fn leaders(&self, topic: &str, partitions: usize) -> Result<()> {
        let what = format!("a leader for each of {partitions} partitions of {topic}");
        eventually(&what, SPREAD, async || {
            let seen = self.partitions(topic).await?;
            ensure!(seen.len() == partitions, "leaders {seen:?}");
            // The producer refuses events for a partition that it does not know of yet.
            let known = self.known_to_producer(topic).await?;
            ensure!(known == partitions, "the producer knows of {known}");
            Ok(())
        })
        .await
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(CALL))
        .operation_timeout(Some(CALL))
}

/// The one result of a call about one topic.
fn one(results: Vec<rdkafka::admin::TopicResult>) -> Result<()> {
    let refused = results.into_iter().find_map(Result::err);
    match refused {
        Some((_, code)) => Err(anyhow!("Kafka refuses: {code}")),
        None => Ok(()),
    }
}
