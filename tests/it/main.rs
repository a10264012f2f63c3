//! Tests against real parts: Apache Kafka, HTTP and TLS servers, processes.
//!
//! `cluster`, `hostile`, `kafka`, `processes` and `receivers` test the environment itself: a test that
//! stands on it proves something only when it does what it says. The others test the real worker;
//! `site` is where theirs live.

mod admin;
mod check_command;
mod cluster;
mod configuration;
mod dev_command;
mod egress;
mod hostile;
mod hostile_targets;
mod kafka;
mod kafka_access;
mod memory;
mod processes;
mod receivers;
mod secrets;
mod site;
mod tls;
mod tracing;
