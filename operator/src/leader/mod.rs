//! Who writes: one of several operators, by a Lease.
//!
//! [`elector`] decides, and is pure; [`lease`] asks and writes as it says. Everything that a leader writes
//! is recomputed from what is there and replaced only as it was read, so that two leaders for a moment
//! do no harm; the Lease keeps them from working against each other for longer.

pub mod elector;
