//! telemetry
pub mod attempt_log;
