//! What can happen in a world.

use super::configuration::Knows;

/// A topic of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Retry,
    Lanes,
    DeadLetters,
}

/// What happens to a session, or what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The tail tells which rows count.
    Told,
    /// The reader tells where the bucket ends.
    BucketEnds,
    /// The group's commit, and we know.
    Commit,
    /// The group's commit, and we do not know yet.
    CommitUnheard,
    /// Now we know.
    CommitHeard,
    /// The other target takes its oldest event.
    Other,
    /// The roll-out reaches the worker.
    Configure,
    /// What is the oldest on its way to a topic is there, and we know.
    Lands(Topic),
    /// It is there, and we do not know yet.
    LandsSilently(Topic),
    /// Now we know.
    Acked(Topic),
    /// We hear that it did not land. It may have.
    Refused(Topic, bool),
    /// It is too large.
    TooLarge(Topic),
    /// The producer failed for good.
    ProducerReplaced,
    /// The reader brings what there is.
    Scan,
    /// An attempt starts.
    Launch,
    /// It is delivered.
    Delivered,
    /// It fails. The receiver may have it.
    Failed { reached: bool },
    /// It is put off for a moment.
    Throttled,
    /// It is cut off.
    Aborted,
    /// Time passes.
    Wake,
    /// The next event of the source is read.
    Read,
    /// The lane is over its budget.
    Leave,
    /// Too much waits for a cut-over.
    Full,
    /// The target is suspended.
    Suspend,
    /// It is suspended no longer.
    Resume,
    /// Somebody asks for an attempt now.
    Hurry,
    /// What earlier owners wrote is taken away.
    Sweep,
}

impl Act {
    /// What happens when nothing goes wrong, in the order in which it is tried.
    pub(super) const FAULTLESS: [Self; 18] = [
        Self::Told,
        Self::BucketEnds,
        Self::Resume,
        Self::Acked(Topic::Lanes),
        Self::Acked(Topic::Retry),
        Self::Acked(Topic::DeadLetters),
        Self::Lands(Topic::Lanes),
        Self::Lands(Topic::Retry),
        Self::Lands(Topic::DeadLetters),
        Self::Delivered,
        Self::Scan,
        Self::Launch,
        Self::CommitHeard,
        Self::Commit,
        Self::Wake,
        Self::Other,
        Self::Read,
        Self::Configure,
    ];

    /// What goes wrong, or is needed by nobody.
    pub(super) const OTHERS: [Self; 22] = [
        Self::Sweep,
        Self::CommitUnheard,
        Self::Failed { reached: false },
        Self::Failed { reached: true },
        Self::Throttled,
        Self::Aborted,
        Self::LandsSilently(Topic::Retry),
        Self::LandsSilently(Topic::Lanes),
        Self::LandsSilently(Topic::DeadLetters),
        Self::Refused(Topic::Retry, false),
        Self::Refused(Topic::Retry, true),
        Self::Refused(Topic::Lanes, false),
        Self::Refused(Topic::Lanes, true),
        Self::Refused(Topic::DeadLetters, false),
        Self::Refused(Topic::DeadLetters, true),
        Self::TooLarge(Topic::Retry),
        Self::TooLarge(Topic::DeadLetters),
        Self::ProducerReplaced,
        Self::Leave,
        Self::Full,
        Self::Suspend,
        Self::Hurry,
    ];
}

/// A step of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody else becomes the owner. The old one goes on as a zombie; another zombie may end with it.
    TakeOver { forget: Option<u8>, knows: Knows },
    /// The owner crashes, and somebody else takes over. Of what was on its way, so much landed.
    Crash {
        retry: u8,
        lanes: u8,
        letters: u8,
        knows: Knows,
    },
    /// What was parked so far is too old from now on.
    Age,
    /// A request of a crashed session arrives.
    LateRequest,
    /// What a dead producer had on its way arrives.
    LateWrite(Topic),
    /// Of the session with this number.
    Of(u8, Act),
}
