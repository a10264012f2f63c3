//! The shared broker: every way in, events there and back, topics made and changed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::{Access, Event, Kafka, Mechanism},
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

const SOON: Duration = Duration::from_secs(30);

/// Asks the brokers something, which proves that `config` connects and authenticates.
async fn connects(config: ClientConfig) -> Result<()> {
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        consumer.fetch_metadata(None, SOON)?;
        Ok(())
    })
    .await?
}

#[tokio::test]
async fn events_come_back_as_they_were_produced() -> Result<()> {
    let kafka = Kafka::shared().await?;
    // Their timestamps are long past; retention must not take them.
    let config = [("retention.ms", "-1")];
    let topic = kafka.create_topic("round-trip", 2, &config).await?;
    let events = [
        Event::new("first")
            .key("k")
            .header("h", "1")
            .header("h", "2")
            .to(1)
            .at(1_000),
        Event::tombstone("k").to(1).at(2_000),
        Event::new([0, 159, 146, 150]).to(0).at(3_000),
    ];
    let produced = kafka.produce(&topic, events.clone()).await?;
    assert_eq!(produced.positions, [(1, 0), (1, 1), (0, 0)]);

    let read = kafka.read(&topic).await?;
    let read: BTreeMap<_, _> = read
        .into_iter()
        .map(|read| ((read.partition, read.offset), read.event))
        .collect();
    let expected: BTreeMap<_, _> = produced.positions.into_iter().zip(events).collect();
    assert_eq!(read, expected);
    Ok(())
}

#[tokio::test]
async fn many_events_are_produced_in_order() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("many", 1, &[]).await?;
    let events = (0..25_000).map(|n| Event::new(n.to_string()).to(0));
    kafka.produce(&topic, events).await?;
    let read = kafka.read(&topic).await?;
    assert_eq!(read.len(), 25_000);
    for (expected, read) in (0_i64..).zip(read) {
        assert_eq!(read.offset, expected);
        assert_eq!(
            read.event.value.as_deref(),
            Some(expected.to_string().as_bytes())
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_way_in_is_open_to_those_who_may() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let mut ways = vec![Access::Plaintext, Access::Tls, Access::MutualTls];
    for mechanism in [
        Mechanism::Plain,
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
    ] {
        ways.extend([Access::SaslPlaintext(mechanism), Access::SaslTls(mechanism)]);
    }
    for access in ways {
        let connected = connects(kafka.client(access)).await;
        assert!(connected.is_ok(), "{access:?}: {connected:?}");
    }
    Ok(())
}

/// The error that librdkafka gives for `config`, which must not connect.
fn refusal(mut config: ClientConfig) -> Result<String> {
    use rdkafka::{error::KafkaError, producer::BaseProducer, producer::Producer as _};
    config.set("statistics.interval.ms", "0");
    let producer: BaseProducer = config.create()?;
    // Polled, so that the client's errors come before the request gives up.
    producer.poll(Duration::ZERO);
    match producer
        .client()
        .fetch_metadata(None, Duration::from_secs(3))
    {
        Err(KafkaError::MetadataFetch(code)) => Ok(code.to_string()),
        other => anyhow::bail!("connected: {}", other.is_ok()),
    }
}

#[tokio::test]
async fn no_way_in_is_open_to_those_who_may_not() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let mut wrong_password = kafka.client(Access::SaslTls(Mechanism::ScramSha512));
    wrong_password.set("sasl.password", "off-with-her-head");
    let mut no_certificate = kafka.client(Access::MutualTls);
    no_certificate.remove("ssl.certificate.location");
    no_certificate.remove("ssl.key.location");
    let mut unknown_authority = kafka.client(Access::Tls);
    unknown_authority.set(
        "ssl.ca.location",
        kafka.files().client.certificate.display().to_string(),
    );
    let refused = tokio::task::spawn_blocking(move || {
        [wrong_password, no_certificate, unknown_authority].map(refusal)
    })
    .await?;
    for (case, refused) in ["password", "certificate", "authority"].iter().zip(refused) {
        assert!(refused.is_ok(), "wrong {case}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_not_made_by_asking() -> Result<()> {
    let kafka = Kafka::shared().await?;
    assert_eq!(kafka.partitions("never-made").await?, BTreeMap::new());
    assert_eq!(kafka.partitions("never-made").await?, BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn a_topic_grows_and_goes() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("grows", 1, &[]).await?;
    kafka.add_partitions(&topic, 3).await?;
    assert_eq!(kafka.partitions(&topic).await?.len(), 3);
    kafka.delete_topic(&topic).await?;
    assert_eq!(kafka.partitions(&topic).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn deleted_records_move_the_beginning_and_not_the_end() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("shortened", 1, &[]).await?;
    let events = (0..10).map(|n| Event::new(format!("{n}")));
    kafka.produce(&topic, events).await?;
    kafka.delete_records(&topic, 0, 4).await?;
    assert_eq!(kafka.beginnings(&topic).await?, BTreeMap::from([(0, 4)]));
    assert_eq!(kafka.ends(&topic).await?, BTreeMap::from([(0, 10)]));
    assert_eq!(kafka.read(&topic).await?.len(), 6);
    Ok(())
}

#[tokio::test]
async fn retention_takes_old_events_within_seconds() -> Result<()> {
    let kafka = Kafka::shared().await?;
    // A segment an event, since the newest segment is never taken for its age alone.
    let config = |retention| [("segment.ms", "100"), ("retention.ms", retention)];
    let topic = kafka.create_topic("expiring", 1, &config("-1")).await?;
    let events = (0..5).map(|_| Event::new("old").at(1_000));
    kafka.produce(&topic, events).await?;
    assert_eq!(kafka.beginnings(&topic).await?, BTreeMap::from([(0, 0)]));
    kafka.configure_topic(&topic, &config("1000")).await?;
    eventually("an empty topic", SOON, async || {
        let beginnings = kafka.beginnings(&topic).await?;
        ensure!(beginnings == BTreeMap::from([(0, 5)]), "{beginnings:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_group_committed_can_be_read() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("committed", 2, &[]).await?;
    let events = (0..7).map(|_| Event::new("x").to(0));
    kafka.produce(&topic, events).await?;
    let mut config = kafka.client(Access::Plaintext);
    config
        .set("group.id", &topic)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    let name = topic.clone();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[&name])?;
        let deadline = parcelhook_env::clock::now() + SOON;
        let mut seen = 0;
        while seen < 7 {
            ensure!(parcelhook_env::clock::now() < deadline, "saw {seen} events");
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                message?;
                seen += 1;
            }
        }
        consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync)?;
        Ok(())
    })
    .await??;
    let committed = kafka.committed(&topic, &topic).await?;
    assert_eq!(committed, BTreeMap::from([(0, Some(7)), (1, None)]));
    Ok(())
}
