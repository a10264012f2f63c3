//! Reading the lanes topic to an end that holds no record: a mock cluster has no such ends.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parcelhook_env::kafka::{Access, Event, Kafka};
use parcelhook_worker::source::PartitionId;
use parcelhook_worker::state::tail::{TailConfig, TailHandle, prepare};
use parcelhook_worker::state::{Ask, RowPlace, Told};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::mpsc::{Receiver, channel};

use crate::site::SOON;

const GROUP: &str = "lane-rows";
const TERMINATOR: &str =
    r#"{"group":"lane-rows","topic":"orders","partition":0,"epoch":"3.0000000000000007"}"#;

/// A tail of a topic with one partition, and the answers to its only shard.
struct Tail {
    handle: TailHandle,
    told: Receiver<Told>,
    asked: u32,
}

impl Tail {
    fn start(kafka: &Kafka, topic: &str) -> Result<Self> {
        let client = kafka.client(Access::Plaintext);
        let properties = client.config_map().into_iter();
        let config = TailConfig {
            client: properties
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            group: GROUP.to_owned(),
            topic: topic.to_owned(),
            partitions: 1,
        };
        let (shard, told) = channel(1);
        let (handle, thread) = prepare(config, vec![shard])?;
        drop(tokio::task::spawn_blocking(|| thread.run()));
        Ok(Self {
            handle,
            told,
            asked: 0,
        })
    }

    /// The frontier that a new owner finds.
    async fn frontier(&mut self) -> Result<Option<i64>> {
        self.asked += 1;
        let ask = Ask::TakeOver {
            shard: 0,
            slot: self.asked,
            place: RowPlace {
                source: PartitionId {
                    topic: "orders".into(),
                    partition: 0,
                },
                topic_id: None,
            },
            epoch: None,
        };
        if self.handle.ask(ask).is_err() {
            bail!("there is no room for a question");
        }
        loop {
            let told = tokio::time::timeout(SOON, self.told.recv());
            match told.await.context("the tail does not answer")? {
                Some(Told::Rows { slot, frontier, .. }) if slot == self.asked => {
                    return Ok(frontier);
                }
                // The answer to a question that was not waited for.
                Some(Told::Rows { .. }) => {}
                Some(Told::Stale { .. } | Told::Recovered { .. }) | None => {
                    bail!("rows were asked for")
                }
            }
        }
    }
}

async fn terminator(kafka: &Kafka, topic: &str, frontier: i64) -> Result<()> {
    let value = format!(r#"{{"frontier":{frontier}}}"#);
    let event = Event::new(value).key(TERMINATOR).to(0);
    kafka.produce(topic, [event]).await?;
    Ok(())
}

/// Leaves a marker at the end of the log, which no consumer sees, behind a row.
async fn abort_a_transaction(kafka: &Kafka, topic: &str, frontier: i64) -> Result<()> {
    let mut config = kafka.client(Access::Plaintext);
    config.set("transactional.id", format!("stray-{topic}"));
    let producer: FutureProducer = config.create()?;
    let stray = producer.clone();
    tokio::task::spawn_blocking(move || {
        stray.init_transactions(SOON)?;
        stray.begin_transaction()
    })
    .await??;
    let value = format!(r#"{{"frontier":{frontier}}}"#);
    let record = FutureRecord::to(topic)
        .partition(0)
        .key(TERMINATOR)
        .payload(&value);
    producer
        .send(record, SOON)
        .await
        .map_err(|(error, _)| error)?;
    tokio::task::spawn_blocking(move || producer.abort_transaction(SOON)).await??;
    Ok(())
}

#[tokio::test]
async fn an_end_behind_transaction_markers_is_passed() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("lanes-markers", 1, &[]).await?;
    terminator(kafka, &topic, 1).await?;
    abort_a_transaction(kafka, &topic, 2).await?;
    let mut tail = Tail::start(kafka, &topic)?;
    for frontier in 2..6 {
        assert_eq!(tail.frontier().await?, Some(frontier));
        assert_eq!(tail.frontier().await?, Some(frontier), "nothing came since");
        abort_a_transaction(kafka, &topic, frontier + 1).await?;
    }
    terminator(kafka, &topic, 9).await?;
    assert_eq!(tail.frontier().await?, Some(9));
    Ok(())
}

#[tokio::test]
async fn a_log_that_retention_has_emptied_is_passed() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = kafka.create_topic("lanes-emptied", 1, &[]).await?;
    for frontier in 0..5 {
        terminator(kafka, &topic, frontier).await?;
    }
    kafka.delete_records(&topic, 0, 5).await?;
    let mut tail = Tail::start(kafka, &topic)?;
    assert_eq!(tail.frontier().await?, None);
    terminator(kafka, &topic, 7).await?;
    assert_eq!(tail.frontier().await?, Some(7));
    // What the tail has read, it knows; also when the log does not have it any more.
    kafka.delete_records(&topic, 0, 6).await?;
    assert_eq!(tail.frontier().await?, Some(7));
    Ok(())
}

#[tokio::test]
async fn a_lanes_topic_that_is_made_later_is_read_from_its_start() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let topic = "lanes-made-later";
    let mut tail = Tail::start(kafka, topic)?;
    let early = tokio::time::timeout(Duration::from_secs(2), tail.frontier()).await;
    assert!(early.is_err(), "nothing can be known yet");
    kafka.create_topic_named(topic, 1, &[]).await?;
    terminator(kafka, topic, 4).await?;
    // The first question is answered, too: it was never withdrawn.
    assert_eq!(tail.frontier().await?, Some(4));
    Ok(())
}
