//! The worker's own topics on real Kafka: made, checked and claimed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::{Access, Kafka},
};
use parcelhook_worker::park::topics::{
    self, Internal, Names, SOURCE_LIMIT_BYTES, TopicsError, Wanted,
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
};

use crate::site::SOON;

/// The properties of a client of `kafka`.
pub(crate) fn client(kafka: &Kafka) -> Vec<(String, String)> {
    let config = kafka.client(Access::Plaintext);
    let properties = config.config_map().into_iter();
    properties
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn wanted(prefix: &str, create: bool) -> Wanted {
    Wanted {
        names: Names::new(prefix),
        create,
        check: true,
        largest_event_bytes: SOURCE_LIMIT_BYTES,
    }
}

/// Has the worker see to its topics under `prefix`.
pub(crate) async fn ensured(
    kafka: &Kafka,
    prefix: &str,
    create: bool,
) -> Result<Internal, TopicsError> {
    topics::ensure(&client(kafka), &wanted(prefix, create)).await
}

/// A setting of a topic, as Kafka tells it.
pub(crate) async fn setting(kafka: &Kafka, topic: &str, name: &str) -> Result<String> {
    let admin: AdminClient<DefaultClientContext> = kafka.client(Access::Plaintext).create()?;
    let asked = [ResourceSpecifier::Topic(topic)];
    let mut told = admin.describe_configs(&asked, &AdminOptions::new()).await?;
    let resource = told.pop().context("no answer")?;
    let resource = resource.map_err(|code| anyhow::anyhow!("{code}"))?;
    let entry = resource.get(name).context("no such setting")?;
    Ok(entry.value.clone().unwrap_or_default())
}

#[tokio::test]
async fn missing_topics_are_created_with_their_settings() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let created = ensured(kafka, "made", true).await?;
    assert_eq!((created.retry_buckets, created.lanes_partitions), (32, 32));
    let week = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(created.retry_retention, Some(week));
    assert_eq!(created.largest_record_bytes, SOURCE_LIMIT_BYTES + 65_536);
    for (topic, name, value) in [
        ("made.retry", "cleanup.policy", "delete"),
        ("made.lanes", "cleanup.policy", "compact,delete"),
        ("made.lanes", "retention.ms", "2592000000"),
        ("made.reports", "retention.ms", "2592000000"),
        ("made.reports", "message.timestamp.type", "LogAppendTime"),
        (
            "made.dead-letter",
            "message.timestamp.type",
            "LogAppendTime",
        ),
        (
            "made.dead-letter",
            "unclean.leader.election.enable",
            "false",
        ),
        ("made.dead-letter", "max.message.bytes", "1114124"),
    ] {
        assert_eq!(setting(kafka, topic, name).await?, value, "{topic} {name}");
    }
    assert_eq!(kafka.partitions("made.reports").await?.len(), 1);
    // They are as they must be: the next worker changes nothing and finds nothing wrong.
    assert_eq!(ensured(kafka, "made", false).await?, created);
    Ok(())
}

#[tokio::test]
async fn missing_topics_are_told_all_at_once_with_their_settings() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let refused = ensured(kafka, "absent", false).await.unwrap_err();
    let refused = refused.to_string();
    for topic in ["retry", "lanes", "reports", "dead-letter"] {
        let begin = format!("topic absent.{topic} does not exist; create it with ");
        assert!(refused.contains(&begin), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_setting_is_refused_by_its_name() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let created = ensured(kafka, "wrong", true).await?;
    let good = [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.bytes", "-1"),
        ("unclean.leader.election.enable", "false"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "2592000000"),
        ("max.message.bytes", "1114124"),
        ("min.insync.replicas", "1"),
    ];
    for (name, value) in [
        ("message.timestamp.type", "CreateTime"),
        ("retention.bytes", "1000000"),
        ("unclean.leader.election.enable", "true"),
        ("cleanup.policy", "delete"),
        ("retention.ms", "60000"),
        ("max.message.bytes", "1000000"),
    ] {
        let but_one = good.map(|(known, good)| (known, if known == name { value } else { good }));
        kafka.configure_topic("wrong.lanes", &but_one).await?;
        let told = format!("topic wrong.lanes: {name} is {value} and must be ");
        // The broker that is asked hears of a change a moment after it was made.
        eventually("the refusal", SOON, async || {
            match ensured(kafka, "wrong", true).await {
                Err(TopicsError::Violations(all)) if all.0.len() == 1 => {
                    ensure!(all.to_string().contains(&told), "{all}");
                    Ok(())
                }
                other => anyhow::bail!("{other:?}"),
            }
        })
        .await?;
    }
    kafka.configure_topic("wrong.lanes", &good).await?;
    eventually("topics as they must be", SOON, async || {
        ensure!(ensured(kafka, "wrong", false).await? == created);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_first_worker_of_a_group_claims_it() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let made = ensured(kafka, "claimed", true).await?;
    let client = client(kafka);
    let claim = async |group: &'static str, installation: &'static str, internal: &Internal| {
        let (client, internal) = (client.clone(), internal.clone());
        tokio::task::spawn_blocking(move || {
            let names = Names::new("claimed");
            topics::claim(&client, &names, (group, installation), &internal)
        })
        .await
    };
    assert_eq!(claim("claimed.a", "one", &made).await??, made);
    assert_eq!(claim("claimed.a", "one", &made).await??, made);
    let refused = claim("claimed.a", "two", &made).await?.unwrap_err();
    assert!(matches!(refused, TopicsError::Claimed { .. }), "{refused}");
    assert_eq!(claim("claimed.b", "two", &made).await??, made);

    kafka.add_partitions("claimed.retry", 40).await?;
    let grown = ensured(kafka, "claimed", false).await?;
    assert_eq!(grown.retry_buckets, 40);
    assert_eq!(claim("claimed.a", "one", &grown).await??, made);
    Ok(())
}

/// Nobody is the first: each makes what the others have not made yet.
#[tokio::test]
async fn workers_that_begin_at_once_on_a_new_cluster_all_get_their_topics() -> Result<()> {
    let kafka = Kafka::cluster(3).await?;
    for round in 0..8 {
        let prefix = format!("at-once-{round}");
        let begun = (0..4).map(|_| ensured(&kafka, &prefix, true));
        for worker in futures::future::join_all(begun).await {
            worker.with_context(|| prefix.clone())?;
        }
    }
    Ok(())
}
