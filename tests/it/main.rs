//! Tests against real parts: Apache Kafka, HTTP and TLS servers, processes.
//!
//! These modules test the environment itself: a test that stands on it proves something only when it
//! does what it says.

mod cluster;
mod configuration;
mod hostile;
mod hostile_targets;
mod kafka;
mod processes;
mod receivers;
mod site;
mod tls;
