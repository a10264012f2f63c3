//! Parked events that are gone from the retry topic: the lane stops, and a person gives them up.

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::Event,
    process::Process,
    receiver::{Answer, Receiver},
    worker::Worker,
};
use serde_json::json;

use super::release::Release;
use crate::{manifest::Manifest, site::SOON};

const HOOK: &str = "hook";

/// One target on one partition, with retry topics that are no other test's.
struct Site {
    release: Release,
    prefix: String,
    topic: String,
    receiver: Receiver,
    _operator: Process,
}

impl Site {
    async fn new(purpose: &str) -> Result<Self> {
        let release = Release::new(purpose).await?;
        let prefix = release.home.namespace.clone();
        let topic = release.kafka.create_topic(purpose, 1, &[]).await?;
        let receiver = Receiver::start()?;
        let retry = json!({"initialBackoff": "100ms", "maxBackoff": "1s"});
        let target = Manifest::new(HOOK, &topic, &receiver.url("/")).with("retry", retry);
        release.apply(&target).await?;
        Ok(Self {
            _operator: release.operator_with(&["--prefix", &prefix]).await?,
            release,
            prefix,
            topic,
            receiver,
        })
    }

    async fn worker(&self) -> Result<Worker> {
        let settings = self.release.worker().await?;
        settings.flag("--prefix", &self.prefix).start().await
    }

    /// Produces an event and waits until it is delivered, or parked.
    async fn produce(&self, offset: i64) -> Result<()> {
        let kafka = self.release.kafka;
        let event = Event::new(offset.to_string());
        kafka.produce(&self.topic, [event]).await?;
        eventually("its commit", SOON, async || {
            let group = format!("{}.{}.default", self.prefix, self.release.own);
            let committed = kafka.committed(&group, &self.topic).await?;
            ensure!(committed[&0] == Some(offset + 1), "{committed:?}");
            Ok(())
        })
        .await
    }

    /// The retry topic loses one of its records: the others are written again, and all before them deleted.
    async fn lose(&self, lost: usize) -> Result<()> {
        let (kafka, retry) = (self.release.kafka, format!("{}.retry", self.prefix));
        let mut parked = kafka.read(&retry).await?;
        let last = parked.last().context("nothing is parked")?;
        let (bucket, end) = (last.partition, last.offset + 1);
        parked.remove(lost);
        let left = parked.into_iter().map(|read| read.event);
        kafka.produce(&retry, left).await?;
        kafka.delete_records(&retry, bucket, end).await
    }

    /// So many events are parked, each in a record of its own; then one of these, not the first, is lost.
    /// Returns the worker that has found out, delivered what came before, and parks what comes.
    async fn parked_without(&self, events: i64, lost: usize) -> Result<Worker> {
        self.receiver.answer(Answer::status(503)?);
        let worker = self.worker().await?;
        self.release.shows(HOOK, "Ready", "True Ready").await?;
        for offset in 0..events {
            self.produce(offset).await?;
        }
        self.row_tells(events - 1).await?;
        worker.kill().await?;
        self.lose(lost).await?;
        self.receiver.answer(Answer::ok());
        let worker = self.worker().await?;
        worker.process().says("lane has stopped", SOON).await?;
        let before: Vec<i64> = (0..).take(lost).collect();
        self.delivered(&before).await?;
        self.produce(events).await?;
        self.delivered(&before).await?;
        Ok(worker)
    }

    /// Waits until the lane's row says that everything up to an offset is parked.
    async fn row_tells(&self, offset: i64) -> Result<()> {
        let lanes = format!("{}.lanes", self.prefix);
        let told = format!("\"parkedThrough\":{offset}");
        eventually(&told, SOON, async || {
            let rows = self.release.kafka.read(&lanes).await?.into_iter();
            let mut rows = rows.filter_map(|row| String::from_utf8(row.event.value?).ok());
            ensure!(rows.any(|row| row.contains(&told)), "no such row");
            Ok(())
        })
        .await
    }

    async fn skip_to(&self, offset: i64) -> Result<()> {
        let skip = format!("parcelhook.dev/skip-to={}/0/{offset}", self.topic);
        let annotate = ["annotate", "deliverytarget", HOOK, &skip];
        self.release.home.kubectl(&annotate).await?;
        Ok(())
    }

    /// Waits until these events have been delivered, once, in order, and no other.
    async fn delivered(&self, offsets: &[i64]) -> Result<()> {
        let mut expected = Expected::default();
        expected.add(&self.topic, 0, offsets.iter().copied());
        eventually("what is left, once and in order", SOON, async || {
            let verdict = expected.compare(&self.receiver.accepted()?);
            verdict.kept_exactly_once()
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_lane_that_lacks_its_next_event_stops_until_a_person_skips_it() -> Result<()> {
    let site = Site::new("skipping").await?;
    let worker = site.parked_without(3, 1).await?;
    let shown = worker.targets().await?["targets"][0].clone();
    assert_eq!(shown["reason"], "LaneStopped", "{shown}");

    site.skip_to(1).await?;
    site.delivered(&[0, 2, 3]).await?;
    let told = "a person gave up the lane's events up to an offset";
    worker.process().says(told, SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_lane_that_lacks_its_last_event_stops_too() -> Result<()> {
    let site = Site::new("skipping-last").await?;
    let _worker = site.parked_without(2, 1).await?;
    site.skip_to(1).await?;
    site.delivered(&[0, 2]).await
}
