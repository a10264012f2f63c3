//! The real parts that the tests and the bench run against: Apache Kafka, a Kubernetes API server, HTTP
//! receivers, worker processes, and the checker that compares what was produced with what was delivered.
//!
//! Three manners hold everywhere. Nothing outlives the run: every child process dies with the
//! process that started it, also when that is killed ([`process`]). Everything that costs time to
//! make is made once, under `target/`, and never half ([`directories`]). All traffic stays on
//! 127.0.0.0/8 ([`network`]).

pub mod certificates;
pub mod check;
pub mod clock;
pub mod directories;
mod eventually;
pub mod fetch;
pub mod hostile;
pub mod kafka;
pub mod kubernetes;
pub mod network;
pub mod process;
pub mod receiver;
mod serving;
pub mod tools;
pub mod worker;

pub use eventually::eventually;

use std::io::Write as _;

/// Tells the person who waits what the environment is doing.
///
/// Written past the test harness, which would keep it back until a test fails. Nobody reads a
/// closed standard error, so a failure to write is no failure.
pub(crate) fn announce(what: &str) {
    let _ = writeln!(std::io::stderr(), "parcelhook_env: {what}");
}
