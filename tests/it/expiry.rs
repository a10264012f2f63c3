//! Parked events that wait too long, and those that are too large to be parked.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::{Event, Kafka, Read},
    receiver::{Answer, Receiver},
};
use serde_json::json;

use crate::{
    scene::{Scene, delivered},
    site::SOON,
    told::shows,
};

/// Longer than a minute, the shortest time for which events can be kept, and all that follows it.
const EXPIRED: Duration = Duration::from_secs(180);

/// More than the retry topic takes as one record.
const LARGE: usize = 2_000_000;

/// A dead letter, as a person sees it.
struct Letter {
    /// Ours, by name without `parcelhook-`.
    about: BTreeMap<String, String>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Letter {
    fn of(read: Read) -> Result<Self> {
        let mut headers = read.event.headers;
        let is_last = |(name, _): &(String, Vec<u8>)| name == "parcelhook-body";
        let last = headers.iter().position(is_last).context("no letter")?;
        let own = headers.split_off(last + 1);
        let about = headers.into_iter().map(|(name, value)| {
            let name = name.trim_start_matches("parcelhook-").to_owned();
            Ok((name, String::from_utf8(value)?))
        });
        Ok(Self {
            about: about.collect::<Result<_>>()?,
            key: read.event.key,
            value: read.event.value,
            headers: own,
        })
    }

    fn offset(&self) -> Result<i64> {
        Ok(self.about["offset"].parse()?)
    }
}

/// The dead letters of a topic by source and offset; one that was written twice stands once.
async fn letters(kafka: &Kafka, topic: &str) -> Result<BTreeMap<(String, i64), Letter>> {
    let read = kafka.read(topic).await?.into_iter();
    read.map(|read| {
        let letter = Letter::of(read)?;
        Ok(((letter.about["source"].clone(), letter.offset()?), letter))
    })
    .collect()
}

/// A scene with a target whose receiver refuses everything at first, and its dead-letter topic.
async fn failing(name: &str, partitions: usize) -> Result<(Scene<'static>, Receiver, String)> {
    let kafka = Kafka::shared().await?;
    let config = [("max.message.bytes", "4000000")];
    let scene = Scene::on(kafka, name, partitions, &config).await?;
    let letters = kafka.create_topic("letters", 2, &[]).await?;
    let receiver = Receiver::builder().compact().start()?;
    receiver.answer(Answer::status(503)?);
    let spec = json!({
        "deadLetterTopic": letters,
        "retry": {"initialBackoff": "100ms", "maxBackoff": "1s", "maxAge": "1m"},
    });
    scene.target("failing", &receiver.url("/"), &spec)?;
    Ok((scene, receiver, letters))
}

#[tokio::test]
async fn events_that_wait_too_long_become_dead_letters_and_no_crash_loses_one() -> Result<()> {
    let (scene, receiver, topic) = failing("expired", 2).await?;
    let worker = scene.worker().await?;
    let event = |n: i32| {
        let event = Event::new(format!("{{\"n\":{n}}}")).to(n % 2);
        let event = event.key(format!("key-{n}"));
        event
            .header("parcelhook-reason", "mine")
            .header("raw", b"\xff\0")
    };
    scene.produce((0..40).map(event)).await?;
    scene.all_committed().await?;
    worker.process().kill()?;
    let worker = scene.worker().await?;
    let dead = eventually("all events are dead letters", EXPIRED, async || {
        let dead = letters(scene.kafka, &topic).await?;
        ensure!(dead.len() == 40, "{} dead letters", dead.len());
        Ok(dead)
    })
    .await?;
    for ((source, offset), letter) in &dead {
        let partition: i32 = source.rsplit('/').next().context("a source")?.parse()?;
        let produced = event(i32::try_from(*offset)? * 2 + partition);
        assert_eq!(letter.about["reason"], "Expired");
        assert_eq!(letter.about["status"], "503");
        assert_eq!(
            (&letter.key, &letter.value),
            (&produced.key, &produced.value)
        );
        assert_eq!(letter.headers, produced.headers);
    }
    shows(
        &worker,
        "failing",
        "/counters/eventsDeadLettered/Expired",
        40,
    )
    .await?;

    receiver.answer(Answer::ok());
    let produced = scene.produce_to_each(2, 5).await?;
    let mut expected = Expected::default();
    expected.add_produced(&scene.topic, &produced);
    delivered(&receiver, &expected).await?;
    scene.all_committed().await?;
    shows(&worker, "failing", "/pendingEvents", 0).await?;
    Ok(())
}

#[tokio::test]
async fn an_event_too_large_to_be_parked_comes_back_from_its_source_in_its_turn() -> Result<()> {
    let (scene, receiver, _) = failing("large", 1).await?;
    let worker = scene.worker().await?;
    let large = format!("\"{}\"", "x".repeat(LARGE));
    for value in ["1", &large, "3"] {
        scene.produce([Event::new(value).to(0)]).await?;
    }
    scene.all_committed().await?;
    receiver.answer(Answer::ok());
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    shows(&worker, "failing", "/state", "UP").await?;
    Ok(())
}

#[tokio::test]
async fn an_event_that_its_source_has_no_more_leaves_its_place_and_holds_nobody_up() -> Result<()> {
    let (scene, receiver, topic) = failing("gone", 1).await?;
    let worker = scene.worker().await?;
    let large = format!("\"{}\"", "x".repeat(LARGE));
    scene.produce([Event::new(large).to(0)]).await?;
    let produced = scene.produce([Event::new("2").to(0)]).await?;
    scene.all_committed().await?;
    scene.kafka.delete_records(&scene.topic, 0, 1).await?;
    // The receiver refuses until then: an attempt that has read the event already could deliver it.
    let dead = eventually("a dead letter", SOON, async || {
        let mut dead = letters(scene.kafka, &topic).await?;
        dead.pop_first().context("no dead letter")
    })
    .await?;
    let ((_, offset), letter) = dead;
    assert_eq!((offset, letter.about["reason"].as_str()), (0, "SourceGone"));
    assert_eq!((letter.key, letter.value), (None, None));
    shows(&worker, "failing", "/counters/eventsLost/source-gone", 1).await?;

    receiver.answer(Answer::ok());
    let mut expected = Expected::default();
    expected.add_produced(&scene.topic, &produced);
    delivered(&receiver, &expected).await?;
    Ok(())
}
