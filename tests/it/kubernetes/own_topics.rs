//! Parcelhook's own topics: made by the operator, and told about when their settings lose events.

use std::fs;

use anyhow::{Result, ensure};
use parcelhook_env::{
    directories, eventually,
    kafka::{Access, Kafka, Mechanism, PASSWORD, USER},
    process::Process,
};

use super::release::Release;
use crate::{manifest::Manifest, parking_topics::setting, site::SOON};

/// Too short for what waits in the retry topic.
const AN_HOUR: (&str, &str) = ("retention.ms", "3600000");

/// What a condition says: reason and message; empty when it is not there.
async fn condition(release: &Release, target: &str, kind: &str) -> Result<String> {
    let one = format!(r#".status.conditions[?(@.type=="{kind}")]"#);
    let field = async |name: &str| release.field(target, &format!("{one}.{name}")).await;
    let said = [field("reason").await?, field("message").await?].join(" ");
    Ok(said.trim().to_owned())
}

/// Waits until a condition's reason and message contain this, or until it is not there.
async fn says(release: &Release, kind: &str, wanted: &str) -> Result<()> {
    eventually(&format!("{kind} {wanted:?}"), SOON, async || {
        let said = condition(release, "hook", kind).await?;
        let fits = !wanted.is_empty() && said.contains(wanted);
        ensure!(fits || said == wanted, "{said:?}");
        Ok(())
    })
    .await
}

/// Waits until the operator has made its topics.
async fn made(kafka: &Kafka, prefix: &str) -> Result<()> {
    for (topic, partitions) in [
        ("retry", 32),
        ("lanes", 32),
        ("reports", 1),
        ("dead-letter", 32),
    ] {
        let name = format!("{prefix}.{topic}");
        eventually(&name, SOON, async || {
            let made = kafka.partitions(&name).await?.len();
            ensure!(made == partitions, "{made} partitions");
            Ok(())
        })
        .await?;
    }
    let kind = setting(kafka, &format!("{prefix}.retry"), "message.timestamp.type").await?;
    assert_eq!(kind, "LogAppendTime");
    Ok(())
}

/// Starts an operator whose topics are no other test's.
async fn operator(release: &Release, prefix: &str) -> Result<Process> {
    release.operator_with(&["--prefix", prefix]).await
}

#[tokio::test]
async fn a_setting_that_loses_events_is_told_until_it_is_repaired_and_no_one_restarts() -> Result<()>
{
    let release = Release::new("own-topics").await?;
    let prefix = release.home.namespace.clone();
    let operator = operator(&release, &prefix).await?;
    made(release.kafka, &prefix).await?;
    let topic = release.kafka.create_topic("hooked", 1, &[]).await?;
    let target = Manifest::new("hook", &topic, "http://127.0.0.1:1/");
    release.apply(&target).await?;
    let worker = release.worker().await?.flag("--prefix", &prefix);
    let _worker = worker.start().await?;
    says(&release, "Programmed", "Programmed").await?;
    assert_eq!(condition(&release, "hook", "DataAtRisk").await?, "");

    let retry = format!("{prefix}.retry");
    let wrong = format!("topic {retry}: retention.ms is 3600000 and must be 172800000 or more");
    let story = async {
        says(&release, "DataAtRisk", "TopicsUnusable").await?;
        says(&release, "DataAtRisk", &wrong).await?;
        says(&release, "Programmed", "Programmed").await?;
        operator.says(&wrong, SOON).await?;
        Ok(())
    };
    release.kafka.with_property(&retry, AN_HOUR, story).await?;
    says(&release, "DataAtRisk", "").await?;
    operator
        .says("own topics are as they must be", SOON)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_target_that_waits_for_a_worker_says_which_topic_keeps_it_from_starting() -> Result<()> {
    let release = Release::new("no-topics").await?;
    let prefix = release.home.namespace.clone();
    let retry = format!("{prefix}.retry");
    release
        .kafka
        .create_topic_named(&retry, 32, &[AN_HOUR])
        .await?;
    let _operator = operator(&release, &prefix).await?;
    let target = Manifest::new("hook", "nothing-here", "http://127.0.0.1:1/");
    release.apply(&target).await?;
    says(&release, "Programmed", "TopicsUnusable").await?;
    says(&release, "Ready", &format!("topic {retry}: ")).await?;

    release.kafka.delete_topic(&retry).await?;
    made(release.kafka, &prefix).await?;
    says(&release, "Programmed", "NoWorkers").await?;
    Ok(())
}

#[tokio::test]
async fn the_operator_reaches_kafka_by_tls_and_with_a_password_that_it_tells_nobody() -> Result<()>
{
    let release = Release::new("tls-topics").await?;
    let prefix = release.home.namespace.clone();
    let mechanism = Mechanism::ScramSha512;
    let file = directories::fresh("operator-password")?.join("password");
    fs::write(&file, format!("{PASSWORD}\n"))?;
    let (file, ca) = (
        file.display().to_string(),
        release.kafka.files().ca.display().to_string(),
    );
    let flags = [
        ["--prefix", &prefix],
        ["--kafka-tls-ca", &ca],
        ["--kafka-sasl-mechanism", mechanism.name()],
        ["--kafka-sasl-username", USER],
        ["--kafka-sasl-password-file", &file],
        ["--log-level", "debug"],
    ];
    let operator = release
        .operator_at(Access::SaslTls(mechanism), flags.as_flattened())
        .await?;
    made(release.kafka, &prefix).await?;
    operator
        .says("own topics are as they must be", SOON)
        .await?;
    let said = operator.stderr().text()?;
    assert!(!said.contains(PASSWORD), "{said}");
    Ok(())
}
