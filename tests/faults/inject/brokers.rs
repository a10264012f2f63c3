//! What is done to brokers. A fault is healed when all replicas are in sync again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use parcelhook_env::{eventually, kafka::Broker};

use super::{Injector, planned};
use crate::{
    judge::Seen,
    plan::{BROKERS, OwnTopic},
    tail::{DEAD_LETTERS, LANES, RETRY},
};

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

    pub(super) async fn fill_disk(&self, broker: u8, ms: u64) -> Result<()> {
        let broker = self.broker(broker)?;
        self.disturbing(broker.without_disk(planned(ms))).await
    }

    /// Kills all brokers, or all but the one that is spared.
    pub(super) async fn kill_brokers(&self, spared: Option<u8>, ms: u64) -> Result<()> {
        let brokers = (0..).zip(self.kafka.brokers());
        let brokers = brokers.filter(|(number, _)| Some(*number) != spared);
        let brokers: Vec<&Broker> = brokers.map(|(_, broker)| broker).collect();
        self.disturbing(async {
            try_join_all(brokers.iter().map(|broker| broker.kill())).await?;
            planned(ms).await;
            try_join_all(brokers.iter().map(|broker| broker.start())).await?;
            Ok(())
        })
        .await
    }

    /// One of the workers' own topics wants more replicas in sync than there are.
    pub(super) async fn refuse_writes(&self, topic: OwnTopic, ms: u64) -> Result<()> {
        let topic = match topic {
            OwnTopic::Retry => RETRY,
            OwnTopic::Lanes => LANES,
            OwnTopic::DeadLetter => DEAD_LETTERS,
        };
        let leader = self.leader(topic, 0).await?;
        let broker = self.broker((leader + 1) % BROKERS)?;
        self.disturbing(async {
            let all = ("min.insync.replicas", "3");
            let without_one = async {
                broker.kill().await?;
                planned(ms).await;
                Ok(())
            };
            self.kafka.with_property(topic, all, without_one).await?;
            broker.start().await
        })
        .await
    }

    pub(super) async fn move_coordinator(&self, ms: u64) -> Result<()> {
        let leaders = self.kafka.partitions(GROUPS_TOPIC).await?;
        let partitions = i32::try_from(leaders.len())?.max(1);
        let partition = java_hash(&self.group) % partitions;
        let leader = self.leader(GROUPS_TOPIC, partition).await?;
        self.kill_broker(leader, ms).await
    }

    /// The broker that leads a partition.
    async fn leader(&self, topic: &str, partition: i32) -> Result<u8> {
        let leaders = self.kafka.partitions(topic).await?;
        let leader = leaders.get(&partition);
        let node = leader.with_context(|| format!("nobody leads {topic}/{partition}"))?;
        u8::try_from(node - 1).context("a node id from 1")
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
