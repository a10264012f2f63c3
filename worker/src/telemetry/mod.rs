//! What the worker tells the outside: logs, metrics, traces.
//!
//! Telemetry is an interface. Metric names stand in [`metrics`] alone, the wide log line of an attempt in
//! [`attempt_log`] alone, the lines of lanes that change in [`lane_log`] alone; label values come from closed sets; bodies, credentials and URLs
//! appear nowhere.

pub mod attempt_log;
pub mod attempt_span;
#[cfg(test)]
pub(crate) mod captured;
pub mod exposition;
pub mod lane_log;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod process;
pub mod traceparent;
