//! A cluster of one's own: brokers are killed, paused and come back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::{Event, Kafka},
};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn three_brokers_go_on_without_the_one_that_was_killed() -> Result<()> {
    let kafka = Kafka::cluster(3).await?;
    let topic = kafka.create_topic("survives", 3, &[]).await?;
    let events = |from: usize| (from..from + 300).map(|n| Event::new(format!("{n}")));
    kafka.produce(&topic, events(0)).await?;

    let leader = *kafka
        .partitions(&topic)
        .await?
        .get(&0)
        .context("no leader")?;
    let killed = &kafka.brokers()[usize::try_from(leader)? - 1];
    killed.kill().await?;
    assert!(killed.process().is_err());
    kafka.produce(&topic, events(300)).await?;
    assert_eq!(kafka.read(&topic).await?.len(), 600);

    killed.start().await?;
    let paused = &kafka.brokers()[usize::try_from(leader)? % 3];
    eventually("all replicas in sync again", SOON, async || {
        let behind = kafka.under_replicated(&topic).await?;
        ensure!(behind.is_empty(), "not in sync: partitions {behind:?}");
        Ok(())
    })
    .await?;
    paused.pause()?;
    kafka.produce(&topic, events(600)).await?;
    assert_eq!(kafka.read(&topic).await?.len(), 900);
    paused.resume()
}
