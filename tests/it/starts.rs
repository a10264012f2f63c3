//! Where a worker group begins: in topics it has never read, and in those that changed meanwhile.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::{Event, Produced},
    receiver::{Answer, Gate, Receiver},
    worker::Settings,
};
use serde_json::json;

use crate::{
    scene::{Scene, delivered},
    site::SOON,
};

/// Lets a client see changed topics within a second instead of ten.
fn watchful(settings: Settings) -> Settings {
    settings.flag(
        "--kafka-properties",
        "topic.metadata.refresh.interval.ms=1000",
    )
}

fn of(scene: &Scene<'_>, produced: &[&Produced]) -> Expected {
    let mut expected = Expected::default();
    for produced in produced {
        expected.add_produced(&scene.topic, produced);
    }
    expected
}

#[tokio::test]
async fn latest_begins_at_the_end_and_skips_nothing_after_a_restart() -> Result<()> {
    let scene = Scene::new("latest", 2).await?;
    let receiver = Receiver::start()?;
    let latest = json!({"startFrom": "Latest"});
    scene.target("late", &receiver.url("/"), &latest)?;
    scene.produce_to_each(2, 5).await?;
    let worker = scene.worker().await?;
    // The end is committed at once: it is the group's memory of where it began.
    scene.all_committed().await?;
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));

    let while_away = scene.produce_to_each(2, 5).await?;
    let _worker = scene.worker().await?;
    let later = scene.produce_to_each(2, 5).await?;
    let expected = of(&scene, &[&while_away, &later]);
    delivered(&receiver, &expected).await?.kept_exactly_once()?;
    Ok(())
}

#[tokio::test]
async fn each_target_of_a_new_topic_begins_where_it_wants() -> Result<()> {
    let kafka = parcelhook_env::kafka::Kafka::shared().await?;
    let scene = Scene::on(kafka, "wishes", 1, &[("retention.ms", "-1")]).await?;
    let mut receivers = Vec::new();
    for (name, start) in [
        ("earliest", "Earliest"),
        ("timed", "2023-11-14T22:13:20Z"),
        ("latest", "Latest"),
    ] {
        let receiver = Receiver::start()?;
        scene.target(name, &receiver.url("/"), &json!({"startFrom": start}))?;
        receivers.push(receiver);
    }
    let at = |millis| (0..5).map(move |n| Event::new(format!("{n}")).to(0).at(millis));
    let old = scene.produce(at(1_699_999_999_999)).await?;
    let new = scene.produce(at(1_700_000_000_000)).await?;
    let _worker = scene.worker().await?;
    let live = scene.produce_to_each(1, 5).await?;

    let wanted = [&[&old, &new, &live][..], &[&new, &live], &[&live]];
    for (receiver, wanted) in receivers.iter().zip(wanted) {
        let expected = of(&scene, wanted);
        delivered(receiver, &expected).await?.kept_exactly_once()?;
    }
    scene.all_committed().await
}

#[tokio::test]
async fn a_partition_added_to_a_known_topic_is_read_from_its_first_event() -> Result<()> {
    let scene = Scene::new("added", 1).await?;
    let receiver = Receiver::start()?;
    let latest = json!({"startFrom": "Latest"});
    scene.target("all", &receiver.url("/"), &latest)?;
    let worker = watchful(scene.settings()).start().await?;
    scene.all_committed().await?;
    let before = scene.produce_to_each(1, 5).await?;

    // Its first events come before any worker knows of it.
    scene.kafka.add_partitions(&scene.topic, 2).await?;
    let first = scene.produce_to_each(2, 5).await?;
    let expected = of(&scene, &[&before, &first]);
    delivered(&receiver, &expected).await?;
    scene.all_committed().await?;

    // The same while no worker runs.
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    scene.kafka.add_partitions(&scene.topic, 3).await?;
    scene.produce_to_each(3, 5).await?;
    let _worker = scene.worker().await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    scene.all_committed().await
}

#[tokio::test]
async fn what_retention_took_unread_is_counted_and_the_rest_delivered() -> Result<()> {
    let scene = Scene::new("retention", 1).await?;
    let receiver = scene.receiver("all")?;
    let worker = scene.worker().await?;
    let read = scene.produce_to_each(1, 10).await?;
    scene.all_committed().await?;
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));

    // Offsets 10 to 16 are deleted, 17 to 19 are left.
    let mut left = scene.produce_to_each(1, 10).await?;
    left.positions.drain(..7);
    scene.kafka.delete_records(&scene.topic, 0, 17).await?;
    let worker = scene.worker().await?;
    let expected = of(&scene, &[&read, &left]);
    delivered(&receiver, &expected).await?.kept_exactly_once()?;
    scene.all_committed().await?;
    let metrics = worker.metrics().await?;
    let cause = [("cause", "retention")];
    let lost = metrics.sum("parcelhook_worker_events_lost_total", &cause);
    assert_eq!(lost, Some(7.0));
    worker.process().says("events were lost", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_committed_is_told_and_read_on_from_its_end() -> Result<()>
{
    let scene = Scene::new("truncated", 1).await?;
    let receiver = scene.receiver("all")?;
    let worker = scene.worker().await?;
    scene.produce_to_each(1, 10).await?;
    scene.all_committed().await?;
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));

    // As if the log had once reached to 25: what a lost replica leaves behind.
    let (group, topic) = (scene.group(), &scene.topic);
    scene.kafka.move_committed(&group, topic, 0, 25).await?;
    let worker = scene.worker().await?;
    // The end is committed at once, or a restart would skip what comes up to offset 25.
    scene.all_committed().await?;
    let cause = [("cause", "truncation")];
    let metrics = worker.metrics().await?;
    let lost = metrics.sum("parcelhook_worker_events_lost_total", &cause);
    assert_eq!(lost, Some(15.0));
    worker.process().says("events were lost", SOON).await?;
    scene.produce_to_each(1, 10).await?;
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    scene.all_committed().await
}

#[tokio::test]
async fn what_retention_took_from_a_target_that_stood_is_counted_and_the_rest_delivered()
-> Result<()> {
    const EVENTS: i64 = 60;
    let scene = Scene::new("stood", 1).await?;
    let receiver = scene.receiver("slow")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    // Room for a fraction of the events, in the worker and in librdkafka.
    let worker = scene
        .settings()
        .flag("--byte-budget", "1Mi")
        .flag("--kafka-properties", "queued.max.messages.kbytes=64")
        .start()
        .await?;
    let large = || Event::new(vec![b'x'; 100_000]).to(0);
    scene.produce((0..EVENTS).map(|_| large())).await?;
    eventually("a partition that waits for room", SOON, async || {
        let source = worker.targets().await?["source"].clone();
        ensure!(source["partitions"][0]["paused"] == true, "{source}");
        Ok(())
    })
    .await?;
    scene
        .kafka
        .delete_records(&scene.topic, 0, EVENTS - 2)
        .await?;
    gate.open();
    scene.all_committed().await?;

    let accepted = receiver.accepted()?;
    let offsets = accepted.iter().flat_map(|sent| &sent.events);
    let offsets: Vec<i64> = offsets.map(|event| event.offset).collect();
    assert!(offsets.is_sorted_by(|one, next| one < next), "{offsets:?}");
    assert!(offsets.ends_with(&[EVENTS - 2, EVENTS - 1]), "{offsets:?}");
    let cause = [("cause", "retention")];
    let metrics = worker.metrics().await?;
    let lost = metrics.sum("parcelhook_worker_events_lost_total", &cause);
    let missing = EVENTS - i64::try_from(offsets.len())?;
    assert!(missing > 0, "everything was delivered");
    assert_eq!(lost, Some(missing as f64), "delivered {offsets:?}");
    Ok(())
}

/// The bodies' event ids that carry this topic id, as (partition, offset).
fn of_topic(receiver: &Receiver, topic_id: &str) -> Result<Vec<(i32, i64)>> {
    let mut found = Vec::new();
    for request in receiver.requests() {
        let body: serde_json::Value = serde_json::from_slice(&request.body)?;
        for (event, id) in body["events"]
            .as_array()
            .into_iter()
            .flatten()
            .zip(request.events()?)
        {
            let written = event["id"].as_str().unwrap_or_default();
            if written.ends_with(&format!("/{topic_id}")) {
                found.push((id.partition, id.offset));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_topic_made_anew_while_nobody_looks_is_read_from_its_first_event() -> Result<()> {
    made_anew(false).await
}

#[tokio::test]
async fn a_topic_made_anew_under_a_running_worker_is_read_from_its_first_event() -> Result<()> {
    made_anew(true).await
}

async fn made_anew(running: bool) -> Result<()> {
    let scene = Scene::new("anew", 2).await?;
    let receiver = Receiver::start()?;
    scene.target("all", &receiver.url("/"), &json!({}))?;
    let mut worker = watchful(scene.settings()).start().await?;
    scene.produce_to_each(2, 10).await?;
    let old_id = scene.kafka.topic_id(&scene.topic).await?;
    scene.all_committed().await?;
    if !running {
        assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    }
    scene.kafka.delete_topic(&scene.topic).await?;
    if running {
        eventually("the missing topic to be told", SOON, async || {
            let page = worker.targets().await?;
            let missing = page["source"]["missingTopics"].clone();
            ensure!(missing == json!([scene.topic]), "{missing}");
            Ok(())
        })
        .await?;
    }
    scene.kafka.create_topic_named(&scene.topic, 2, &[]).await?;
    // Fewer than before: every offset of the new topic is one that the old one had.
    let again = scene.produce_to_each(2, 5).await?;
    let new_id = scene.kafka.topic_id(&scene.topic).await?;
    ensure!(new_id != old_id, "the same topic");
    if !running {
        worker = watchful(scene.settings()).start().await?;
    }
    let wanted: BTreeSet<_> = again.positions.into_iter().collect();
    eventually("the new topic's events", SOON, async || {
        let seen: BTreeSet<_> = of_topic(&receiver, &new_id)?.into_iter().collect();
        ensure!(seen == wanted, "saw {seen:?}");
        Ok(())
    })
    .await?;
    assert_eq!(of_topic(&receiver, &old_id)?.len(), 20);
    scene.all_committed().await?;
    let lost = worker.metrics().await?;
    let lost = lost.sum("parcelhook_worker_events_lost_total", &[]);
    assert_eq!(lost.unwrap_or_default(), 0.0);
    Ok(())
}
