//! What was given up stays behind what is sent after it.
//!
//! A successor that no row tells of it begins at the group's commit, or with what its own clock does not
//! find too old: it would deliver for the first time an event behind which later ones were delivered. So
//! nothing later is sent before a row tells of what was given up, and the lane is live again only when the
//! group's commit has passed it. Owns how far both have come.

use super::Backlog;
use crate::lane::machine::weak::{Weakness, weakened};
use crate::lane::machine::{Event, Machine, Sight, Work};

impl<E: Event> Machine<E> {
    /// The group's commit is at this offset.
    pub fn committed(&mut self, offset: i64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.behind.committed(offset);
        }
    }

    /// The least commit of the group that the lane waits for before it may be live again, if it does.
    pub fn awaits_commit(&self) -> Option<i64> {
        self.backlog.as_ref()?.awaits_commit()
    }
}

impl<E: Event> Backlog<E> {
    /// What is left to do before events may be sent that are ready.
    pub(super) fn attempt_work(&self, sight: Sight) -> Option<Work> {
        if self.behind.is_told(sight.counts) || weakened(Weakness::SendsBeforeRow) {
            return Some(Work::Attempt);
        }
        self.row.is_owed().then_some(Work::WriteRow)
    }

    /// The least commit with which the lane may be live again, if it has to wait for one.
    pub(super) fn awaits_commit(&self) -> Option<i64> {
        let awaited = self.behind.awaits_commit();
        awaited.filter(|_| !weakened(Weakness::LiveBeforeCommit))
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Behind {
    /// The last event that was given up, or may have been, and that the commit has not passed.
    through: Option<i64>,
    told: Told,
}

/// Whether a row tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Told {
    /// One that a successor finds, or there is nothing to tell.
    #[default]
    Yes,
    /// One that a successor finds once a commit carries its epoch.
    Written,
    /// It is on its way.
    Underway,
    No,
}

impl Behind {
    /// A predecessor's row says that everything is done up to this event; how, it does not say.
    pub(super) fn inherited(through: i64) -> Self {
        Self {
            through: Some(through),
            told: Told::Yes,
        }
    }

    /// Everything up to this event is done, and it was given up.
    pub(super) fn gave_up(&mut self, last: i64) {
        self.through = self.through.max(Some(last));
        self.told = Told::No;
    }

    /// A row goes out.
    pub(super) fn row_produced(&mut self) {
        if self.told == Told::No {
            self.told = Told::Underway;
        }
    }

    /// What became of it.
    pub(super) fn row_written(&mut self, written: bool) {
        if self.told == Told::Underway {
            self.told = if written { Told::Written } else { Told::No };
        }
    }

    /// A row of everything is written with the partition's new epoch.
    pub(super) fn row_of_new_epoch(&mut self) {
        if self.told != Told::Yes {
            self.told = Told::Written;
        }
    }

    /// The group's commit is at this offset.
    pub(super) fn committed(&mut self, offset: i64) {
        self.through = self.through.filter(|through| offset <= *through);
    }

    /// Whether what comes later may be sent, when a commit carries the owner's epoch, or none does.
    pub(super) fn is_told(self, counts: bool) -> bool {
        match self.told {
            Told::Yes => true,
            Told::Written => counts,
            Told::Underway | Told::No => false,
        }
    }

    /// The least commit with which the lane may be live again, if it has to wait for one.
    pub(super) fn awaits_commit(self) -> Option<i64> {
        self.through.map(|through| through + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_of_what_was_given_up_before_it_went_out() {
        let mut behind = Behind::default();
        assert!(behind.is_told(true));
        behind.gave_up(4);
        behind.row_produced();
        behind.gave_up(5);
        behind.row_written(true);
        assert!(!behind.is_told(true), "it tells of 4 only");
        behind.row_produced();
        behind.row_written(false);
        assert!(!behind.is_told(true));
        behind.row_produced();
        assert!(!behind.is_told(true));
        behind.row_written(true);
        assert!(behind.is_told(true) && !behind.is_told(false));
        behind.row_of_new_epoch();
        assert!(!behind.is_told(false));
    }

    #[test]
    fn a_commit_passes_what_lies_below_it() {
        let mut behind = Behind::inherited(7);
        assert!(behind.is_told(true));
        behind.committed(7);
        assert_eq!(behind.awaits_commit(), Some(8));
        behind.gave_up(9);
        behind.committed(8);
        assert_eq!(behind.awaits_commit(), Some(10));
        behind.committed(10);
        assert_eq!(behind.awaits_commit(), None);
    }
}
