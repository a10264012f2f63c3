//! A target that fails: its events wait and come again unchanged, and nobody else notices.

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    receiver::{Answer, Receiver, Request},
};
use serde_json::json;

use crate::{
    scene::Scene,
    site::SOON,
    told::{shows, target},
};

/// Whether a request is about this partition.
fn is_of(request: &Request, partition: i32) -> bool {
    let events = request.events().unwrap_or_default();
    events.iter().any(|event| event.partition == partition)
}

/// Answers 503 to what is about `partition`, and 200 to the rest.
fn fail_partition(receiver: &Receiver, partition: i32) -> Result<()> {
    let refusal = Answer::status(503)?;
    receiver.answer_by(move |request| {
        if is_of(request, partition) {
            refusal.clone()
        } else {
            Answer::ok()
        }
    });
    Ok(())
}

#[tokio::test]
async fn a_failing_lane_holds_up_nothing() -> Result<()> {
    let scene = Scene::new("isolated", 2).await?;
    let good = scene.receiver("good")?;
    let bad = scene.receiver("bad")?;
    fail_partition(&bad, 0)?;
    let _worker = scene.worker().await?;
    for _ in 0..3 {
        scene.produce_to_each(2, 50).await?;
        // The other target gets everything, of the failing lane's partition too.
        scene.caught_up(&good).await?;
    }
    // What waits for the other one is parked, and holds up nobody.
    scene.all_committed().await?;
    let accepted = bad.accepted()?;
    let mut events = accepted.iter().flat_map(|sent| &sent.events);
    assert!(events.all(|event| event.partition == 1));

    bad.answer(Answer::ok());
    scene.caught_up(&bad).await?.kept_exactly_once()?;
    scene.caught_up(&good).await?.kept_exactly_once()?;
    scene.all_committed().await
}

#[tokio::test]
async fn a_transaction_comes_again_with_the_same_id_and_body() -> Result<()> {
    let scene = Scene::new("again", 1).await?;
    let receiver = Receiver::start()?;
    scene.target("bad", &receiver.url("/"), &json!({}))?;
    receiver.answer(Answer::status(500)?);
    let _worker = scene.worker().await?;
    scene.produce_to_each(1, 5).await?;
    receiver.arrived(1, SOON).await?;
    // What comes now must wait for the next transaction.
    scene.produce_to_each(1, 5).await?;
    receiver.arrived(4, SOON).await?;
    receiver.answer(Answer::ok());
    scene.caught_up(&receiver).await?.kept_exactly_once()?;

    let requests = receiver.requests();
    let delivered = requests
        .iter()
        .position(|request| request.answered().is_some_and(|status| status.is_success()))
        .context("nothing delivered")?;
    let first = &requests[0];
    for (request, attempt) in requests[..=delivered].iter().zip(1..) {
        let attempt = i32::to_string(&attempt);
        assert_eq!(request.header("parcelhook-attempt"), Some(&*attempt));
        assert_eq!(request.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(request.body, first.body);
    }
    let next = &requests[delivered + 1];
    assert_ne!(next.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(next.header("parcelhook-attempt"), Some("1"));
    Ok(())
}

#[tokio::test]
async fn down_and_up_are_shown_with_their_reason_and_logged() -> Result<()> {
    let scene = Scene::new("down-up", 2).await?;
    let good = scene.receiver("good")?;
    let bad = scene.receiver("bad")?;
    bad.answer(Answer::status(503)?.body("out of order"));
    let worker = scene.worker().await?;
    assert_eq!(target(&worker, "bad").await?["state"], "UP");

    scene.produce_to_each(2, 5).await?;
    let down = shows(&worker, "bad", "/state", "DOWN").await?;
    assert_eq!(down["reason"], "HTTPStatus", "{down}");
    assert_eq!(down["lastFailure"]["status"], 503);
    // While its lanes are being tried there is no next attempt to tell.
    eventually("the next attempt is told", SOON, async || {
        let shown = target(&worker, "bad").await?;
        ensure!(shown["nextAttempt"].is_string(), "{shown}");
        Ok(())
    })
    .await?;
    scene.caught_up(&good).await?;
    assert_eq!(target(&worker, "good").await?["state"], "UP");
    let line = worker.process().says("target is DOWN", SOON).await?;
    assert!(line.contains("bad") && line.contains("503"), "{line}");
    let metric = worker.metrics().await?;
    let up = |target| metric.sum("parcelhook_target_up", &[("target", target)]);
    assert_eq!((up("bad"), up("good")), (Some(0.0), Some(1.0)));

    // One partition recovers: the target is UP, and says that not all is well.
    fail_partition(&bad, 0)?;
    eventually("some partitions failing", SOON, async || {
        // A later failure of the other partition makes it DOWN again until the next success.
        scene.produce_to_each(2, 1).await?;
        let shown = target(&worker, "bad").await?;
        let reason = &shown["reason"];
        ensure!(
            shown["state"] == "UP" && reason == "SomePartitionsFailing",
            "{shown}"
        );
        Ok(())
    })
    .await?;

    bad.answer(Answer::ok());
    scene.caught_up(&bad).await?.kept_exactly_once()?;
    let up = shows(&worker, "bad", "/state", "UP").await?;
    assert_eq!(up["reason"], "", "{up}");
    worker.process().says("target is UP", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn retry_after_is_honoured_while_others_are_tried_again() -> Result<()> {
    let scene = Scene::new("retry-after", 1).await?;
    let (told, untold) = (Receiver::start()?, Receiver::start()?);
    let retry = json!({"retry": {"initialBackoff": "100ms", "maxBackoff": "1h"}});
    scene.target("told", &told.url("/"), &retry)?;
    scene.target("untold", &untold.url("/"), &json!({}))?;
    told.answer_number(0, Answer::status(503)?.header("retry-after", "3")?);
    untold.answer(Answer::status(503)?);
    let worker = scene.worker().await?;
    scene.produce_to_each(1, 1).await?;

    // Without the header its second attempt would be among the first three of the two targets.
    let again = told.arrived(2, SOON).await?[1].at;
    let others = untold.requests();
    let before = others.iter().filter(|request| request.at < again).count();
    assert!(before >= 3, "{before} attempts of the other target before");
    scene.caught_up(&told).await?.kept_exactly_once()?;

    // An hour is told, not waited for.
    told.answer_number(2, Answer::status(429)?.header("retry-after", "3600")?);
    scene.produce_to_each(1, 1).await?;
    let line = worker.process().says("status=429", SOON).await?;
    let wait = line
        .split_whitespace()
        .find_map(|field| field.strip_prefix("next_attempt_ms="))
        .with_context(|| format!("no wait in {line}"))?;
    assert!(wait.parse::<u64>()? >= 3_600_000, "{line}");
    Ok(())
}
