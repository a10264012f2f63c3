//! Every type that crosses a process boundary: `DeliveryTarget` and the compiled target. No I/O.

pub mod compiled;
pub mod secret;
pub mod spec;
