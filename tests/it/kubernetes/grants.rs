//! Grants that change while the operator runs: what is taken back is suspended and kept.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use parcelhook_env::{
    check::Expected, directories, eventually, kafka::Event, process::Process, receiver::Receiver,
};

use super::release::Release;
use crate::{manifest::Manifest, site::SOON};

/// Events of one step.
const EVENTS: usize = 20;

/// The grants file of an operator.
struct Grants(PathBuf);

impl Grants {
    fn new() -> Result<Self> {
        Ok(Self(directories::fresh("grants")?.join("grants.yaml")))
    }

    /// Puts this in its place at once, as a kubelet does.
    fn say(&self, text: &str) -> Result<()> {
        let written = self.0.with_extension("new");
        fs::write(&written, text)?;
        Ok(fs::rename(&written, &self.0)?)
    }

    async fn operator(&self, release: &Release) -> Result<Process> {
        let file = self.0.display().to_string();
        release.operator_with(&["--grants", &file]).await
    }
}

/// Waits until the target's state and the reason of `Accepted` are these.
async fn shows(release: &Release, state: &str, accepted: &str) -> Result<()> {
    let reason = r#".status.conditions[?(@.type=="Accepted")].reason"#;
    eventually(&format!("{state}, {accepted}"), SOON, async || {
        let shown = [
            release.field("hook", ".status.state").await?,
            release.field("hook", reason).await?,
        ];
        ensure!(shown == [state, accepted], "{shown:?}");
        Ok(())
    })
    .await
}

async fn produce(release: &Release, topic: &str, expected: &mut Expected) -> Result<()> {
    let events = (0..EVENTS).map(|n| Event::new(format!("{{\"n\":{n}}}")));
    let produced = release.kafka.produce(topic, events).await?;
    expected.add_produced(topic, &produced);
    Ok(())
}

/// Waits until everything has come, each event once and in order.
async fn delivered(receiver: &Receiver, expected: &Expected) -> Result<()> {
    eventually("every event once and in order", SOON, async || {
        expected.compare(&receiver.accepted()?).kept_exactly_once()
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn a_grant_that_is_taken_back_suspends_without_a_restart_and_loses_nothing() -> Result<()> {
    let release = Release::new("grants").await?;
    let topic = release.kafka.create_topic("granted", 1, &[]).await?;
    let all = format!(
        "grants:\n- {{namespaces: ['{}'], topics: ['{topic}']}}\n",
        release.home.namespace
    );
    let grants = Grants::new()?;
    grants.say(&all)?;
    let operator = grants.operator(&release).await?;
    let receiver = Receiver::start()?;
    let target = Manifest::new("hook", &topic, &receiver.url("/"));
    release.apply(&target).await?;
    let worker = release.worker().await?.start().await?;
    let mut expected = Expected::default();
    produce(&release, &topic, &mut expected).await?;
    delivered(&receiver, &expected).await?;
    shows(&release, "UP", "Accepted").await?;
    let sent = receiver.accepted()?.len();

    grants.say("grants: []\n")?;
    shows(&release, "SUSPENDED", "TopicNotAllowed").await?;
    // The status says what is wanted, which may be a moment before the worker has it.
    let page = format!("/targets/{}/hook", release.home.namespace);
    eventually("the worker keeps events", SOON, async || {
        let told = worker.page(&page).await?;
        ensure!(told.contains("SUSPENDED"), "{told}");
        Ok(())
    })
    .await?;
    produce(&release, &topic, &mut expected).await?;
    eventually("events that are kept", SOON, async || {
        let parked = worker.metrics().await?;
        let parked = parked.sum("parcelhook_target_parked_events", &[("target", "hook")]);
        ensure!(parked == Some(EVENTS as f64), "{parked:?}");
        Ok(())
    })
    .await?;
    assert_eq!(receiver.accepted()?.len(), sent, "nothing more was sent");

    // A file with a typing error changes nothing.
    grants.say("grant: []\n")?;
    operator
        .says("the grants that held before go on", SOON)
        .await?;
    grants.say(&all)?;
    shows(&release, "UP", "Accepted").await?;
    delivered(&receiver, &expected).await
}
