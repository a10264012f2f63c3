//! Ways to make the protocol wrong on purpose, one at a time.
//!
//! The explorer of `lane/explore` shows that it would notice: each of these loses or reorders events, or
//! leaves a lane standing. Outside of tests [`weakened`] is a constant `false`, and nothing of this is
//! compiled.

/// One rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lane) enum Weakness {
    /// Parked events count as done before the lane's row is acked.
    SettlesBeforeRow,
    /// Live again although parks of its own were not read.
    ForgetsOwnParks,
    /// Live again although parks of its predecessors were not read.
    ForgetsPredecessorsParks,
    /// Records of other incarnations are sent as well, and nobody asks what they follow: `prev` alone
    /// would still hold the order.
    TakesAnyIncarnation,
    /// Records are sent although what they follow is missing.
    TakesWithoutPredecessor,
    /// After a failed park only that one goes again, not what is behind it.
    RewindsNothing,
    /// A failed attempt opens an incarnation although its lane has left live before.
    OpensTwice,
    /// The row passes what is sent before it was delivered.
    PassesWhatIsSent,
    /// What is given up counts as done before its dead letter is acked.
    PassesUnwrittenLetters,
    /// What comes behind a given up event is sent before a row tells of that.
    SendsBeforeRow,
    /// Live again before the group's commit has passed what was given up.
    LiveBeforeCommit,
    /// Parked events are sent while the attempt that began live is in flight.
    DrainsBesideAttempt,
}

/// Whether this rule is left out.
#[cfg(not(test))]
pub(in crate::lane) const fn weakened(_: Weakness) -> bool {
    false
}

#[cfg(test)]
pub(in crate::lane) use by_tests::{weaken, weakened};

#[cfg(test)]
mod by_tests {
    use std::cell::Cell;

    use super::Weakness;

    thread_local! {
        static WEAKNESS: Cell<Option<Weakness>> = const { Cell::new(None) };
    }

    /// Whether this rule is left out on this thread.
    pub(in crate::lane) fn weakened(weakness: Weakness) -> bool {
        WEAKNESS.get() == Some(weakness)
    }

    /// Leaves a rule out on this thread, or none, from now on.
    pub(in crate::lane) fn weaken(weakness: Option<Weakness>) {
        WEAKNESS.set(weakness);
    }
}
