//! Traces to a collector, when the standard variables ask for it.
//!
//! Owns the exporter and its threads, which are the SDK's own. Without an endpoint in the environment
//! nothing of this starts. Variables: OpenTelemetry's "Environment Variable Specification" and "OTLP
//! Exporter Configuration"; none of our own. Export speaks HTTP with protobuf. Spans wait in the
//! SDK's bounded queue (`OTEL_BSP_MAX_QUEUE_SIZE`, 2048); what does not fit is dropped, so a
//! collector that hangs delays no event.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::attempt_span;

/// Name of the service unless the environment gives one.
const SERVICE_NAME: &str = "parcelhook-worker";

/// What the environment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No traces.
    Off,
    /// Traces to this URL, which may hold credentials.
    Export(String),
    /// Something that this worker cannot do; the text says what, and how to mend it.
    Unsupported(&'static str),
}

/// Reads the environment through `variable`. Empty counts as unset, as the specification asks.
pub fn wish(variable: impl Fn(&str) -> Option<String>) -> Wish {
    let get = |name| {
        variable(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let exporters = get("OTEL_TRACES_EXPORTER");
    let asks_for_otlp = exporters
        .as_deref()
        .map(|list| list.split(',').any(|one| one.trim() == "otlp"));
    let endpoint = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
        get("OTEL_EXPORTER_OTLP_ENDPOINT")
            .map(|base| format!("{}/v1/traces", base.trim_end_matches('/')))
    });
    let protocol =
        get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| get("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if disabled || exporters.as_deref() == Some("none") {
        return Wish::Off;
    }
    match (asks_for_otlp, endpoint, protocol.as_deref()) {
        (Some(false), _, _) => Wish::Unsupported(
            "OTEL_TRACES_EXPORTER names no exporter of this worker; set it to otlp or none",
        ),
        (Some(true), None, _) => Wish::Unsupported(
            "OTEL_TRACES_EXPORTER asks for otlp and no endpoint is given; set OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (None, None, _) => Wish::Off,
        (_, Some(endpoint), None | Some("http/protobuf")) => Wish::Export(endpoint),
        (_, Some(_), Some(_other)) => Wish::Unsupported(
            "OTEL_EXPORTER_OTLP_PROTOCOL is not supported; set it to http/protobuf",
        ),
    }
}

/// Export could not start.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported; check the OTEL_EXPORTER_OTLP_ variables")]
pub struct OtlpError;

/// The running export.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the export to `endpoint`, the full URL.
    ///
    /// # Errors
    /// When the URL or another of the variables cannot be used. The cause is left out: it may repeat
    /// credentials.
    pub fn start(endpoint: &str) -> Result<Self, OtlpError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error says that another thread was faster; then there is one.
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(|_may_hold_credentials| OtlpError)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Observed {
                exporter,
                failing: AtomicBool::new(false),
            })
            .with_resource(resource())
            .build();
        Ok(Self { provider })
    }

    /// The layer that turns spans into traces: the spans of attempts and what is at `info` or above.
    /// Log events stay out, a long-lived span would gather them without end.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let wanted: FilterFn = FilterFn::new(|metadata| {
            metadata.is_span()
                && (*metadata.level() <= Level::INFO || metadata.target() == attempt_span::TARGET)
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("parcelhook"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(wanted)
    }

    /// Exports what waits, within `timeout`. Blocks the thread.
    pub fn shutdown(self, timeout: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(timeout) {
            tracing::warn!(kind = kind(&error), "the last traces were not exported");
        }
    }
}

fn resource() -> Resource {
    let detected = Resource::builder().build();
    let named = detected
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named {
        builder.build()
    } else {
        builder.with_service_name(SERVICE_NAME).build()
    }
}

/// An exporter whose failures are logged when they begin and when they end. The SDK keeps them to
/// itself.
#[derive(Debug)]
struct Observed<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Observed<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !failed_before => {
                tracing::warn!(
                    kind = kind(error),
                    "traces cannot be exported; check the collector that OTEL_EXPORTER_OTLP_ENDPOINT names"
                );
            }
            Ok(()) if failed_before => tracing::info!("traces are exported again"),
            Ok(()) | Err(_) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The text of an error may repeat the endpoint with its credentials, so only its kind is shown.
fn kind(error: &OTelSdkError) -> &'static str {
    match error {
        OTelSdkError::AlreadyShutdown => "already shut down",
        OTelSdkError::Timeout(_) => "timeout",
        OTelSdkError::InternalFailure(_) => "request failed",
    }
}

#[cfg(test)]
mod tests;
