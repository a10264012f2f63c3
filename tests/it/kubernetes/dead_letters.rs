//! Events that are given up are told by a Kubernetes Event.

use std::time::Duration;

use anyhow::{Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::Event,
    receiver::{Answer, Receiver},
};
use serde_json::json;

use super::release::Release;
use crate::manifest::Manifest;

/// Longer than a minute, the shortest time for which events can be kept, and all that follows it.
const EXPIRED: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_dead_letter_is_told_by_an_event_of_its_target() -> Result<()> {
    let release = Release::new("letters").await?;
    let topic = release.kafka.create_topic("given-up", 1, &[]).await?;
    let receiver = Receiver::start()?;
    receiver.answer(Answer::status(503)?);
    let target = Manifest::new("hook", &topic, &receiver.url("/"));
    release
        .apply(&target.with("retry/maxAge", json!("1m")))
        .await?;
    let _operator = release.operator().await?;
    let _worker = release.worker().await?.start().await?;
    let events = (0..5).map(|n| Event::new(format!("{{\"n\":{n}}}")));
    release.kafka.produce(&topic, events).await?;

    let which = "--field-selector=reason=EventDeadLettered,involvedObject.name=hook";
    let shown = "-o=jsonpath={range .items[*]}{.type} {.message}{end}";
    eventually("the Event", EXPIRED, async || {
        let told = release
            .home
            .kubectl(&["get", "events", which, shown])
            .await?;
        // One, however many were given up.
        ensure!(told.matches("Warning").count() == 1, "{told:?}");
        ensure!(told.contains("dead-letter topic: Expired."), "{told:?}");
        Ok(())
    })
    .await
}
