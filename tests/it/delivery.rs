//! Events on their way: read, selected, cut into transactions, delivered in order and committed.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::{Event, Kafka},
    receiver::{Answer, Gate, Receiver, Request},
};
use serde_json::{Value, json};

use crate::{
    scene::{Scene, delivered},
    site::SOON,
    told::target,
};

#[tokio::test]
async fn events_are_delivered_in_order_singly_and_in_batches_and_committed() -> Result<()> {
    let scene = Scene::new("in-order", 3).await?;
    let batches = scene.receiver("batches")?;
    let singles = Receiver::builder().compact().start()?;
    let one_by_one = json!({"format": "CloudEvents"});
    scene.target("singles", &singles.url("/"), &one_by_one)?;
    scene.produce_to_each(3, 200).await?;
    let _worker = scene.worker().await?;
    scene.produce_to_each(3, 200).await?;
    for receiver in [&batches, &singles] {
        scene.caught_up(receiver).await?.kept_exactly_once()?;
    }
    assert_eq!(singles.count(), 1_200);
    assert!(batches.count() < 1_200, "{}", batches.count());
    scene.all_committed().await
}

/// Two events as `docs/formats.md` has them, and what each format makes of them.
#[tokio::test]
async fn every_format_shows_events_as_promised() -> Result<()> {
    let kafka = Kafka::shared().await?;
    // The timestamps are long past; retention must not take the events.
    let scene = Scene::on(kafka, "formats", 1, &[("retention.ms", "-1")]).await?;
    let formats = ["CloudEventsBatch", "CloudEvents", "Json", "Raw"];
    let mut receivers = Vec::new();
    for format in formats {
        let receiver = Receiver::start()?;
        let spec = json!({"format": format, "eventType": "com.example.order"});
        scene.target(&format.to_lowercase(), &receiver.url("/hook"), &spec)?;
        receivers.push(receiver);
    }
    let paid = Event::new(r#"{"status":"paid","total":12.50}"#)
        .key("order-17")
        .header("x-tenant", "acme")
        .at(1_700_000_000_007);
    let gone = Event::tombstone("order-18").at(1_700_000_000_120);
    scene.produce([paid, gone]).await?;
    let _worker = scene.worker().await?;
    scene.all_committed().await?;

    let [batch, single, envelope, raw] = &receivers[..] else {
        anyhow::bail!("four receivers");
    };
    let topic_id = kafka.topic_id(&scene.topic).await?;
    let ids = [0, 1].map(|offset| format!("{}/0/{offset}/{topic_id}", scene.topic));
    let expected = cloud_events(&scene.topic, &ids);

    let media_type = "application/cloudevents-batch+json; charset=UTF-8";
    let mut batched = Vec::new();
    for request in sent(batch, "cloudeventsbatch", Some(media_type))? {
        let events = body(&request)?;
        batched.extend(events.as_array().context("no array")?.clone());
    }
    assert_eq!(batched, expected);

    let media_type = "application/cloudevents+json; charset=UTF-8";
    let requests = sent(single, "cloudevents", Some(media_type))?;
    let bodies: Vec<Value> = requests.iter().map(body).collect::<Result<_>>()?;
    assert_eq!(bodies, expected);

    let mut enveloped = Vec::new();
    for request in sent(envelope, "json", Some("application/json"))? {
        let Value::Object(mut body) = body(&request)? else {
            anyhow::bail!("no object");
        };
        let events = body.remove("events").context("no events")?;
        enveloped.extend(events.as_array().context("no array")?.clone());
        assert!(body.is_empty(), "{body:?}");
    }
    assert_eq!(enveloped, in_envelope(&scene.topic, &ids));

    let requests = sent(raw, "raw", None)?;
    let shown = requests.iter().map(|request| {
        let header = |name| request.header(name);
        let tombstone = header("parcelhook-tombstone");
        (&*request.body, header("content-type"), tombstone)
    });
    let value = &br#"{"status":"paid","total":12.50}"#[..];
    let raw = [
        (value, Some("application/json"), None),
        (&b""[..], None, Some("true")),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), raw);
    Ok(())
}

/// The requests that a target sent, with the headers that all formats have in common.
fn sent(receiver: &Receiver, target: &str, content: Option<&str>) -> Result<Vec<Arc<Request>>> {
    let requests = receiver.requests();
    for request in &requests {
        if content.is_some() {
            assert_eq!(request.header("content-type"), content);
        }
        assert_eq!((request.method.as_str(), &*request.path), ("POST", "/hook"));
        let id = request.header("webhook-id").context("no webhook-id")?;
        assert!(id.starts_with("txn_"), "{id}");
        assert_eq!(request.header("idempotency-key"), Some(id));
        let name = format!("default/{target}");
        assert_eq!(request.header("parcelhook-target"), Some(&*name));
        assert_eq!(request.header("parcelhook-attempt"), Some("1"));
        let agent = request.header("user-agent").context("no user-agent")?;
        assert!(agent.starts_with("parcelhook/"), "{agent}");
    }
    Ok(requests)
}

fn body(request: &Arc<Request>) -> Result<Value> {
    Ok(serde_json::from_slice(&request.body)?)
}

fn cloud_events(topic: &str, ids: &[String; 2]) -> [Value; 2] {
    let source = format!("kafka:///{topic}");
    let paid = json!({
        "specversion": "1.0", "id": ids[0], "source": source, "type": "com.example.order",
        "time": "2023-11-14T22:13:20.007Z", "subject": "order-17", "partitionkey": "order-17",
        "kafkaheaders": "x-tenant=acme", "datacontenttype": "application/json",
        "data": {"status": "paid", "total": 12.50},
    });
    let gone = json!({
        "specversion": "1.0", "id": ids[1], "source": source, "type": "com.example.order",
        "time": "2023-11-14T22:13:20.120Z", "subject": "order-18", "partitionkey": "order-18",
    });
    [paid, gone]
}

fn in_envelope(topic: &str, ids: &[String; 2]) -> [Value; 2] {
    let paid = json!({
        "id": ids[0], "topic": topic, "partition": 0, "offset": 0,
        "timestamp": "2023-11-14T22:13:20.007Z", "key": "order-17",
        "headers": [{"name": "x-tenant", "value": "acme"}],
        "data": {"status": "paid", "total": 12.50},
    });
    let gone = json!({
        "id": ids[1], "topic": topic, "partition": 0, "offset": 1,
        "timestamp": "2023-11-14T22:13:20.120Z", "key": "order-18", "headers": [],
    });
    [paid, gone]
}

#[tokio::test]
async fn what_comes_while_a_transaction_is_in_flight_goes_into_the_next() -> Result<()> {
    let scene = Scene::new("batching", 1).await?;
    let receiver = scene.receiver("gated")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    let worker = scene.worker().await?;
    scene.produce_to_each(1, 1).await?;
    receiver.arrived(1, SOON).await?;

    scene.produce_to_each(1, 250).await?;
    eventually("all events read", SOON, async || {
        let pending = target(&worker, "gated").await?["pendingEvents"].clone();
        ensure!(pending == 251, "{pending} are pending");
        Ok(())
    })
    .await?;
    assert_eq!(receiver.count(), 1, "one transaction in flight");
    gate.open();
    scene.caught_up(&receiver).await?.kept_exactly_once()?;
    let accepted = receiver.accepted()?;
    let sizes: Vec<_> = accepted.iter().map(|sent| sent.events.len()).collect();
    assert_eq!(sizes, [1, 100, 100, 50]);
    Ok(())
}

#[tokio::test]
async fn targets_share_a_topic_and_each_gets_what_its_filter_selects() -> Result<()> {
    let scene = Scene::new("filters", 2).await?;
    let filters = [
        json!({"headers": [{"name": "region", "values": ["eu", "uk"]}]}),
        json!({"keys": [{"type": "Prefix", "value": "b-"}, {"value": "exact"}]}),
    ];
    let mut receivers = Vec::new();
    for (name, filter) in ["by-header", "by-key"].into_iter().zip(filters) {
        let receiver = Receiver::start()?;
        let sources = json!([{"topic": scene.topic, "filter": filter}]);
        scene.target(name, &receiver.url("/"), &json!({"sources": sources}))?;
        receivers.push(receiver);
    }
    let mut wanted = [Expected::default(), Expected::default()];
    let mut events = Vec::new();
    for n in 0..60 {
        let region = ["eu", "us", "uk"][n % 3];
        let key = ["a-1", "b-1", "exact", "exactly", "x"][n % 5];
        let event = Event::new(format!("{n}")).header("region", region).key(key);
        events.push(event.to(i32::from(n % 2 == 1)));
    }
    // The last events of both partitions are wanted by nobody.
    events.extend((0..10).map(|n| Event::new("unwanted").to(n % 2)));
    let produced = scene.produce(events.clone()).await?;
    for (event, (partition, offset)) in events.iter().zip(produced.positions) {
        let region = event.headers.first().map(|(_, value)| &**value);
        if region.is_some_and(|region| region == b"eu" || region == b"uk") {
            wanted[0].add(&scene.topic, partition, [offset]);
        }
        let key = event.key.as_deref().unwrap_or_default();
        if key.starts_with(b"b-") || key == b"exact" {
            wanted[1].add(&scene.topic, partition, [offset]);
        }
    }

    let _worker = scene.worker().await?;
    scene.all_committed().await?;
    for (receiver, wanted) in receivers.iter().zip(&wanted) {
        delivered(receiver, wanted).await?.kept_exactly_once()?;
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_committed_as_it_passes() -> Result<()> {
    let scene = Scene::new("unwanted", 1).await?;
    let receiver = Receiver::start()?;
    let filter = json!({"keys": [{"value": "never"}]});
    let sources = json!([{"topic": scene.topic, "filter": filter}]);
    scene.target("picky", &receiver.url("/"), &json!({"sources": sources}))?;
    let _worker = scene.worker().await?;
    scene.produce_to_each(1, 50).await?;
    scene.all_committed().await?;
    assert_eq!(receiver.count(), 0);
    Ok(())
}
