//! Tests against real parts: Apache Kafka, a Kubernetes API server, HTTP and TLS servers, processes.
//!
//! Some modules test the environment itself: a test that stands on it proves something only when it
//! does what it says. The others run the real worker in it, each at a [`site::Site`], or in
//! a [`scene::Scene`] on one.

// The environment.
mod cluster;
mod hostile;
mod kafka;
mod processes;
mod receivers;

// Where a test's worker, topics and receivers live.
mod manifest;
mod scene;
mod site;
mod told;

// What it delivers, and what happens when something fails.
mod brokers;
mod crashes;
mod delivery;
mod drain_reader;
mod expiry;
mod faults;
mod isolation;
mod lane_rows;
mod letting_go;
mod lost_requests;
mod memory;
mod ownership;
mod parking;
mod parking_orders;
mod parking_topics;
mod rebalances;
mod starts;

// The resource on an API server, and the environment's API server.
mod kubernetes;

// How it is configured and reached.
mod check_command;
mod configuration;
mod dev_command;
mod kafka_access;
mod revisions;
mod vanished;

// Whom it talks to, and what it tells.
mod admin;
mod egress;
mod hostile_targets;
mod secrets;
mod tls;
mod tracing;
