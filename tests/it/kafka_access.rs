//! A worker that reaches Kafka by TLS and with a password, and one whose password is wrong.

use anyhow::{Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually, fetch,
    kafka::{Access, Mechanism, PASSWORD, USER},
    receiver::Receiver,
    worker::Settings,
};

use crate::{
    manifest::Manifest,
    site::{PARTITIONS, SOON, Site, some_events},
};

/// A worker that speaks TLS and shows a password from a file.
fn with_password(site: &Site<'_>, mechanism: Mechanism, password: &str) -> Result<Settings> {
    let file = site.file("password", &format!("{password}\n"))?;
    Ok(site
        .worker_by(Access::SaslTls(mechanism))
        .flag("--kafka-tls-ca", &site.kafka.files().ca)
        .flag("--kafka-sasl-mechanism", mechanism.name())
        .flag("--kafka-sasl-username", USER)
        .flag("--kafka-sasl-password-file", file))
}

/// Whether this worker delivers what is produced now.
async fn delivers(site: &Site<'_>, settings: Settings) -> Result<()> {
    let topic = site.topic(PARTITIONS).await?;
    let receiver = Receiver::start()?;
    site.put(&Manifest::new("far", &topic, &receiver.url("/")))?;
    let worker = settings.start().await?;
    let produced = site.kafka.produce(&topic, some_events(100)).await?;
    let mut expected = Expected::default();
    expected.add_produced(&topic, &produced);
    eventually("all events once", SOON, async || {
        expected.compare(&receiver.accepted()?).kept_exactly_once()
    })
    .await?;
    let status = worker.stop(SOON).await?;
    assert_eq!(status.code(), Some(0));
    assert_eq!(site.committed(&topic).await?, 100);
    let output = worker.output()?;
    assert!(!output.contains(PASSWORD), "{output}");
    Ok(())
}

#[tokio::test]
async fn events_flow_over_tls_with_a_scram_password() -> Result<()> {
    let site = Site::new("scram").await?;
    delivers(
        &site,
        with_password(&site, Mechanism::ScramSha512, PASSWORD)?,
    )
    .await
}

#[tokio::test]
async fn events_flow_over_tls_with_a_client_certificate() -> Result<()> {
    let site = Site::new("certificate").await?;
    let files = site.kafka.files();
    let settings = site
        .worker_by(Access::MutualTls)
        .flag("--kafka-tls-ca", &files.ca)
        .flag("--kafka-tls-certificate", &files.client.certificate)
        .flag("--kafka-tls-key", &files.client.key);
    delivers(&site, settings).await
}

#[tokio::test]
async fn a_wrong_password_is_told_without_itself_and_the_worker_keeps_trying() -> Result<()> {
    let site = Site::new("wrong-password").await?;
    let wrong = "curiouser-and-curiouser";
    let worker = with_password(&site, Mechanism::ScramSha256, wrong)?
        .listen()
        .await?;
    let line = worker.process().says("Authentication failed", SOON).await?;
    assert!(
        line.contains("WARN") && line.contains("invalid credentials"),
        "{line}"
    );
    let ready = fetch::get(worker.admin(), "/readyz").await?;
    assert_eq!(ready.status, http::StatusCode::SERVICE_UNAVAILABLE);
    ensure!(worker.process().exit_status()?.is_none(), "it ended");
    let status = worker.stop(SOON).await?;
    assert_eq!(status.code(), Some(0), "{}", worker.process().tail());
    let output = worker.output()?;
    assert!(!output.contains(wrong), "{output}");
    Ok(())
}
