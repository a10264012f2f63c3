//! From `kubectl apply` to a delivery, through all that may come between, and what `kubectl` shows at each
//! step.
//!
//! The texts stand in `snapshots/`; `INSTA_UPDATE=always cargo test -p parcelhook-tests --test it
//! kubernetes::` writes them anew.

use anyhow::{Context as _, Result, ensure};
use http::header::AUTHORIZATION;
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::Event,
    process::Process,
    receiver::{Answer, Gate, Receiver},
    worker::Worker,
};
use serde_json::json;

use super::{
    release::Release,
    shown::{self, Names},
    soon::told_down,
};
use crate::{manifest::Manifest, site::SOON};

/// Events of one step.
const EVENTS: usize = 50;

/// The one target.
const HOOK: &str = "hook";

/// What is produced, who is to have all of it, and what was shown so far.
struct Story {
    release: Release,
    topic: String,
    receiver: Receiver,
    expected: Expected,
    names: Names,
    shown: String,
}

impl Story {
    async fn begin() -> Result<Self> {
        let release = Release::new("story").await?;
        let topic = release.kafka.create_topic("story-events", 1, &[]).await?;
        let receiver = Receiver::start()?;
        let names = Names::of(&release)
            .with(&topic, "orders")
            .with(&receiver.url(""), "http://webhook.example");
        Ok(Self {
            release,
            topic,
            receiver,
            expected: Expected::default(),
            names,
            shown: String::new(),
        })
    }

    fn target(&self, path: &str) -> Manifest {
        let bearer = json!({"tokenSecretRef": {"name": "token", "key": "token"}});
        Manifest::new(HOOK, &self.topic, &self.receiver.url(path)).with(
            "authentication",
            json!({"type": "Bearer", "bearer": bearer}),
        )
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

    /// Waits until every event is committed: delivered, or parked.
    async fn committed(&self) -> Result<()> {
        let (kafka, group) = (self.release.kafka, self.release.group());
        let ends = kafka.ends(&self.topic).await?;
        eventually("all events committed", SOON, async || {
            let committed = kafka.committed(&group, &self.topic).await?;
            ensure!(committed[&0] == Some(ends[&0]), "{committed:?} of {ends:?}");
            Ok(())
        })
        .await
    }

    async fn shows(&self, place: &str, wanted: &str) -> Result<()> {
        self.release.shows(HOOK, place, wanted).await
    }

    /// What `kubectl get` shows after this step.
    async fn tell(&mut self, step: &str, arguments: &[&str]) -> Result<()> {
        let said = shown::get(&self.release, &self.names, arguments).await?;
        self.add(step, &said);
        Ok(())
    }

    fn add(&mut self, step: &str, said: &str) {
        self.shown += &format!("# {step}\n{said}\n");
    }

    async fn applied(&mut self) -> Result<()> {
        self.release.secret("token", "token", "first").await?;
        self.release.apply(&self.target("/")).await?;
        self.shows("Ready", "True Ready").await?;
        self.shows("Available", "Unknown NoTraffic").await?;
        self.tell("applied", &[]).await?;
        self.produce().await?;
        self.delivered().await?;
        self.shows("Available", "True Delivering").await?;
        self.tell("delivered", &["-o", "wide"]).await
    }

    /// The webhook breaks; its events wait. Whoever is operator then tells the same.
    async fn broken(&mut self, operator: Process) -> Result<Process> {
        self.receiver.answer(Answer::status(503)?);
        self.produce().await?;
        self.shows("Available", "False HTTPStatus").await?;
        self.committed().await?;
        told_down(&self.release, HOOK).await?;
        operator.terminate()?;
        operator.ended(SOON).await?;
        let operator = self.release.operator().await?;
        operator.says("this operator leads", SOON).await?;
        operator
            .says("what the workers have written is read", SOON)
            .await?;
        self.shows("/status/parked", &EVENTS.to_string()).await?;
        self.tell("the webhook is broken", &["-o", "wide"]).await?;
        let said = shown::described(&self.release, &self.names, HOOK).await?;
        self.add("the same in full", &said);
        Ok(operator)
    }

    async fn healed(&mut self) -> Result<()> {
        self.produce().await?;
        self.receiver.answer(Answer::ok());
        self.delivered().await?;
        self.shows("Available", "True Delivering").await?;
        self.shows("/status/parked", "").await?;
        self.tell("the webhook is mended", &[]).await
    }

    async fn secret_rotated(&mut self) -> Result<()> {
        self.release.secret("token", "token", "second").await?;
        eventually("the new token", SOON, async || {
            self.produce().await?;
            self.delivered().await?;
            let requests = self.receiver.requests();
            let last = requests.last().context("no request")?;
            let token = last.header(AUTHORIZATION.as_str());
            ensure!(token == Some("Bearer second"), "{token:?}");
            Ok(())
        })
        .await?;
        self.tell("the Secret is another", &[]).await
    }

    /// The URL changes while a request is under way to the old one.
    async fn changed_in_flight(&mut self) -> Result<()> {
        let gate = Gate::new();
        self.receiver.answer(Answer::ok().behind(&gate));
        let before = self.receiver.count();
        self.produce().await?;
        self.receiver.arrived(before + 1, SOON).await?;
        self.release.apply(&self.target("/moved")).await?;
        self.shows("/status/observedGeneration", "2").await?;
        self.shows("Ready", "True Ready").await?;
        gate.open();
        self.receiver.answer(Answer::ok());
        self.produce().await?;
        eventually("every event in order", SOON, async || {
            let accepted = self.receiver.accepted()?;
            self.expected.compare(&accepted).kept()
        })
        .await?;
        let requests = self.receiver.requests();
        let last = requests.last().context("no request")?;
        assert_eq!(last.path, "/moved");
        self.tell("the URL is another", &["-o", "wide"]).await
    }

    async fn suspended(&mut self) -> Result<()> {
        self.release
            .change(HOOK, &json!({"spec": {"suspend": true}}))
            .await?;
        self.shows("/status/state", "SUSPENDED").await?;
        self.shows("Ready", "True Ready").await?;
        self.tell("the target is suspended", &["-o", "wide"])
            .await?;
        let requests = self.receiver.count();
        self.produce().await?;
        self.committed().await?;
        assert_eq!(self.receiver.count(), requests, "nothing is sent");
        self.release
            .change(HOOK, &json!({"spec": {"suspend": false}}))
            .await?;
        eventually("what was kept, in order", SOON, async || {
            let accepted = self.receiver.accepted()?;
            self.expected.compare(&accepted).kept()
        })
        .await?;
        self.shows("Available", "True Delivering").await?;
        self.shows("/status/parked", "").await?;
        self.tell("it goes on", &[]).await
    }

    /// What waits for the old target is not the new one's.
    async fn made_again(&mut self) -> Result<()> {
        self.receiver.answer(Answer::status(503)?);
        self.produce().await?;
        self.committed().await?;
        self.release
            .home
            .kubectl(&["delete", "deliverytarget", HOOK])
            .await?;
        self.release.apply(&self.target("/again")).await?;
        self.shows("Ready", "True Ready").await?;
        self.shows("Available", "Unknown NoTraffic").await?;
        self.tell("deleted, and made again", &["-o", "wide"])
            .await?;
        self.receiver.answer(Answer::ok());
        self.expected = Expected::default();
        self.produce().await?;
        eventually("what came since", SOON, async || {
            let accepted = self.receiver.accepted_at("/again")?;
            self.expected.compare(&accepted).kept_exactly_once()
        })
        .await?;
        self.shows("Available", "True Delivering").await?;
        self.tell("it delivers", &[]).await
    }
}

#[tokio::test]
async fn kubectl_tells_the_story_of_a_target() -> Result<()> {
    let mut story = Story::begin().await?;
    let operator = story.release.operator().await?;
    let worker: Worker = story.release.worker().await?.start().await?;
    story.applied().await?;
    let _operator = story.broken(operator).await?;
    story.healed().await?;
    story.secret_rotated().await?;
    story.changed_in_flight().await?;
    story.suspended().await?;
    story.made_again().await?;
    assert!(worker.stop(SOON).await?.success());
    insta::assert_snapshot!("story", story.shown);
    Ok(())
}
