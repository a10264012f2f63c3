//! From `kubectl apply` to a delivery, and back to `kubectl get`.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use parcelhook_env::{
    check::Expected, directories, eventually, kafka::Event, kubernetes::Action, receiver::Receiver,
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
    async fn begin(purpose: &str) -> Result<Self> {
        let release = Release::new(purpose).await?;
        let topic = release.kafka.create_topic(purpose, 1, &[]).await?;
        let story = Self {
            release,
            topic,
            receiver: Receiver::start()?,
            expected: Expected::default(),
        };
        story.sends_to(&story.receiver).await?;
        Ok(story)
    }

    /// Applies the one target.
    async fn sends_to(&self, receiver: &Receiver) -> Result<()> {
        let target = Manifest::new("hook", &self.topic, &receiver.url("/"));
        self.release.apply(&target).await
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
}

#[tokio::test]
async fn deliveries_go_on_while_the_api_server_refuses_breaks_off_and_is_away() -> Result<()> {
    let mut story = Story::begin("away").await?;
    let _operator = story.release.operator().await?;
    let proxy = story.release.home.api.proxy()?;
    let mut refusals = [429, 403, 410, 503].into_iter();
    proxy.on_call(move |_| {
        let refusal = refusals.next().map(StatusCode::from_u16);
        match refusal {
            Some(Ok(status)) => Action::Fail(status),
            Some(Err(_)) | None => Action::Cut(Duration::from_secs(1)),
        }
    });
    let kept = directories::fresh("kept")?;
    let settings = story.release.worker_through(&proxy).await?;
    let settings = settings.flag("--snapshot-dir", &kept);
    let worker = settings.clone().start().await?;
    story.produce().await?;
    story.delivered().await?;

    proxy.on_call(|_| Action::Lose);
    proxy.cut_watches();
    story.produce().await?;
    story.delivered().await?;
    assert!(worker.stop(SOON).await?.success());
    let worker = settings.start().await?;
    story.produce().await?;
    story.delivered().await?;

    proxy.pass();
    let other = Receiver::start()?;
    story.sends_to(&other).await?;
    let page = format!("/targets/{}/hook", story.release.home.namespace);
    eventually("the worker's change of mind", SOON, async || {
        let shown = worker.page(&page).await?;
        ensure!(shown.contains(&other.url("/")), "{shown}");
        Ok(())
    })
    .await?;
    story.produce().await?;
    other.arrived(1, SOON).await?;
    Ok(())
}
