//! From `kubectl apply` to a delivery, and back to `kubectl get`.

use anyhow::{Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::Event,
    receiver::{Answer, Receiver},
};

use super::release::Release;
use crate::{manifest::Manifest, site::SOON};

/// Events of one step.
const EVENTS: usize = 50;

/// A topic, what was produced to it, and who is to have all of it.
struct Story {
    release: Release,
    topic: String,
    receiver: Receiver,
    expected: Expected,
}

impl Story {
    async fn begin() -> Result<Self> {
        let release = Release::new("delivered").await?;
        let topic = release.kafka.create_topic("delivered", 1, &[]).await?;
        let receiver = Receiver::start()?;
        let target = Manifest::new("hook", &topic, &receiver.url("/"));
        release.apply(&target).await?;
        Ok(Self {
            release,
            topic,
            receiver,
            expected: Expected::default(),
        })
    }

    async fn produce(&mut self) -> Result<()> {
        let events = (0..EVENTS).map(|n| Event::new(format!("{{\"n\":{n}}}")));
        let produced = self.release.kafka.produce(&self.topic, events).await?;
        self.expected.add_produced(&self.topic, &produced);
        Ok(())
    }

    /// Waits until everything has come, each event once and in order.
    async fn delivered(&self) -> Result<()> {
        eventually("every event once and in order", SOON, async || {
            let accepted = self.receiver.accepted()?;
            self.expected.compare(&accepted).kept_exactly_once()
        })
        .await?;
        Ok(())
    }

    /// Waits until `kubectl` shows this.
    async fn shows(&self, path: &str, wanted: &str) -> Result<()> {
        let what = format!("{path} {wanted}");
        eventually(&what, SOON, async || {
            let shown = self.release.field("hook", path).await?;
            ensure!(shown == wanted, "{shown:?}");
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn an_applied_target_delivers_and_kubectl_tells_how_its_webhook_fares() -> Result<()> {
    let mut story = Story::begin().await?;
    let _operator = story.release.operator().await?;
    let worker = story.release.worker().await?.start().await?;
    let ready = r#".status.conditions[?(@.type=="Ready")].status"#;
    story.shows(ready, "True").await?;
    story.produce().await?;
    story.delivered().await?;
    story.shows(".status.state", "UP").await?;

    story.receiver.answer(Answer::status(503)?);
    story.produce().await?;
    story.shows(".status.state", "DOWN").await?;
    story.shows(".status.reason", "HTTPStatus").await?;
    story.shows(".status.lastFailure.statusCode", "503").await?;

    story.receiver.answer(Answer::ok());
    story.delivered().await?;
    story.shows(".status.state", "UP").await?;
    assert!(worker.stop(SOON).await?.success());
    Ok(())
}
