//! Explores what can become of a lane: the shipped machine in every order of events that a small world
//! allows.

mod acts;
mod coverage;
mod luck;
mod outside;
mod ownership;
mod schedules;
mod search;
mod session;
mod step;
mod tests;
mod variant;
mod world;

use parcelhook_crds::lane::LaneName;

use super::machine::Event;

/// An event of which only the place matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Dot(i64);

impl Event for Dot {
    fn offset(&self) -> i64 {
        self.0
    }

    /// So much that a drain's first room holds two or three.
    fn cost(&self) -> usize {
        24 * 1024
    }
}

/// The one lane.
const NAME: LaneName = LaneName {
    target: uuid::Uuid::nil(),
    selection: [0; 16],
};
