//! A consumer whose requests get lost on the way while its cluster is fine: it notices, begins anew
//! where it may, and delivers all the same.

use anyhow::{Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::{Access, Api, Event},
    worker::Settings,
};

use crate::{
    scene::{Scene, repeated},
    site::SOON,
    told::{LOST, times_let_go},
};

/// A worker of the scene whose requests can get lost: its `client.id` is the scene's topic.
fn by_the_proxy(scene: &Scene<'_>) -> Settings {
    scene
        .settings_by(Access::Proxied)
        .flag("--kafka-properties", format!("client.id={}", scene.topic))
}

#[tokio::test]
async fn a_consumer_that_has_stopped_fetching_is_replaced_and_nothing_is_repeated() -> Result<()> {
    const EVENTS: usize = 300;
    let scene = Scene::new("stalled", 1).await?;
    let receiver = scene.receiver("all")?;
    let large = || Event::new(vec![b'x'; 10_000]).to(0);
    scene.produce((0..EVENTS).map(|_| large())).await?;
    // librdkafka asks for the next events when it has the last ones: one answer that never comes, and
    // it has stopped. The first one brings what was produced as one batch, at most 1 MB.
    let mut fetches = 0;
    scene.kafka.lose(&scene.topic, move |api| {
        fetches += i32::from(api == Api::Fetch);
        api == Api::Fetch && fetches == 2
    });
    // Without this librdkafka would help itself after a minute.
    let worker = by_the_proxy(&scene)
        .flag("--kafka-properties", "socket.timeout.ms=300000")
        .start()
        .await?;
    let story = async {
        let process = worker.process();
        process.says("making a new consumer", 2 * SOON).await?;
        scene.caught_up(&receiver).await
    };
    scene.while_events_flow(1, story).await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    scene.all_committed().await?;
    let stalls = worker.metrics().await?;
    let stalls = stalls.sum("parcelhook_worker_stalls_total", &[]);
    assert_eq!(stalls, Some(1.0));
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_is_replaced_while_its_commit_is_not_answered_commits_again() -> Result<()>
{
    let scene = Scene::new("unanswered", 1).await?;
    let receiver = scene.receiver("all")?;
    let large = || Event::new(vec![b'x'; 10_000]).to(0);
    scene.produce((0..300).map(|_| large())).await?;
    // As above, and what it commits from then on gets lost, too.
    let mut fetches = 0;
    scene.kafka.lose(&scene.topic, move |api| {
        fetches += i32::from(api == Api::Fetch);
        fetches >= 2 && (api == Api::OffsetCommit || api == Api::Fetch && fetches == 2)
    });
    let worker = by_the_proxy(&scene)
        .flag("--kafka-properties", "socket.timeout.ms=300000")
        .start()
        .await?;
    let process = worker.process();
    let line = "the coordinator did not answer: the last frontiers are not committed";
    process.says(line, 2 * SOON).await?;
    scene.kafka.lose_nothing(&scene.topic);
    scene.caught_up(&receiver).await?.kept()?;
    scene.all_committed().await?;
    // The first consumer may still wait for its answer, which is told by the exit code.
    worker.stop(SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_not_told_where_to_start_waits_and_then_skips_nothing() -> Result<()> {
    let scene = Scene::new("no-start", 3).await?;
    let receiver = scene.receiver("all")?;
    scene.produce_to_each(3, 10).await?;
    scene
        .kafka
        .lose(&scene.topic, |api| api == Api::ListOffsets);
    // Shortens the wait for answers that never come.
    let worker = by_the_proxy(&scene)
        .flag("--kafka-properties", "socket.timeout.ms=5000")
        .listen()
        .await?;
    let story = async {
        let unknown = "where partitions start is not known yet";
        worker.process().says(unknown, SOON).await?;
        // Meanwhile events come, which are none to begin with.
        let later = scene.produce_to_each(3, 10).await?;
        assert_eq!((later.positions.len(), receiver.count()), (30, 0));
        scene.kafka.lose_nothing(&scene.topic);
        scene.caught_up(&receiver).await
    };
    scene.while_events_flow(3, story).await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    worker.ready(SOON).await?;
    scene.all_committed().await
}

#[tokio::test]
async fn a_worker_cut_off_from_its_group_begins_again_where_it_had_committed() -> Result<()> {
    let scene = Scene::new("cut-off", 2).await?;
    let receiver = scene.receiver("all")?;
    // The session ends first; a commit that is not answered is given up soon after.
    let worker = by_the_proxy(&scene)
        .flag("--kafka-properties", "session.timeout.ms=6000")
        .flag("--kafka-properties", "socket.timeout.ms=10000")
        .start()
        .await?;
    let story = async {
        scene.caught_up(&receiver).await?;
        scene.kafka.lose(&scene.topic, |api| {
            matches!(api, Api::Heartbeat | Api::OffsetCommit)
        });
        let committed = scene.committed().await?;
        // These are delivered and cannot be committed.
        scene.produce_to_each(2, 4).await?;
        scene.caught_up(&receiver).await?;
        worker.process().says(LOST, SOON).await?;
        let requests = receiver.count() as u64;
        scene.kafka.lose_nothing(&scene.topic);
        eventually("the events that were not committed", SOON, async || {
            ensure!(!repeated(&receiver)?.is_empty(), "none is repeated");
            Ok(())
        })
        .await?;
        scene.caught_up(&receiver).await?;
        // No grace and no last commit for what may be another's.
        assert_eq!(times_let_go(&worker)?, 0);
        Ok((committed, requests))
    };
    let (committed, requests) = scene.while_events_flow(2, story).await?;
    scene.caught_up(&receiver).await?.kept()?;
    for (event, request, again) in repeated(&receiver)? {
        let next = committed[&event.partition];
        ensure!(
            next.is_none_or(|next| event.offset >= next) && request < requests,
            "{event:?} came in request {request} and again in {again}; \
             committed {next:?} when the worker was cut off, lost before request {requests}"
        );
    }
    scene.all_committed().await?;
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    Ok(())
}
