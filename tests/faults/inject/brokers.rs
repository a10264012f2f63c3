//! What is done to brokers. A fault is healed when all replicas are in sync again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use parcelhook_env::{eventually, kafka::Broker};

use super::{Injector, planned};
use crate::judge::Seen;

/// How long replicas may take to be in sync again.
const IN_SYNC: Duration = Duration::from_secs(120);

/// Where groups are kept. The leader of a group's partition coordinates the group.
const GROUPS_TOPIC: &str = "__consumer_offsets";

impl Injector {
    pub(super) async fn restart_broker(&self, broker: u8) -> Result<()> {
        let broker = self.broker(broker)?;
        self.disturbing(async { broker.restart().await }).await
    }

    pub(super) async fn kill_broker(&self, broker: u8, ms: u64) -> Result<()> {
        let broker = self.broker(broker)?;
        self.disturbing(async {
            broker.kill().await?;
            planned(ms).await;
            broker.start().await
        })
        .await
    }

    pub(super) async fn freeze_broker(&self, broker: u8, ms: u64) -> Result<()> {
        let broker = self.broker(broker)?;
        self.disturbing(async {
            broker.pause()?;
            planned(ms).await;
            broker.resume()
        })
        .await
    }

    pub(super) async fn kill_all_brokers(&self, ms: u64) -> Result<()> {
        let brokers = self.kafka.brokers();
        self.disturbing(async {
            try_join_all(brokers.iter().map(Broker::kill)).await?;
            planned(ms).await;
            try_join_all(brokers.iter().map(Broker::start)).await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn move_coordinator(&self, ms: u64) -> Result<()> {
        let leaders = self.kafka.partitions(GROUPS_TOPIC).await?;
        let partitions = i32::try_from(leaders.len())?.max(1);
        let partition = java_hash(&self.group) % partitions;
        let leader = leaders
            .get(&partition)
            .context("nobody coordinates the group")?;
        let broker = u8::try_from(*leader - 1).context("a node id from 1")?;
        self.kill_broker(broker, ms).await
    }

    /// Tells that brokers are disturbed until `story` is over and all replicas are in sync.
    async fn disturbing(&self, story: impl Future<Output = Result<()>>) -> Result<()> {
        self.witness.see(&Seen::Kafka { disturbed: true });
        story.await?;
        for topic in &self.topics {
            eventually("all replicas in sync again", IN_SYNC, async || {
                let behind = self.kafka.under_replicated(topic).await?;
                ensure!(behind.is_empty(), "not in sync: {topic} {behind:?}");
                Ok(())
            })
            .await?;
        }
        self.witness.see(&Seen::Kafka { disturbed: false });
        Ok(())
    }

    fn broker(&self, broker: u8) -> Result<&Broker> {
        let found = self.kafka.brokers().get(usize::from(broker));
        found.with_context(|| format!("no broker {broker}"))
    }
}

/// Java's hash of a text without its sign, by which brokers choose a group's partition.
fn java_hash(text: &str) -> i32 {
    let hash = text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_java() {
        // "hello".hashCode() is 99162322, "polygenelubricants".hashCode() is Integer.MIN_VALUE.
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), 0);
    }
}
