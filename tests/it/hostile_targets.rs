//! Targets whose receivers misbehave: each is named for what it does, none reaches the others, and
//! none makes the worker grow.

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    hostile::{Behaviour, Hostile},
    kafka::Event,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

use crate::{
    manifest::Manifest,
    site::{PARTITIONS, SOON, Site, some_events},
    told::{shows, target},
};

/// What becomes of a target.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// DOWN for this reason, with all its events kept.
    Down(&'static str),
    /// Every event is delivered once, for the head of the answer says so.
    Delivered,
}

/// What each receiver does, and what becomes of its target.
const HOSTILE: [(Behaviour, Fate); 9] = [
    (Behaviour::EndlessBody, Fate::Delivered),
    (Behaviour::ResetInBody, Fate::Delivered),
    (Behaviour::ResetAfterHead, Fate::Delivered),
    (Behaviour::ResetInHead, Fate::Down("ConnectionReset")),
    (Behaviour::CloseUnanswered, Fate::Down("ConnectionReset")),
    (Behaviour::SlowHead, Fate::Down("Timeout")),
    (Behaviour::Silence, Fate::Down("Timeout")),
    (Behaviour::HugeHead, Fate::Down("MalformedResponse")),
    (Behaviour::Garbage, Fate::Down("MalformedResponse")),
];

/// What answering never costs a worker in memory: without bounds, the endless bodies (1 GiB a
/// connection) and the heads of 10 MiB of eight lanes, attempted again and again, would be far over it.
/// What is under it is the byte budget (16 MiB), what librdkafka has fetched (12 MiB), response heads
/// (400 KiB a lane at most) and the program itself.
const PEAK_BYTES: u64 = 128 << 20;

fn counted(target: &Value, counter: &str) -> u64 {
    target["counters"][counter].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn each_hostile_receiver_is_named_for_what_it_does_and_the_others_are_untouched() -> Result<()>
{
    let site = Site::new("hostile").await?;
    let topic = site.topic(PARTITIONS).await?;
    let healthy = Receiver::start()?;
    site.put(&Manifest::new("healthy", &topic, &healthy.url("/")))?;
    let impatient = |name: &str, url: &str| {
        Manifest::new(name, &topic, url).with("delivery", json!({"timeout": "1s"}))
    };
    let mut cases = Vec::new();
    for (behaviour, fate) in HOSTILE {
        let hostile = Hostile::start(behaviour)?;
        let name = format!("{behaviour:?}").to_lowercase();
        site.put(&impatient(&name, &hostile.url("/")))?;
        cases.push((name, hostile, fate));
    }
    let hostile = Hostile::start(Behaviour::NeverShakesHands)?;
    site.put(&impatient("nevershakeshands", &hostile.https_url("/")))?;
    cases.push((
        "nevershakeshands".to_owned(),
        hostile,
        Fate::Down("Timeout"),
    ));

    let worker = site.worker().start().await?;
    let produced = site.kafka.produce(&topic, some_events(200)).await?;
    let mut expected = Expected::default();
    expected.add_produced(&topic, &produced);
    eventually("all events at the healthy receiver", SOON, async || {
        expected.compare(&healthy.accepted()?).kept_exactly_once()
    })
    .await?;

    for (name, hostile, fate) in &cases {
        let what = format!("{fate:?} of {name}");
        let seen = eventually(&what, SOON, async || {
            let target = target(&worker, name).await?;
            match fate {
                Fate::Down(reason) => ensure!(
                    target["state"] == "DOWN"
                        && target["reason"] == *reason
                        // Tried again by now, so the reason is not that of a first chance.
                        && counted(&target, "errors") > PARTITIONS as u64,
                    "{target}"
                ),
                Fate::Delivered => ensure!(target["pendingEvents"] == 0, "{target}"),
            }
            Ok(target)
        })
        .await?;
        match fate {
            Fate::Down(_) => {
                assert_eq!(seen["pendingEvents"], 200, "{seen}");
                assert_eq!(counted(&seen, "eventsDelivered"), 0, "{seen}");
            }
            Fate::Delivered => {
                assert_eq!(seen["state"], "UP", "{seen}");
                assert_eq!(counted(&seen, "eventsDelivered"), 200, "{seen}");
                // A connection carries one request here: none was made twice.
                assert_eq!(counted(&seen, "successes"), hostile.connections(), "{seen}");
                assert_eq!(
                    counted(&seen, "failures") + counted(&seen, "errors"),
                    0,
                    "{seen}"
                );
            }
        }
    }
    let peak = worker.usage()?.peak_resident_bytes;
    assert!(peak < PEAK_BYTES, "{} MiB", peak >> 20);
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_so() -> Result<()> {
    let site = Site::new("redirect").await?;
    let topic = site.topic(1).await?;
    let (named, elsewhere) = (Receiver::start()?, Receiver::start()?);
    named.answer(Answer::status(307)?.header("location", &elsewhere.url("/stolen"))?);
    site.put(&Manifest::new("redirected", &topic, &named.url("/")))?;
    let worker = site.worker().start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    // The second attempt ends after all that the first one could have led to.
    named
        .arrived(2, SOON)
        .await
        .with_context(|| worker.process().tail())?;
    let target = shows(&worker, "redirected", "/reason", "Redirected").await?;
    assert_eq!(target["state"], "DOWN", "{target}");
    assert_eq!(target["lastFailure"]["status"], 307, "{target}");
    assert_eq!(elsewhere.connections(), 0);
    Ok(())
}
