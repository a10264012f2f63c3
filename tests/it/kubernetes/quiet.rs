//! An operator with nothing to do writes nothing, and one with something to do writes little.
//!
//! The Lease is renewed all the time, and is what tells that time passes here.
//! `PARCELHOOK_QUIET_SECONDS=60` listens for longer.

use std::env;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{ListParams, PostParams};
use parcelhook_env::{
    eventually,
    kafka::Event,
    kubernetes::{Counts, Proxy, Verb},
    receiver::{Answer, Receiver},
};

use serde_json::Value;

use super::release::Release;
use crate::{manifest::Manifest, site::SOON};

/// Targets that have nothing to do.
const TARGETS: usize = 1_000;

/// Targets that are made at once.
const AT_ONCE: usize = 8;

/// Seconds between two renewals of a Lease.
const RENEWAL: u64 = 2;

/// Seconds to listen for: some more than between two looks at all targets.
const SECONDS: u64 = 12;

/// No waiting for a turn to write a status.
const AT_FULL_SPEED: [&str; 4] = ["--status-rate", "1000", "--status-burst", "10000"];

/// What an operator writes, but for the Lease, while it renews that for some seconds.
async fn written_meanwhile(proxy: &Proxy) -> Result<Counts> {
    let seconds = match env::var("PARCELHOOK_QUIET_SECONDS") {
        Ok(seconds) => seconds.parse().context("PARCELHOOK_QUIET_SECONDS")?,
        Err(_) => SECONDS,
    };
    proxy.take_counts();
    let renewed = (Verb::Update, "leases.coordination.k8s.io".to_owned());
    let within = SOON + std::time::Duration::from_secs(2 * seconds);
    eventually("renewals of the Lease", within, async || {
        let renewals = proxy.counts().get(&renewed).copied().unwrap_or_default();
        ensure!(renewals >= seconds / RENEWAL, "{renewals}");
        Ok(())
    })
    .await?;
    let mut written = proxy.take_counts();
    written.retain(|(verb, resource), _| verb.writes() && !resource.starts_with("leases"));
    Ok(written)
}

/// Makes targets of a topic until there are enough of them.
async fn make(release: &Release, topic: &str) -> Result<()> {
    stream::iter(0..TARGETS)
        .map(|number| async move {
            let name = format!("target-{number}");
            let target = Manifest::new(&name, topic, "http://127.0.0.9:9/");
            let target = serde_json::from_str(&target.text())?;
            let params = PostParams::default();
            release.targets.create(&params, &target).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Whether a target runs, and nothing was ever sent to it.
fn is_settled(target: &Value) -> bool {
    let conditions = target["status"]["conditions"].as_array();
    let has = |kind: &str, reason: &str| {
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|one| one["type"] == kind && one["reason"] == reason)
    };
    has("Ready", "Ready") && has("Available", "NoTraffic")
}

#[tokio::test]
async fn nothing_is_written_about_a_thousand_targets_without_news() -> Result<()> {
    let release = Release::new("quiet").await?;
    let topic = release.kafka.create_topic("quiet", 1, &[]).await?;
    make(&release, &topic).await?;
    let proxy = release.home.api.proxy()?;
    let _operator = release.operator_through(&proxy, &AT_FULL_SPEED).await?;
    let worker = release.worker().await?.start().await?;
    eventually("a thousand statuses", 3 * SOON, async || {
        let patched = (
            Verb::Patch,
            "deliverytargets.parcelhook.dev/status".to_owned(),
        );
        let written = proxy.counts().get(&patched).copied().unwrap_or_default();
        ensure!(written >= TARGETS as u64, "{written}");
        let list = release.targets.list(&ListParams::default()).await?;
        let settled = list.items.iter().filter(|target| is_settled(&target.data));
        let settled = settled.count();
        ensure!(settled == TARGETS, "{settled} of {TARGETS}");
        Ok(())
    })
    .await?;
    assert_eq!(written_meanwhile(&proxy).await?, Counts::default());
    assert!(worker.stop(SOON).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_fails_again_and_again_is_written_about_once() -> Result<()> {
    let release = Release::new("noisy").await?;
    let topic = release.kafka.create_topic("noisy", 1, &[]).await?;
    let receiver = Receiver::start()?;
    receiver.answer(Answer::status(503)?);
    release
        .apply(&Manifest::new("hook", &topic, &receiver.url("/")))
        .await?;
    let proxy = release.home.api.proxy()?;
    let _operator = release.operator_through(&proxy, &[]).await?;
    let worker = release.worker().await?.start().await?;
    release.kafka.produce(&topic, [Event::new("1")]).await?;
    release
        .shows("hook", "Available", "False HTTPStatus")
        .await?;
    release.shows("hook", "Ready", "True Ready").await?;
    let before = receiver.count();
    let written = written_meanwhile(&proxy).await?;
    let attempts = receiver.count() - before;
    assert!(attempts > 4, "{attempts} attempts");
    // Numbers are refreshed once a minute, and the Event of the flip may just be on its way.
    let statuses = (
        Verb::Patch,
        "deliverytargets.parcelhook.dev/status".to_owned(),
    );
    assert!(written.values().sum::<u64>() <= 2, "{written:?}");
    assert!(
        written.get(&statuses).is_none_or(|writes| *writes == 1),
        "{written:?}"
    );
    assert!(worker.stop(SOON).await?.success());
    Ok(())
}
