//! What a target's status says, and when it is written.
//!
//! The last phase: everything that is known becomes the one status that should be there; what differs
//! from the one that is there decides whether, and how soon, it is written. Pure.

pub mod condition;
mod damper;
mod desired;
mod difference;
mod news;
pub mod writes;

pub use damper::{Damper, Shown};
pub use desired::{Facts, Given, desired, written};
pub use difference::{Difference, REFRESH_AFTER, compare};
pub use news::{News, Teller};
