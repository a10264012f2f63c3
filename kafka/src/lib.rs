//! What the worker and the operator share of Kafka.
//!
//! [`given`] is how somebody wants Kafka to be reached, checked; [`connection`] what becomes of it, and the
//! properties of each client. [`topics`] are Parcelhook's own. [`by_hand()`] makes the consumers that join no
//! group. [`Journal`] writes what librdkafka says to the log, and [`clock`] reads the clocks. What is read
//! from topics and written to them is not decided here.

mod by_hand;
pub mod clock;
pub mod connection;
mod fault;
pub mod given;
mod journal;
mod key;
mod owned;
pub mod topics;
pub mod value;

pub use by_hand::{ByHand, Logged, by_hand};
pub use fault::{Fault, Faults, Origin, Sourced};
pub use journal::Journal;
pub use key::Key;
pub use owned::objection;
