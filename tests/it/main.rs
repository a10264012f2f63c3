//! Tests against real parts: Apache Kafka, HTTP and TLS servers, processes.
//!
//! The first four modules test the environment itself: a test that stands on it proves something
//! only when it does what it says.

mod cluster;
mod kafka;
mod processes;
mod receivers;
