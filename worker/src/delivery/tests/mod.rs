//! Attempts against real sockets: what a receiver sees, and what a hostile one can do.

pub(super) mod fixtures;
mod hostile;
mod requests;
mod reuse;
mod tls;
