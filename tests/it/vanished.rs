//! Manifests that are not there when a worker starts: the group remembers their targets, so no event of
//! theirs is read past.

use anyhow::{Result, ensure};
use parcelhook_env::{check::Expected, eventually, kafka::Produced, receiver::Receiver};

use crate::{
    manifest::Manifest,
    site::{PARTITIONS, SOON, Site, some_events},
    told::shows,
};

/// A topic that two targets read, whose worker was killed when it had delivered and committed everything.
struct Scene {
    site: Site<'static>,
    topic: String,
    receiver: Receiver,
    manifest: Manifest,
    produced: Produced,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let site = Site::new(name).await?;
        let topic = site.topic(PARTITIONS).await?;
        let receiver = Receiver::start()?;
        let manifest = Manifest::new("orders", &topic, &receiver.url("/orders"));
        site.put(&manifest)?;
        site.put(&Manifest::new("other", &topic, &receiver.url("/other")))?;
        let scene = Self {
            produced: site.kafka.produce(&topic, some_events(50)).await?,
            site,
            topic,
            receiver,
            manifest,
        };
        let worker = scene.site.worker().start().await?;
        scene.got("/orders").await?;
        scene.all_committed().await?;
        worker.process().kill()?;
        Ok(scene)
    }

    async fn produce(&mut self) -> Result<()> {
        let later = self
            .site
            .kafka
            .produce(&self.topic, some_events(50))
            .await?;
        self.produced.extend(later);
        Ok(())
    }

    async fn all_committed(&self) -> Result<()> {
        let ends = self.site.kafka.ends(&self.topic).await?;
        let end: i64 = ends.into_values().sum();
        eventually("all events committed", SOON, async || {
            let committed = self.site.committed(&self.topic).await?;
            ensure!(committed == end, "{committed} of {end}");
            Ok(())
        })
        .await
    }

    /// Waits until every event came there, in order.
    async fn got(&self, path: &str) -> Result<()> {
        let mut expected = Expected::default();
        expected.add_produced(&self.topic, &self.produced);
        eventually("every event", SOON, async || {
            expected.compare(&self.receiver.accepted_at(path)?).kept()
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_manifest_that_vanishes_while_no_worker_runs_costs_its_target_no_event() -> Result<()> {
    let mut scene = Scene::new("vanished").await?;
    scene.site.remove(&scene.manifest.file())?;
    scene.produce().await?;
    let worker = scene.site.worker().start().await?;
    scene.got("/other").await?;
    scene.all_committed().await?;
    shows(&worker, "orders", "/state", "SUSPENDED").await?;

    // Nor does another start make the worker forget.
    worker.process().kill()?;
    scene.produce().await?;
    let worker = scene.site.worker().start().await?;
    scene.all_committed().await?;
    scene.site.put(&scene.manifest)?;
    scene.got("/orders").await?;
    shows(&worker, "orders", "/state", "UP").await?;
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_at_a_start_costs_its_target_no_event() -> Result<()> {
    let mut scene = Scene::new("unreadable").await?;
    scene.site.write(&scene.manifest.file(), "spec: {")?;
    scene.produce().await?;
    let _worker = scene.site.worker().start().await?;
    scene.got("/other").await?;
    scene.all_committed().await?;
    scene.site.put(&scene.manifest)?;
    scene.got("/orders").await
}
