//! When traces are exported, and what a collector receives.

use std::sync::mpsc;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use tracing_subscriber::layer::SubscriberExt;

use super::super::attempt_log::Attempted;
use super::super::attempt_span::AttemptSpan;
use super::super::traceparent::TraceParent;
use super::*;
use crate::admin::fixture;
use crate::background::Background;
use crate::delivery::Outcome;

/// A test waits no longer than this for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const EVENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &[u8] = b"00-11111111111111111111111111111111-2222222222222222-01";

#[test]
fn only_the_standard_variables_switch_traces_on() {
    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    const EXACT: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x");
    let export = |url: &str| Wish::Export(url.to_owned());
    let table: [(&[(&str, &str)], Wish); 11] = [
        (&[], Wish::Off),
        (&[BASE], export("http://c:4318/v1/traces")),
        (&[EXACT], export("http://t/x")),
        (&[BASE, EXACT], export("http://t/x")),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], Wish::Off),
        (&[BASE, ("OTEL_SDK_DISABLED", "TRUE")], Wish::Off),
        (
            &[BASE, ("OTEL_SDK_DISABLED", "no")],
            export("http://c:4318/v1/traces"),
        ),
        (&[BASE, ("OTEL_TRACES_EXPORTER", "none")], Wish::Off),
        (
            &[BASE, ("OTEL_TRACES_EXPORTER", "otlp")],
            export("http://c:4318/v1/traces"),
        ),
        (
            &[
                BASE,
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            Wish::Off,
        ),
        (
            &[EXACT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            export("http://t/x"),
        ),
    ];
    for (variables, expected) in table {
        assert_eq!(wish_of(variables), expected, "{variables:?}");
    }
    let nowhere = wish_of(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert!(
        matches!(nowhere, Wish::Unsupported(text) if text.contains("OTEL_EXPORTER_OTLP_ENDPOINT")),
        "{nowhere:?}"
    );
    for unsupported in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let wish = wish_of(&[BASE, unsupported]);
        assert!(
            matches!(wish, Wish::Unsupported(text) if text.contains(unsupported.0)),
            "{wish:?}"
        );
    }
}

fn wish_of(variables: &[(&str, &str)]) -> Wish {
    wish(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// A collector on a port of the kernel's choice, and what it receives.
fn collector(background: &Background) -> (String, mpsc::Receiver<(HeaderMap, Bytes)>) {
    let (sender, received) = mpsc::sync_channel(16);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let stopping = background.stopping();
    background
        .runtime("collector", move || async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let routes = Router::new().route(
                "/v1/traces",
                post(async move |headers: HeaderMap, body: Bytes| {
                    sender.send((headers, body)).unwrap();
                }),
            );
            axum::serve(listener, routes)
                .with_graceful_shutdown(stopping)
                .await
        })
        .unwrap();
    (format!("http://{address}/v1/traces"), received)
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_collector_receives_the_attempt_with_its_links() {
    let background = Background::new();
    let (endpoint, received) = collector(&background);
    let traces = Traces::start(&endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let carried = tracing::subscriber::with_default(subscriber, || {
        let attempted = Attempted {
            namespace: "shop",
            target: "billing",
            transaction: "txn_1",
            topic: "orders",
            partition: 0,
            offsets: (7, 8),
            events: 2,
            attempt: 2,
        };
        let events = [Some(EVENT), Some(OTHER)];
        let span = AttemptSpan::start(&attempted, events.into_iter());
        let carried = span.traceparent().unwrap();
        span.end(&fixture::attempt(Outcome::Gone, Some(410)));
        carried
    });
    traces.shutdown(PATIENCE);
    let (headers, body) = received.recv_timeout(PATIENCE).unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let own = TraceParent::parse(carried.as_bytes()).unwrap();
    for linked in [EVENT, OTHER] {
        let linked = TraceParent::parse(linked).unwrap();
        assert!(contains(&body, &linked.trace_id()), "{linked}");
        assert_ne!(own.trace_id(), linked.trace_id());
    }
    assert!(contains(&body, &own.trace_id()));
    assert!(
        contains(&body, &own.parent_id()),
        "the request carries the span itself"
    );
    for word in ["delivery.attempt", "parcelhook-worker", "billing", "txn_1"] {
        assert!(contains(&body, word.as_bytes()), "{word}");
    }
    background.stop();
}

#[test]
fn the_trace_of_a_single_event_goes_on() {
    let background = Background::new();
    let (endpoint, received) = collector(&background);
    let traces = Traces::start(&endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let carried = tracing::subscriber::with_default(subscriber, || {
        let attempted = Attempted {
            namespace: "shop",
            target: "billing",
            transaction: "txn_1",
            topic: "orders",
            partition: 0,
            offsets: (7, 7),
            events: 1,
            attempt: 1,
        };
        let span = AttemptSpan::start(&attempted, [Some(EVENT)].into_iter());
        span.traceparent().unwrap()
    });
    traces.shutdown(PATIENCE);
    let own = TraceParent::parse(carried.as_bytes()).unwrap();
    let event = TraceParent::parse(EVENT).unwrap();
    assert_eq!(own.trace_id(), event.trace_id());
    assert_ne!(own.parent_id(), event.parent_id());
    let (_, body) = received.recv_timeout(PATIENCE).unwrap();
    assert!(contains(&body, &event.parent_id()));
    background.stop();
}

#[test]
fn shutdown_ends_when_the_collector_does_not_answer() {
    // It accepts connections by its backlog and reads nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let traces = Traces::start(&endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    tracing::subscriber::with_default(subscriber, || {
        drop(tracing::info_span!("something"));
    });
    traces.shutdown(Duration::from_millis(50));
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_without_being_repeated() {
    let error = Traces::start("hunter2 hunter2").unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}
