//! How soon `kubectl` tells that a webhook is broken.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::{
    api::events::v1::Event as Told,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, api::ListParams};
use parcelhook_env::{
    clock, eventually,
    kafka::Event,
    receiver::{Answer, Receiver},
};

use super::release::Release;
use crate::{manifest::Manifest, site::SOON};

/// From the end of the first failed attempt to the status that says DOWN.
const PROMISED: SignedDuration = SignedDuration::from_secs(2);

/// Targets that break one after the other, until one is told in time: the machine may be busy with other
/// things for a while, and not each time.
const TRIES: usize = 5;

/// When an Event says that a target went DOWN. It is told after the status was written.
pub(super) async fn told_down(release: &Release, target: &str) -> Result<Timestamp> {
    let namespace = &release.home.namespace;
    let events: Api<Told> = Api::namespaced(release.home.client()?, namespace);
    let reason = ListParams::default().fields("reason=TargetDown");
    eventually("the Event", SOON, async || {
        let all = events.list(&reason).await?.items.into_iter();
        let mut of_target = all.filter(|event| {
            let regarding = event.regarding.as_ref();
            regarding.and_then(|object| object.name.as_deref()) == Some(target)
        });
        let event = of_target.next().context("not told")?;
        Ok(event.event_time.context("an Event without a time")?.0)
    })
    .await
}

#[tokio::test]
async fn a_webhook_that_breaks_is_down_within_two_seconds_of_the_failed_attempt() -> Result<()> {
    let release = Release::new("soon").await?;
    let _operator = release.operator().await?;
    let worker = release.worker().await?.start().await?;
    let mut delays = Vec::new();
    for number in 0..TRIES {
        let topic = release.kafka.create_topic("soon", 1, &[]).await?;
        let name = format!("hook-{number}");
        let receiver = Receiver::start()?;
        let target = Manifest::new(&name, &topic, &receiver.url("/"));
        release.apply(&target).await?;
        release.shows(&name, "Ready", "True Ready").await?;
        release.kafka.produce(&topic, [Event::new("1")]).await?;
        release.shows(&name, "/status/state", "UP").await?;
        receiver.answer(Answer::status(503)?);
        let before = receiver.count();
        release.kafka.produce(&topic, [Event::new("2")]).await?;
        let requests = receiver.arrived(before + 1, SOON).await?;
        let told = told_down(&release, &name).await?;
        let ago: Duration = clock::now() - requests[before].at;
        let failed = Timestamp::now() - SignedDuration::try_from(ago)?;
        let delay = told.duration_since(failed);
        if delay <= PROMISED {
            assert!(worker.stop(SOON).await?.success());
            return Ok(());
        }
        delays.push(delay);
    }
    bail!("told only after {delays:?}")
}
