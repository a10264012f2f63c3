//! Tests against real parts: Apache Kafka, HTTP and TLS servers, processes.
//!
//! Some modules test the environment itself: a test that stands on it proves something only when it
//! does what it says. The others run workers in it, each in a [`scene::Scene`].

// The environment.
mod cluster;
mod hostile;
mod kafka;
mod processes;
mod receivers;

// The worker.
mod brokers;
mod crashes;
mod delivery;
mod isolation;
mod letting_go;
mod rebalances;
mod scene;
mod starts;
