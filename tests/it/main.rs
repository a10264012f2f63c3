//! Tests against real parts: Apache Kafka, HTTP and TLS servers, processes.
//!
//! These modules test the environment itself: a test that stands on it proves something only when it
//! does what it says.

mod cluster;
mod hostile;
mod kafka;
mod processes;
mod receivers;
