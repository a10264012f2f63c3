//! What outlives a worker: the group's commit, the retry and lanes topics, and the receiver.
//!
//! Owns the one judgement that needs no explanation: an event that arrives while an earlier one never
//! did is out of order. Rows are kept as compaction leaves them, the last one of a key.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use parcelhook_crds::lane::{Epoch, LaneRow};

use super::session::Run;
use super::variant::{Variant, is};

/// What the lanes topic has under one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shelf {
    pub(super) terminator: bool,
    pub(super) row: Option<Rc<LaneRow>>,
}

/// A record of the lanes topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Note {
    pub(super) epoch: Epoch,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Terminator,
    Row(Rc<LaneRow>),
    Tombstone,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outside {
    /// The group's commit: events below this are done.
    pub(super) committed: i64,
    /// The commit's metadata.
    pub(super) epoch: Epoch,
    /// The one bucket of the retry topic.
    pub(super) bucket: Vec<Rc<Run>>,
    pub(super) lanes: BTreeMap<Epoch, Shelf>,
    /// Events that the receiver has: all below this.
    pub(super) delivered: i64,
    /// What should never have happened.
    pub(super) wrong: Option<&'static str>,
    /// Epochs that were taken, for their random bits.
    pub(super) epochs: u64,
}

/// The epoch of the commit that a group begins with.
pub(super) const FIRST: Epoch = Epoch { n: 0, random: 0 };

impl Outside {
    pub(super) fn new() -> Self {
        Self {
            committed: 0,
            epoch: FIRST,
            bucket: Vec::new(),
            lanes: BTreeMap::new(),
            delivered: 0,
            wrong: None,
            epochs: 0,
        }
    }

    /// The receiver gets events.
    pub(super) fn arrive(&mut self, (first, last): (i64, i64)) {
        if first > self.delivered {
            self.wrong = Some("an event was delivered while an earlier one never was");
        }
        self.delivered = self.delivered.max(last + 1);
    }

    /// The retry topic takes a run. Returns its offset.
    pub(super) fn append(&mut self, run: Rc<Run>) -> i64 {
        self.bucket.push(run);
        self.end() - 1
    }

    /// End of the bucket.
    pub(super) fn end(&self) -> i64 {
        self.bucket.len() as i64
    }

    /// The lanes topic takes a record.
    pub(super) fn note(&mut self, note: &Note) {
        let shelf = self.lanes.entry(key(note.epoch)).or_default();
        match &note.what {
            What::Terminator => shelf.terminator = true,
            What::Row(row) => shelf.row = Some(Rc::clone(row)),
            What::Tombstone => shelf.row = None,
        }
    }

    /// The row that counts under an epoch.
    pub(super) fn row(&self, epoch: Epoch) -> Option<&Rc<LaneRow>> {
        self.lanes.get(&key(epoch))?.row.as_ref()
    }

    /// A new epoch, above all that are known.
    pub(super) fn take_epoch(&mut self, above: Epoch) -> Epoch {
        let highest = self.lanes.keys().map(|epoch| epoch.n).max();
        self.epochs += 1;
        Epoch {
            n: 1 + above.n.max(highest.unwrap_or(0)),
            random: self.epochs,
        }
    }

    /// Forgets rows of epochs that are neither committed nor can be.
    pub(super) fn forget_all_but(&mut self, owner: Epoch) {
        let committed = self.epoch;
        if !is(Variant::RowsWithoutEpoch) {
            self.lanes.retain(|epoch, _| *epoch == committed || *epoch == owner);
        }
    }

    /// Whether rows are left that the owner of an epoch may take away.
    pub(super) fn has_stale(&self, own: Epoch) -> bool {
        self.lanes.keys().any(|epoch| is_stale(*epoch, own))
    }

    /// Takes them away.
    pub(super) fn sweep(&mut self, own: Epoch) {
        self.lanes.retain(|epoch, _| !is_stale(*epoch, own));
    }
}

fn is_stale(epoch: Epoch, own: Epoch) -> bool {
    epoch != own && epoch.n <= own.n
}

/// A plain compacted topic has one key a lane.
fn key(epoch: Epoch) -> Epoch {
    if is(Variant::RowsWithoutEpoch) {
        FIRST
    } else {
        epoch
    }
}

/// For traces: as short as a person needs it.
impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |epoch: Epoch| format!("{}.{}", epoch.n, epoch.random);
        let (committed, delivered) = (self.committed, self.delivered);
        write!(f, "committed {committed} under {}, delivered below {delivered}; bucket", short(self.epoch))?;
        for run in &self.bucket {
            let prev = run.prev.map_or("-".to_owned(), |prev| prev.to_string());
            let (epoch, counter) = (short(run.incarnation.epoch), run.incarnation.counter);
            write!(f, " [{}..={} after {prev} in {epoch}.{counter}]", run.first, run.last)?;
        }
        for (epoch, shelf) in &self.lanes {
            write!(f, "; {} {}", short(*epoch), if shelf.terminator { "terminated" } else { "open" })?;
            if let Some(row) = &shelf.row {
                let (inc, through, resume) = (row.incarnation, row.delivered_through, row.resume_offset);
                write!(f, " row {}.{} through {through} from {resume}", short(inc.epoch), inc.counter)?;
            }
        }
        Ok(())
    }
}
