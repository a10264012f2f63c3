//! Explores what can become of a lane: the shipped machine in every order of events that a small world
//! allows.

mod acts;
mod coverage;
mod outside;
mod search;
mod session;
mod tests;
mod variant;
mod world;

use super::machine::Event;

/// An event of which only the place matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Dot(i64);

impl Event for Dot {
    fn offset(&self) -> i64 {
        self.0
    }

    fn cost(&self) -> usize {
        1
    }
}
