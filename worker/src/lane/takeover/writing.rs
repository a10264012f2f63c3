//! The rows of a partition, and the terminator after them, on their way under a new epoch.
//!
//! Owns what has become of each. The terminator goes out when every row is acknowledged: who finds it,
//! finds them all. What was refused is written again a moment later, all of it together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parcelhook_crds::lane::Epoch;

/// How long a refused write waits before it is made again.
pub(super) const WRITE_AGAIN: Duration = Duration::from_millis(200);

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Item {
    /// By place among the rows.
    Row(usize),
    Terminator,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Writing {
    epoch: Epoch,
    /// All rows are acknowledged, and the terminator is what is written.
    terminator: bool,
    in_flight: BTreeMap<u64, Item>,
    refused: BTreeSet<Item>,
    /// When what was refused is written again.
    again: Option<Instant>,
}

/// What follows an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// Others are awaited.
    Wait,
    /// Every row is there.
    Terminator,
    /// Everything is.
    Commit,
}

impl Writing {
    /// Nothing is written yet.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            terminator: false,
            in_flight: BTreeMap::new(),
            refused: BTreeSet::new(),
            again: None,
        }
    }

    /// Under which epoch.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// An item is on its way.
    pub(super) fn sent(&mut self, number: u64, item: Item) {
        self.in_flight.insert(number, item);
    }

    /// The item that has that number; none for one of an epoch that was given up. It is on its way no
    /// more.
    pub(super) fn answered(&mut self, number: u64) -> Option<Item> {
        self.in_flight.remove(&number)
    }

    /// An item is there.
    pub(super) fn written(&mut self) -> Next {
        if !self.in_flight.is_empty() || !self.refused.is_empty() {
            Next::Wait
        } else if std::mem::replace(&mut self.terminator, true) {
            Next::Commit
        } else {
            Next::Terminator
        }
    }

    /// An item was refused.
    pub(super) fn refused(&mut self, item: Item, now: Instant) {
        self.refused.insert(item);
        self.again.get_or_insert(now + WRITE_AGAIN);
    }

    /// When [`Self::take_due`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again
    }

    /// What is to be written again now.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeSet<Item> {
        match self.again.take_if(|due| *due <= now) {
            Some(_) => std::mem::take(&mut self.refused),
            None => BTreeSet::new(),
        }
    }
}
