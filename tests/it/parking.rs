//! A failing target's events wait in the retry topic and come back in order, and nobody waits for them.

use std::time::Duration;

use anyhow::{Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::Event,
    receiver::{Answer, Receiver},
};
use serde_json::json;

use crate::{
    scene::Scene,
    site::SOON,
    told::{shows, target},
};

#[tokio::test]
async fn a_failing_targets_events_leave_the_way_and_come_back_in_order() -> Result<()> {
    let scene = Scene::new("parked", 3).await?;
    let good = scene.receiver("good")?;
    let bad = scene.receiver("bad")?;
    bad.answer(Answer::status(503)?);
    let worker = scene.worker().await?;
    scene.produce_to_each(3, 200).await?;
    // Everything is committed although nothing was delivered to one of the two.
    scene.all_committed().await?;
    scene.caught_up(&good).await?.kept_exactly_once()?;
    assert!(bad.accepted()?.is_empty());

    bad.answer(Answer::ok());
    scene.caught_up(&bad).await?.kept_exactly_once()?;
    shows(&worker, "bad", "/state", "UP").await?;
    scene.produce_to_each(3, 20).await?;
    scene.caught_up(&bad).await?.kept_exactly_once()?;
    Ok(())
}

#[tokio::test]
async fn what_is_parked_outlives_its_worker() -> Result<()> {
    let scene = Scene::new("outlives", 2).await?;
    let bad = scene.receiver("bad")?;
    bad.answer(Answer::status(503)?);
    let mut worker = scene.worker().await?;
    scene.produce_to_each(2, 50).await?;
    scene.all_committed().await?;
    worker.process().kill()?;
    worker = scene.worker().await?;
    // Without traffic: the successor knows by the rows.
    shows(&worker, "bad", "/state", "DOWN").await?;
    bad.answer(Answer::ok());
    scene.caught_up(&bad).await?.kept_exactly_once()?;
    shows(&worker, "bad", "/state", "UP").await?;
    Ok(())
}

#[tokio::test]
async fn a_suspended_target_keeps_its_events_over_a_restart() -> Result<()> {
    let scene = Scene::new("suspended", 2).await?;
    let receiver = Receiver::builder().compact().start()?;
    scene.target("kept", &receiver.url("/"), &json!({"suspend": true}))?;
    let worker = scene.worker().await?;
    scene.produce_to_each(2, 50).await?;
    scene.all_committed().await?;
    worker.process().kill()?;
    let worker = scene.worker().await?;
    scene.produce_to_each(2, 50).await?;
    scene.all_committed().await?;
    assert_eq!(target(&worker, "kept").await?["state"], "SUSPENDED");
    assert_eq!(receiver.requests().len(), 0);
    scene.target("kept", &receiver.url("/"), &json!({"suspend": false}))?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    eventually("the lanes are live again", SOON, async || {
        let state = target(&worker, "kept").await?;
        ensure!(state["state"] == "UP", "{state}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_parked_is_shown_until_it_is_delivered_also_by_the_next_worker() -> Result<()> {
    let scene = Scene::new("shown", 2).await?;
    let bad = scene.receiver("bad")?;
    bad.answer(Answer::status(503)?);
    let worker = scene.worker().await?;
    scene.produce_to_each(2, 50).await?;
    scene.all_committed().await?;
    shows(&worker, "bad", "/parked", 100).await?;
    let before = shows(&worker, "bad", "/lanesNotLive/parking", 2).await?;
    assert_eq!(before["state"], "DOWN");
    assert_eq!(before["pendingEvents"], 100, "each event once: {before}");
    assert_eq!(before["worstLanes"][0]["lastFailure"]["status"], 503);
    let metrics = worker.metrics().await?;
    let of_bad = [("target", "bad")];
    assert_eq!(
        metrics.sum("parcelhook_target_parked_events", &of_bad),
        Some(100.0)
    );
    worker.stop(SOON).await?;

    // The successor shows the same before it has tried anything new.
    let worker = scene.worker().await?;
    let after = shows(&worker, "bad", "/parked", 100).await?;
    assert_eq!(after["state"], "DOWN");
    assert!(after["oldestParked"].is_string(), "{after}");
    assert!(
        after["attempts"].as_u64() >= before["attempts"].as_u64(),
        "{after}"
    );
    shows(&worker, "bad", "/lanesNotLive/parking", 2).await?;
    let next = target(&worker, "bad").await?;
    assert!(next["nextAttempt"].is_string(), "{next}");

    bad.answer(Answer::ok());
    shows(&worker, "bad", "/parked", 0).await?;
    worker
        .process()
        .says(
            "target has recovered: 100 events delivered in order in",
            SOON,
        )
        .await?;
    let live = shows(&worker, "bad", "/counters/eventsDrained", 100).await?;
    assert_eq!(
        (&live["state"], &live["pendingEvents"]),
        (&"UP".into(), &0.into())
    );
    let metrics = worker.metrics().await?;
    let live = [("target", "bad"), ("mode", "live")];
    assert_eq!(metrics.sum("parcelhook_target_lanes", &live), Some(2.0));
    Ok(())
}

/// A target that is only slow has its events parked when memory is short. That is no failure: nothing is
/// repeated, and it stays UP.
#[tokio::test]
async fn a_slow_target_whose_events_are_parked_gets_each_of_them_once() -> Result<()> {
    let scene = Scene::new("slow", 32).await?;
    let receiver = Receiver::builder().compact().start()?;
    receiver.answer(Answer::ok().delayed_by(Duration::from_millis(100)));
    let one_by_one = json!({"transaction": {"maxEvents": 1}});
    scene.target("slow", &receiver.url("/"), &one_by_one)?;
    let worker = scene.settings().flag("--byte-budget", "1Mi").start();
    let worker = worker.await?;
    let value = format!("\"{}\"", "x".repeat(2 << 10));
    let events = (0..32).cycle().take(32 * 40);
    let events = events.map(|partition| Event::new(value.clone()).to(partition));
    scene.produce(events).await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    let shown = shows(&worker, "slow", "/state", "UP").await?;
    ensure!(
        shown["counters"]["eventsParked"].as_u64() > Some(0),
        "{shown}"
    );
    ensure!(shown["counters"]["failures"] == 0, "{shown}");
    Ok(())
}
