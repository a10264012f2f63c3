//! Events that are given up: which, and why.

/// Why an event is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhyGivenUp {
    /// It was parked for longer than its target wants events to be kept, or than they can be.
    Expired,
    /// It was too large to be parked, and its source topic has it no more.
    SourceGone,
}

impl WhyGivenUp {
    /// The word in headers, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "Expired",
            Self::SourceGone => "SourceGone",
        }
    }
}

/// An event on its way into a dead-letter topic.
#[derive(Clone, Debug)]
pub struct GivenUp<E> {
    /// The event.
    pub event: E,
    /// Why.
    pub why: WhyGivenUp,
    /// The topic does not take the event itself.
    pub by_place: bool,
}

/// When an event was parked too long ago, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// What was parked before is given up.
    pub too_old: i64,
    /// The bucket is read for an event that was parked before: a little earlier than `too_old`, so that
    /// events which were parked one by one are given up together.
    pub overdue: i64,
    /// What was parked before, and by its place only, is given up: its source topic will not have it much
    /// longer.
    pub elsewhere: i64,
}

impl Ages {
    /// Nothing is ever too old.
    pub const ENDLESS: Self = Self {
        too_old: i64::MIN,
        overdue: i64::MIN,
        elsewhere: i64::MIN,
    };
}
