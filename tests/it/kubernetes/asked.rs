//! What a person asks for by an annotation: it is done, and done once.

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::Event,
    process::Process,
    receiver::{Answer, Receiver},
    worker::Worker,
};
use serde_json::json;

use super::{published::Published, release::Release};
use crate::{manifest::Manifest, site::SOON};

const HOOK: &str = "hook";

/// One target, whose webhook is tried again only after minutes.
struct Asked {
    release: Release,
    topic: String,
    receiver: Receiver,
    expected: Expected,
    worker: Worker,
    _operator: Process,
}

impl Asked {
    async fn begin(purpose: &str) -> Result<Self> {
        let release = Release::new(purpose).await?;
        let topic = release.kafka.create_topic(purpose, 1, &[]).await?;
        let receiver = Receiver::start()?;
        let patient = json!({"initialBackoff": "300s", "maxBackoff": "512s"});
        let target = Manifest::new(HOOK, &topic, &receiver.url("/")).with("retry", patient);
        release.apply(&target).await?;
        let asked = Self {
            _operator: release.operator().await?,
            worker: release.worker().await?.start().await?,
            topic,
            receiver,
            expected: Expected::default(),
            release,
        };
        asked.shows("Ready", "True Ready").await?;
        Ok(asked)
    }

    /// Produces events that are to be delivered.
    async fn produce(&mut self, values: &[&str]) -> Result<()> {
        let events = values.iter().map(|value| Event::new(*value));
        let produced = self.release.kafka.produce(&self.topic, events).await?;
        self.expected.add_produced(&self.topic, &produced);
        Ok(())
    }

    async fn shows(&self, place: &str, wanted: &str) -> Result<()> {
        self.release.shows(HOOK, place, wanted).await
    }

    async fn annotate(&self, key: &str, value: &str) -> Result<()> {
        let annotation = format!("parcelhook.dev/{key}={value}");
        let annotate = [
            "annotate",
            "deliverytarget",
            HOOK,
            &annotation,
            "--overwrite",
        ];
        self.release.home.kubectl(&annotate).await?;
        Ok(())
    }

    async fn delivered(&self) -> Result<()> {
        eventually("every event once and in order", SOON, async || {
            let accepted = self.receiver.accepted()?;
            self.expected.compare(&accepted).kept_exactly_once()
        })
        .await?;
        Ok(())
    }

    /// Waits until the worker has given up what waited.
    async fn given_up(&self) -> Result<()> {
        self.worker
            .process()
            .says("its parked events are given up", SOON)
            .await?;
        eventually("no target", SOON, async || {
            let targets = self.worker.targets().await?["targets"].clone();
            ensure!(targets == json!([]), "{targets}");
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn what_waits_for_minutes_is_tried_at_once_when_somebody_asks_and_only_then() -> Result<()> {
    let mut asked = Asked::begin("retry-at").await?;
    asked.receiver.answer(Answer::status(503)?);
    asked.produce(&["1", "2", "3"]).await?;
    asked.shows("Available", "False HTTPStatus").await?;
    asked.receiver.answer(Answer::ok());
    asked.annotate("retry-at", "2026-01-31T12:00:00Z").await?;
    asked.delivered().await?;
    asked.shows("Available", "True Delivering").await?;

    // What was asked is still there to be read, and means nothing to a later failure.
    let failed = asked.receiver.count();
    asked.receiver.answer(Answer::status(503)?);
    asked.produce(&["4", "5"]).await?;
    asked.shows("Available", "False HTTPStatus").await?;
    asked.annotate("retry-at", "2026-01-31T12:00:01Z").await?;
    asked.receiver.arrived(failed + 2, SOON).await?;
    asked.receiver.answer(Answer::ok());
    asked.annotate("retry-at", "2026-01-31T12:00:02Z").await?;
    asked.delivered().await?;
    asked.shows("Available", "True Delivering").await?;
    let requests = asked.receiver.requests();
    let answers = requests[failed..].iter().map(|request| request.answered());
    let refusals = answers.filter(|answer| *answer == Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(
        refusals.count(),
        2,
        "one by itself, one for each that was asked"
    );
    Ok(())
}

#[tokio::test]
async fn a_lane_that_has_not_stopped_skips_nothing_whatever_somebody_asks() -> Result<()> {
    let mut asked = Asked::begin("skip-to").await?;
    asked.receiver.answer(Answer::status(503)?);
    asked.produce(&["1", "2", "3"]).await?;
    asked.shows("Available", "False HTTPStatus").await?;
    let place = format!("{}/0/1", asked.topic);
    asked.annotate("skip-to", &place).await?;
    let published = Published::of(&asked.release)?;
    eventually("the request among what workers read", SOON, async || {
        let manifest = published.manifest().await?.context("no manifest")?;
        let mut requests = manifest.requests.iter().map(|asked| &asked.request);
        let request = format!("skip-to={place}");
        ensure!(requests.any(|one| *one == request), "{manifest:?}");
        Ok(())
    })
    .await?;
    asked.receiver.answer(Answer::ok());
    // Whoever acts on this has seen that.
    asked.annotate("retry-at", "2026-01-31T12:00:00Z").await?;
    asked.delivered().await
}

#[tokio::test]
async fn a_target_that_is_to_end_ends_while_it_still_stands_there() -> Result<()> {
    let mut asked = Asked::begin("end").await?;
    asked.receiver.answer(Answer::status(503)?);
    asked.produce(&["1", "2", "3"]).await?;
    asked.shows("Available", "False HTTPStatus").await?;
    asked.annotate("delete", "true").await?;
    asked.given_up().await?;
    let target = asked.release.target(HOOK).await?;
    let metadata = target["metadata"].as_object().context("no metadata")?;
    assert!(!metadata.contains_key("deletionTimestamp"), "{target}");
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_deleted_while_its_webhook_is_down_is_given_up() -> Result<()> {
    let mut asked = Asked::begin("deleted").await?;
    asked.receiver.answer(Answer::status(503)?);
    asked.produce(&["1", "2", "3"]).await?;
    asked.shows("Available", "False HTTPStatus").await?;
    let delete = ["delete", "deliverytarget", HOOK];
    asked.release.home.kubectl(&delete).await?;
    asked.given_up().await
}
