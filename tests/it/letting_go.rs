//! Workers that are asked to end: what was delivered is committed, so nothing is lost or repeated,
//! and the exit code tells whether that was done.

use std::time::Duration;

use anyhow::Result;
use parcelhook_env::{
    kafka::Kafka,
    receiver::{Answer, Gate},
    worker::Settings,
};

use crate::{
    scene::Scene,
    site::{SOON, Site, WORKER},
    told::{LETTING_GO, owns},
};

/// What a worker's log says when it begins to end.
const ENDING: &str = "letting go";

/// Long enough for a gate to open within it, whatever else the machine does.
const GRACE: &str = "30s";

#[tokio::test]
async fn sigterm_loses_and_repeats_nothing() -> Result<()> {
    let scene = Scene::new("sigterm", 3).await?;
    let receiver = scene.receiver("all")?;
    let mut worker = scene.worker().await?;
    for _ in 0..3 {
        let before = receiver.count();
        scene.produce_to_each(3, 500).await?;
        receiver.arrived(before + 3, SOON).await?;
        assert_eq!(worker.stop(SOON).await?.code(), Some(0));
        worker = scene.worker().await?;
    }
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    scene.all_committed().await
}

#[tokio::test]
async fn attempts_in_flight_at_sigterm_may_end_within_the_grace() -> Result<()> {
    let scene = Scene::new("grace", 2).await?;
    let receiver = scene.receiver("gated")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    scene.produce_to_each(2, 150).await?;
    let settings = scene.settings().flag("--shutdown-grace", GRACE);
    let worker = settings.start().await?;
    receiver.arrived(2, SOON).await?;

    worker.process().terminate()?;
    // From here on nothing is committed but the last frontiers.
    worker.process().says(LETTING_GO, SOON).await?;
    gate.open();
    assert_eq!(worker.process().ended(SOON).await?.code(), Some(0));

    // All that was accepted is committed, and nothing else.
    let mut done = [0, 0];
    for event in receiver.accepted()?.iter().flat_map(|sent| &sent.events) {
        done[usize::try_from(event.partition)?] = event.offset + 1;
    }
    assert!(done.iter().all(|done| *done >= 1), "{done:?}");
    let committed = scene.committed().await?;
    assert_eq!(
        (committed[&0], committed[&1]),
        (Some(done[0]), Some(done[1]))
    );

    let _successor = scene.worker().await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    Ok(())
}

#[tokio::test]
async fn attempts_that_outlast_the_grace_are_aborted_and_made_again() -> Result<()> {
    let scene = Scene::new("outlast", 1).await?;
    let receiver = scene.receiver("gated")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    scene.produce_to_each(1, 10).await?;
    let worker = scene.worker().await?;
    receiver.arrived(1, SOON).await?;

    assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    assert_eq!(scene.committed().await?[&0], Some(0));
    gate.open();
    let _successor = scene.worker().await?;
    // The receiver saw the aborted attempt, but did not answer it.
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    Ok(())
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once_and_loses_nothing() -> Result<()> {
    let scene = Scene::new("impatient", 2).await?;
    let receiver = scene.receiver("gated")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    scene.produce_to_each(2, 150).await?;
    let settings = scene.settings().flag("--shutdown-grace", "5m");
    let worker = settings.start().await?;
    receiver.arrived(2, SOON).await?;

    worker.process().terminate()?;
    worker.process().says(ENDING, SOON).await?;
    worker.process().terminate()?;
    assert_eq!(worker.process().ended(SOON).await?.code(), Some(4));

    gate.open();
    let _successor = scene.worker().await?;
    scene.caught_up(&receiver).await?.kept()?;
    Ok(())
}

/// A question to brokers lasts half a minute.
#[tokio::test]
async fn a_worker_that_waits_for_its_first_answer_ends_before_that() -> Result<()> {
    let nobody = Site::on(Kafka::shared().await?, "unanswered")?;
    let worker = nobody.worker_at("127.0.0.1:1").listen().await?;
    worker.process().terminate()?;
    let status = worker.process().ended(Duration::from_secs(15)).await?;
    assert_eq!(status.code(), Some(0), "{}", worker.process().tail());
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_at_the_start_ends_with_2() -> Result<()> {
    let scene = Scene::new("wrong", 1).await?;
    let nowhere = std::path::Path::new("/nowhere/at/all");
    for (settings, complaint) in [
        (scene.settings().flag("--shards", "0"), "shards"),
        (
            scene.settings().flag("--no-such-flag", "1"),
            "--no-such-flag",
        ),
        (
            Settings::new(WORKER, "127.0.0.1:1", "wrong", nowhere),
            "/nowhere/at/all",
        ),
    ] {
        let process = settings.launch()?;
        assert_eq!(process.ended(SOON).await?.code(), Some(2), "{complaint}");
        let written = process.stdout().text()? + &process.stderr().text()?;
        assert!(written.contains(complaint), "{complaint}: {written}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_place_another_took_ends_with_3() -> Result<()> {
    let scene = Scene::new("fenced", 1).await?;
    let receiver = scene.receiver("all")?;
    let with_identity = || {
        let settings = scene.settings();
        settings.flag("--kafka-properties", "group.instance.id=the-one")
    };
    let first = with_identity().start().await?;
    scene.produce_to_each(1, 10).await?;
    scene.caught_up(&receiver).await?;

    let _second = with_identity().start().await?;
    let ended = first.process().ended(SOON).await?;
    assert_eq!(ended.code(), Some(3), "{}", first.process().tail());
    scene.produce_to_each(1, 10).await?;
    scene.caught_up(&receiver).await?.kept()?;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_leaves_hands_its_partitions_over_without_a_repetition() -> Result<()> {
    let scene = Scene::new("hand-over", 4).await?;
    let receiver = scene.receiver("all")?;
    let first = scene.worker().await?;
    scene
        .while_events_flow(4, async {
            let second = scene.worker().await?;
            owns(&second, 1).await?;
            scene.caught_up(&receiver).await?;
            assert_eq!(first.stop(SOON).await?.code(), Some(0));
            owns(&second, 4).await?;
            scene.caught_up(&receiver).await?;
            assert_eq!(second.stop(SOON).await?.code(), Some(0));
            Ok(())
        })
        .await?;
    let _third = scene.worker().await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    Ok(())
}
