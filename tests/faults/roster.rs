//! The targets of a run: what each wants, and how it behaves when nobody disturbs it.

use std::ops::Range;

use crate::{receiver::Mood, source::Taste};

/// One target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) taste: Taste,
    /// Its behaviour between faults.
    pub(crate) mood: Mood,
    /// The most events in one of its transactions.
    pub(crate) max_events: u16,
    /// Whether events that wait for the shortest time that can be set become dead letters.
    pub(crate) expires: bool,
}

/// All targets; a target's number is its place here.
pub(crate) const TARGETS: [Target; 8] = [
    // Never disturbed: whatever the others suffer, this one gets everything soon.
    target("steady", Taste::Everything, Mood::Healthy, 100),
    target("filtered", Taste::KindA, Mood::Healthy, 100),
    target("flapping", Taste::Everything, Mood::Flapping, 100),
    target("shaky", Taste::Everything, Mood::Shaky, 100),
    target("small", Taste::Everything, Mood::Healthy, 7),
    target("choosy", Taste::KindA, Mood::Flapping, 20),
    target("plain", Taste::Everything, Mood::Healthy, 100),
    // Refuses some events for good, so that they become dead letters, and others behind them.
    Target {
        expires: true,
        ..target("stubborn", Taste::Everything, Mood::Poison, 100)
    },
];

/// The number of the target that is never disturbed.
pub(crate) const STEADY: u8 = 0;

/// The numbers of the targets that faults disturb.
pub(crate) const DISTURBED: Range<u8> = 1..7;

/// The number of the target that refuses some events until the run ends.
pub(crate) const STUBBORN: u8 = 7;

/// The numbers of all targets.
pub(crate) fn all() -> impl Iterator<Item = (u8, &'static Target)> {
    (0..).zip(&TARGETS)
}

const fn target(name: &'static str, taste: Taste, mood: Mood, max_events: u16) -> Target {
    Target {
        name,
        taste,
        mood,
        max_events,
        expires: false,
    }
}
