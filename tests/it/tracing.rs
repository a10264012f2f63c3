//! Where time goes and where traces go: waiting times of background tasks, spans for a collector, and
//! the trace that a request carries.

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    kafka::Event,
    receiver::{Answer, Gate, Receiver, Request},
    worker::Worker,
};

use crate::{
    manifest::Manifest,
    site::{SOON, Site},
    told::shows,
};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// One event with a trace, delivered to a new receiver.
async fn one_traced_event(
    site: &Site<'_>,
    worker: impl AsyncFnOnce(&Site) -> Result<Worker>,
) -> Result<(Worker, Receiver)> {
    let topic = site.topic(1).await?;
    let receiver = Receiver::start()?;
    site.put(&Manifest::new("traced", &topic, &receiver.url("/")))?;
    let worker = worker(site).await?;
    let event = Event::new("1").header("traceparent", TRACEPARENT);
    site.kafka.produce(&topic, [event]).await?;
    receiver.arrived(1, SOON).await?;
    Ok((worker, receiver))
}

#[tokio::test]
async fn an_attempt_that_hangs_shows_as_time_waited_before_it_ends() -> Result<()> {
    let site = Site::new("waiting").await?;
    let topic = site.topic(1).await?;
    let receiver = Receiver::start()?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    site.put(&Manifest::new("hangs", &topic, &receiver.url("/")))?;
    let worker = site.worker().start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    receiver.arrived(1, SOON).await?;
    let waited = async |task: &str, cause: &str| {
        let labels = [("task", task), ("cause", cause)];
        let metrics = worker.metrics().await?;
        metrics
            .sum(
                "parcelhook_worker_background_waiting_seconds_total",
                &labels,
            )
            .with_context(|| format!("no sample of {task} waiting for {cause}"))
    };
    eventually("a second of waiting for HTTP", SOON, async || {
        let seconds = waited("shard", "http").await?;
        ensure!(seconds > 1.0, "{seconds} s");
        Ok(())
    })
    .await?;
    // The consumer waits for records, and that is not being busy.
    assert!(waited("consumer", "fetch").await? > 0.5);
    gate.open();
    shows(&worker, "hangs", "/counters/eventsDelivered", 1).await?;
    let ended = waited("shard", "http").await?;
    // No attempt is in flight, so nothing is added.
    assert!(waited("shard", "http").await? - ended < 0.001);
    Ok(())
}

#[tokio::test]
async fn without_a_collector_the_trace_of_a_single_event_is_passed_on() -> Result<()> {
    let site = Site::new("untraced").await?;
    let (_worker, receiver) =
        one_traced_event(&site, async |site| site.worker().start().await).await?;
    assert_eq!(
        receiver.requests()[0].header("traceparent"),
        Some(TRACEPARENT)
    );
    Ok(())
}

#[tokio::test]
async fn with_a_collector_spans_are_exported_and_the_request_continues_the_trace() -> Result<()> {
    let site = Site::new("traced").await?;
    let collector = Receiver::start()?;
    let start = async |site: &Site| {
        let worker = site.worker();
        let worker = worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url("/base"));
        worker.env("OTEL_BSP_SCHEDULE_DELAY", "100").start().await
    };
    let (_worker, receiver) = one_traced_event(&site, start).await?;
    let carried = receiver.requests()[0]
        .header("traceparent")
        .context("no trace")?
        .to_owned();
    let parts: Vec<&str> = carried.split('-').collect();
    assert_eq!(
        (parts[0], parts[1], parts[3]),
        ("00", TRACE_ID, "01"),
        "{carried}"
    );
    assert_ne!(carried, TRACEPARENT, "it is the attempt's own span");

    let span = parts[2];
    let is_export = |request: &Request| {
        let (id, trace) = (bytes(span), bytes(TRACE_ID));
        request.path == "/base/v1/traces"
            && request.header("content-type") == Some("application/x-protobuf")
            && [
                &id[..],
                &trace[..],
                b"delivery.attempt",
                b"parcelhook-worker",
            ]
            .iter()
            .all(|part| {
                request
                    .body
                    .windows(part.len())
                    .any(|window| window == *part)
            })
    };
    eventually("the attempt's span at the collector", SOON, async || {
        let requests = collector.requests();
        ensure!(
            requests.iter().any(|request| is_export(request)),
            "{} requests",
            requests.len()
        );
        Ok(())
    })
    .await
}

/// The bytes that hexadecimal digits stand for.
fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = |at| hexadecimal.get(at..at + 2).unwrap_or_default();
    let starts = (0..hexadecimal.len()).step_by(2);
    starts
        .filter_map(|at| u8::from_str_radix(digits(at), 16).ok())
        .collect()
}
