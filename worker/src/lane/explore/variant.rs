//! The protocol as it is, and the variants of it that must be caught.
//!
//! A rule that the machine keeps is left out there ([`Weakness`]); one that lies in how a session or a
//! broker behaves is left out here.

use std::cell::Cell;

use crate::lane::machine::weak::{self, Weakness};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// As it is.
    Sound,
    /// One of the machine's rules is left out.
    Machine(Weakness),
    /// Rows are written and read without their epoch.
    RowsWithoutEpoch,
    /// The coordinator takes commits of owners that lost the partition.
    ZombieCommits,
    /// An epoch counts before its rows are written.
    CountsBeforeRows,
    /// Rows of other epochs are taken away before the own epoch counts.
    SweepsBeforeCommit,
    /// A park that timed out is produced again by the producer, behind later ones.
    ParksAgainBehind,
    /// A lane over its budget parks only what is behind the attempt in flight.
    ParksBehindAttempt,
    /// A new producer goes on under the old epoch.
    KeepsEpoch,
    /// A newer configuration sends before a commit carries it.
    SendsBeforeItsCommit,
    /// The gate of a new target opens with any commit that is high enough.
    AnyCommitOpens,
    /// A partition is run with an older configuration than before.
    RunsWhatIsOlder,
}

thread_local! {
    static PRESENT: Cell<Variant> = const { Cell::new(Variant::Sound) };
}

/// From now on this thread explores that variant.
pub(super) fn choose(variant: Variant) {
    PRESENT.set(variant);
    let weakness = if let Variant::Machine(weakness) = variant {
        Some(weakness)
    } else {
        None
    };
    weak::weaken(weakness);
}

/// Whether this thread explores that variant.
pub(super) fn is(variant: Variant) -> bool {
    PRESENT.get() == variant
}
