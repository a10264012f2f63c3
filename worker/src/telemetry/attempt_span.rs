//! The client span of one attempt, linked to the trace of each event in it.
//!
//! Owns the span and the trace context that the request carries on. Cheap while nobody listens: then
//! the span is disabled by its call site's cached interest, nothing is allocated, and only a
//! transaction of one event looks at a header, to pass its context on.

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::attempt_log::Attempted;
use super::traceparent::TraceParent;
use crate::delivery::{Attempt, Outcome};

/// Target of the span: the layer that exports traces asks for it by name, logs do not.
pub const TARGET: &str = "parcelhook::attempt";

/// Links of one span: the events of the largest transaction.
const MAX_LINKS: usize = 100;

/// The span of one attempt, and the context that its request carries.
#[derive(Clone, Debug)]
pub struct AttemptSpan {
    span: Span,
    carried: Option<TraceParent>,
}

impl AttemptSpan {
    /// Starts the span. `events` yields the `traceparent` header of each event of the transaction,
    /// as it was found. A single event's trace is continued, several events' traces are linked.
    pub fn start<'a>(
        attempted: &Attempted,
        events: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Self {
        let span = tracing::trace_span!(
            target: TARGET,
            parent: None,
            "delivery.attempt",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            http.request.resend_count = attempted.attempt.saturating_sub(1),
            http.response.status_code = tracing::field::Empty,
            messaging.system = "kafka",
            messaging.destination.name = attempted.topic,
            messaging.destination.partition.id = attempted.partition,
            messaging.batch.message_count = attempted.events,
            parcelhook.namespace = attempted.namespace,
            parcelhook.target = attempted.target,
            parcelhook.transaction = attempted.transaction,
        );
        let carried = if span.is_disabled() {
            sole(events)
        } else {
            connect(&span, events)
        };
        Self { span, carried }
    }

    /// The span, to run the attempt in.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The `traceparent` header of the request: of this span, or of the only event while nobody
    /// records spans.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.carried.and_then(|context| context.header())
    }

    /// Notes what the attempt came to, and ends the span unless someone else holds it.
    pub fn end(self, result: &Attempt) {
        if self.span.is_disabled() {
            return;
        }
        if let Some(status) = result.status {
            self.span.record("http.response.status_code", status);
        }
        if result.outcome != Outcome::Delivered {
            self.span.record("otel.status_code", "error");
            self.span.record("error.type", result.reason.as_str());
        }
    }
}

/// The context of the only event.
fn sole<'a>(mut events: impl Iterator<Item = Option<&'a [u8]>>) -> Option<TraceParent> {
    let only = events.next().flatten()?;
    if events.next().is_some() {
        return None;
    }
    TraceParent::parse(only)
}

/// Links the span to the events' traces and returns its own context.
fn connect<'a>(span: &Span, events: impl Iterator<Item = Option<&'a [u8]>>) -> Option<TraceParent> {
    let mut count = 0;
    let mut contexts = Vec::new();
    for header in events {
        count += 1;
        contexts.extend(header.and_then(TraceParent::parse));
    }
    let sole = (count == 1).then(|| contexts.first().copied()).flatten();
    if let Some(sole) = sole {
        let parent = opentelemetry::Context::new().with_remote_span_context(remote(sole));
        // It fails only when no layer exports traces; then there is nothing to continue.
        let _no_layer = span.set_parent(parent);
    }
    for context in contexts.into_iter().take(MAX_LINKS) {
        span.add_link(remote(context));
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    TraceParent::new(
        own.trace_id().to_bytes(),
        own.span_id().to_bytes(),
        own.is_sampled(),
    )
    .or(sole)
}

fn remote(context: TraceParent) -> SpanContext {
    let flags = if context.sampled() {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.parent_id()),
        flags,
        true,
        TraceState::NONE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn carried(events: &[Option<&[u8]>]) -> Option<HeaderValue> {
        let attempted = Attempted {
            namespace: "shop",
            target: "billing",
            transaction: "txn_1",
            topic: "orders",
            partition: 0,
            offsets: (0, 0),
            events: events.len(),
            attempt: 1,
        };
        AttemptSpan::start(&attempted, events.iter().copied()).traceparent()
    }

    #[test]
    fn without_export_the_context_of_a_single_event_is_passed_on() {
        assert_eq!(carried(&[Some(GOOD)]).unwrap().as_bytes(), GOOD);
    }

    #[test]
    fn without_export_several_events_carry_no_context() {
        assert_eq!(carried(&[Some(GOOD), Some(GOOD)]), None);
        assert_eq!(carried(&[Some(GOOD), None]), None);
    }

    #[test]
    fn a_malformed_context_is_dropped() {
        assert_eq!(carried(&[Some(b"00-evil\r\nx: y")]), None);
        assert_eq!(carried(&[None]), None);
        assert_eq!(carried(&[]), None);
    }
}
