//! Explores what can become of a lane: the shipped machine, take-over and ownership, in every order of
//! events that a small world allows.
//!
//! ```text
//!   tests ──▶ search ──▶ world ──▶ session (machine, take-over, ownership: as shipped)
//!   schedules ──▶┘         └────▶ outside (commit, retry and lanes topics, receiver)
//! ```
//!
//! `step` names what can happen, `luck` bounds how often, `variant` leaves rules out on purpose, and
//! `coverage` tells whether a search was worth something. One lane, one partition, one bucket; time is
//! either now or later. In some worlds workers have different configurations (`configuration`). How to ask for larger worlds: `docs/architecture.md`, "How the protocol is
//! checked".

mod acts;
mod configuration;
mod coverage;
mod fingerprint;
mod late;
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
