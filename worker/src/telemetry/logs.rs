//! Logs: JSON or text on standard error, filtered by level.
//!
//! Owns the set-up of the process's subscriber. What is logged is decided where it happens.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::otlp::{Traces, Wish, wish};

/// The filter when nobody gave one.
pub const DEFAULT_FILTER: &str = "info";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error(
        "log filter `{filter}`: {message}; use a level such as `info`, or `info,parcelhook_worker::lane=debug`"
    )]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is a subscriber already.
    #[error("logging was started twice in one process")]
    Twice,
}

/// Logs, and traces when the environment asks for them.
#[derive(Debug)]
#[must_use = "the last traces are only exported by `shutdown`"]
pub struct Telemetry {
    traces: Option<Traces>,
}

/// Starts logs for the whole process, and traces when the standard `OTEL_` variables ask for them.
/// A wish for traces that cannot be met is logged and delivers on without them.
///
/// # Errors
/// When the filter does not parse, or on a second call.
pub fn init(format: LogFormat, filter: &str) -> Result<Telemetry, LogError> {
    let filter = parse(filter)?;
    let wish = wish(|name| std::env::var(name).ok());
    let (traces, complaint) = match &wish {
        Wish::Off => (None, None),
        Wish::Unsupported(complaint) => (None, Some((*complaint).to_owned())),
        Wish::Export(endpoint) => match Traces::start(endpoint) {
            Ok(traces) => (Some(traces), None),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    tracing_subscriber::registry()
        .with(lines(format, std::io::stderr).with_filter(filter))
        .with(traces.as_ref().map(Traces::layer))
        .try_init()
        .map_err(|_| LogError::Twice)?;
    if let Some(complaint) = complaint {
        tracing::warn!(complaint, "running without traces");
    }
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Exports the last traces, within `timeout`. Blocks the thread; call it last.
    pub fn shutdown(self, timeout: std::time::Duration) {
        if let Some(traces) = self.traces {
            traces.shutdown(timeout);
        }
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let given = if filter.trim().is_empty() {
        DEFAULT_FILTER
    } else {
        filter
    };
    EnvFilter::builder()
        .parse(given)
        .map_err(|error| LogError::Filter {
            filter: filter.to_owned(),
            message: error.to_string(),
        })
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    if json {
        // Fields stand at the top level, where `target` is the delivery target, not the module.
        layer
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_span_list(false)
            .boxed()
    } else {
        layer.with_ansi(terminal).boxed()
    }
}

#[cfg(test)]
mod tests;
