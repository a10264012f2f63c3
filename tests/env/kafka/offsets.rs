//! Where partitions begin and end, and how far a consumer group has committed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};

use super::{Access, CALL, Kafka, LOOK, SILENCE_MS};
use crate::eventually;

impl Kafka {
    /// The offset after the last event of each partition.
    ///
    /// A leader that was paused and has just been resumed may answer with what it knew before.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let bounds = self.bounds(topic).await?;
        Ok(bounds.into_iter().map(|(id, (_, end))| (id, end)).collect())
    }

    /// The offset of the first event that each partition still has.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn beginnings(&self, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let bounds = self.bounds(topic).await?;
        Ok(bounds
            .into_iter()
            .map(|(id, (beginning, _))| (id, beginning))
            .collect())
    }

    /// What `group` has committed of each partition: the offset of the next event, or `None` where
    /// it has committed nothing.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, Option<i64>>> {
        let what = format!("what group {group} has committed of {topic}");
        let mut wanted = TopicPartitionList::new();
        for partition in self.partitions(topic).await?.into_keys() {
            wanted.add_partition(topic, partition);
        }
        eventually(&what, CALL, async || {
            let wanted = wanted.clone();
            let question = |consumer: &BaseConsumer| Ok(consumer.committed_offsets(wanted, LOOK)?);
            let committed = self.ask(group, question).await?;
            let elements = committed.elements();
            let offsets = elements.iter().map(|element| match element.offset() {
                Offset::Offset(offset) => (element.partition(), Some(offset)),
                Offset::Invalid
                | Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::OffsetTail(_) => (element.partition(), None),
            });
            Ok(offsets.collect())
        })
        .await
    }

    /// Moves what `group` has committed of a partition to `offset`, and leaves the metadata of that
    /// commit as it is. Nobody of the group may run.
    ///
    /// # Errors
    /// When the group has committed nothing of it, or has members.
    pub async fn move_committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<()> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(topic, partition);
        self.ask(group, move |consumer| {
            let committed = consumer.committed_offsets(wanted, LOOK)?;
            for mut element in committed.elements() {
                ensure!(element.offset() != Offset::Invalid, "nothing is committed");
                element.set_offset(Offset::Offset(offset))?;
            }
            Ok(consumer.commit(&committed, CommitMode::Sync)?)
        })
        .await
        .with_context(|| format!("commit {offset} of {topic}/{partition} for {group}"))
    }

    /// Beginning and end of each partition.
    ///
    /// Asked again while a new leader does not know yet.
    pub(super) async fn bounds(&self, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>> {
        let partitions = self.partitions(topic).await?;
        eventually(&format!("the bounds of {topic}"), CALL, async || {
            let (name, partitions) = (topic.to_owned(), partitions.clone());
            self.ask("nobody", move |consumer| {
                let ids = partitions.into_keys();
                ids.map(|id| Ok((id, consumer.fetch_watermarks(&name, id, LOOK)?)))
                    .collect()
            })
            .await
        })
        .await
    }

    /// Asks with a consumer that never joins `group`, on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        group: &str,
        question: impl FnOnce(&BaseConsumer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut config = self.client(Access::Plaintext);
        config
            .set("group.id", group)
            .set("socket.timeout.ms", SILENCE_MS)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error");
        tokio::task::spawn_blocking(move || question(&config.create()?)).await?
    }
}
