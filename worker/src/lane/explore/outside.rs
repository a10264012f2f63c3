//! What outlives a worker: the group's commit, the retry and lanes topics, and the receiver.
//!
//! Owns the one judgement that needs no explanation: an event that arrives while an earlier one never
//! did is out of order. The lanes topic is kept as compaction leaves it, the last record of a key; who
//! takes a partition over reads it into the shipped [`Table`].

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use parcelhook_crds::lane::{Entry, Epoch, Incarnation, LaneRow, Scope, Terminator};

use super::configuration::Knows;
use super::variant::{Variant, is};
use crate::lane::takeover::Predecessor;
use crate::source::PartitionId;
use crate::state::RowPlace;
use crate::state::table::{Inherited, Table, scope_of};

pub(super) const GROUP: &str = "g";

/// A record of the retry topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) incarnation: Incarnation,
    pub(super) prev: Option<i64>,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) by_reference: bool,
}

/// A record of the retry topic as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parked {
    pub(super) run: Rc<Run>,
    pub(super) at: i64,
}

/// An event on its way into the dead-letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    pub(super) event: i64,
    pub(super) by_place: bool,
}

/// A record of the lanes topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Note {
    pub(super) epoch: Epoch,
    pub(super) what: What,
}

/// What a record of the lanes topic says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Terminator(i64),
    Row(Rc<LaneRow>),
    Tombstone,
}

/// What the lanes topic has under one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Shelf {
    terminator: Option<i64>,
    row: Option<Rc<LaneRow>>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outside {
    /// The group's commit: events below this are done.
    pub(super) committed: i64,
    /// The commit's metadata.
    pub(super) epoch: Epoch,
    /// The configuration in it.
    pub(super) knows: Knows,
    /// The one bucket of the retry topic.
    pub(super) bucket: Vec<Parked>,
    lanes: BTreeMap<Epoch, Shelf>,
    /// Events that the receiver or the dead-letter topic has: all below this, from where its target begins.
    pub(super) delivered: i64,
    /// Whether that is known.
    pub(super) begun: bool,
    /// Events above it that the dead-letter topic has, a bit each.
    given_up: u64,
    /// Events that the dead-letter topic has and the receiver never had, a bit each.
    only_letters: u64,
    /// Last event that the receiver has had, if any.
    newest: i64,
    /// What was parked before is too old.
    pub(super) clock: i64,
    /// What should never have happened.
    pub(super) wrong: Option<&'static str>,
    /// Epochs that were taken.
    epochs: u64,
}

/// The epoch of the commit that the group begins with.
const FIRST: Epoch = Epoch { n: 0, random: 0 };

impl Outside {
    /// Nobody has begun. `knows` is what the group's first commit was made under.
    pub(super) fn new(knows: Knows) -> Self {
        Self {
            committed: 0,
            epoch: FIRST,
            knows,
            begun: knows.has_lane(),
            bucket: Vec::new(),
            lanes: BTreeMap::new(),
            delivered: 0,
            given_up: 0,
            only_letters: 0,
            newest: -1,
            clock: 0,
            wrong: None,
            epochs: 0,
        }
    }

    /// What a new owner finds in the group's commit.
    pub(super) fn predecessor(&self, own: Knows) -> Predecessor {
        let found = match self.knows {
            found if own < found && is(Variant::RunsWhatIsOlder) => own,
            found if own > found && is(Variant::SendsBeforeItsCommit) => own,
            found => found,
        };
        Predecessor {
            epoch: Some(self.epoch),
            cfg: found.cfg(),
        }
    }

    /// An owner runs with the lane's target from here on. Once the group's commit knows the target, it
    /// gets everything from the first such place on.
    pub(super) fn promise(&mut self, from: i64) {
        if self.knows.has_lane() {
            self.begin_at(from);
        }
    }

    /// What the target has once it gets everything behind, too.
    fn begin_at(&mut self, first: i64) {
        if !self.begun {
            (self.begun, self.delivered) = (true, first);
        }
    }

    /// Whether the lane's target has all that it is owed of so many events.
    pub(super) fn has_all(&self, events: i64) -> bool {
        !self.begun || self.delivered == events
    }

    /// The receiver gets events.
    pub(super) fn arrive(&mut self, (first, last): (i64, i64)) {
        self.begin_at(first);
        if first > self.delivered {
            self.wrong = Some("an event was delivered while an earlier one never was");
        }
        self.delivered = self.delivered.max(last + 1);
        self.pass_given_up();
    }

    /// What arrived came from the owner, and not late: where an owner has given an event up, nobody
    /// delivers it behind later ones.
    pub(super) fn arrived_in_time(&mut self, (first, last): (i64, i64)) {
        let arrived = ((1 << (last + 1 - first)) - 1) << first;
        let behind = self.only_letters & arrived;
        if behind != 0 && i64::from(behind.trailing_zeros()) < self.newest {
            self.wrong = Some("an event that was given up was delivered behind later ones");
        }
        self.only_letters &= !arrived;
        self.newest = self.newest.max(last);
    }

    /// The dead-letter topic takes an event. Returns an offset.
    pub(super) fn give_up(&mut self, letter: Letter) -> i64 {
        self.begin_at(letter.event);
        self.given_up |= 1 << letter.event;
        if letter.event > self.newest {
            self.only_letters |= 1 << letter.event;
        }
        self.pass_given_up();
        0
    }

    fn pass_given_up(&mut self) {
        while self.given_up >> self.delivered & 1 == 1 {
            self.delivered += 1;
        }
        self.given_up &= !((1 << self.delivered) - 1);
    }

    /// The retry topic takes a run. Returns its offset.
    pub(super) fn append(&mut self, run: Rc<Run>) -> i64 {
        let at = self.clock;
        self.bucket.push(Parked { run, at });
        self.end() - 1
    }

    /// End of the bucket.
    pub(super) fn end(&self) -> i64 {
        self.bucket.len() as i64
    }

    /// The lanes topic takes a record. Returns an offset.
    pub(super) fn note(&mut self, note: &Note) -> i64 {
        let shelf = self.lanes.entry(key(note.epoch)).or_default();
        match &note.what {
            What::Terminator(frontier) => shelf.terminator = Some(*frontier),
            What::Row(row) => shelf.row = Some(Rc::clone(row)),
            What::Tombstone => shelf.row = None,
        }
        self.lanes.retain(|_, shelf| *shelf != Shelf::default());
        0
    }

    /// Fresh random bits for an epoch.
    pub(super) fn random(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }

    /// What the commit's epoch leaves to a new owner.
    pub(super) fn inherited(&self, metadata: Epoch) -> Inherited {
        self.table().inherited(&place(), Some(key(metadata)))
    }

    /// Whether there is something that the owner of an epoch may take away.
    pub(super) fn has_stale(&self, own: Epoch) -> bool {
        !self.table().stale(&place(), own).is_empty()
    }

    /// Takes it away.
    pub(super) fn sweep(&mut self, own: Epoch) {
        for key in self.table().stale(&place(), own) {
            self.lanes.remove(&key.scope.epoch);
        }
    }

    /// Forgets what was written under epochs that are neither committed nor can be.
    pub(super) fn forget_all_but(&mut self, owner: Option<Epoch>) {
        let committed = self.epoch;
        if !is(Variant::RowsWithoutEpoch) {
            self.lanes
                .retain(|epoch, _| *epoch == committed || Some(*epoch) == owner);
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(GROUP);
        for (epoch, Shelf { terminator, row }) in &self.lanes {
            let scope: Scope = scope_of(GROUP, &place(), *epoch);
            if let Some(row) = row {
                let row = Box::new(LaneRow::clone(row));
                table.apply(Entry::Lane(scope.clone(), super::NAME, row));
            }
            if let Some(frontier) = *terminator {
                table.apply(Entry::Terminator(scope, Terminator { frontier }));
            }
        }
        table
    }
}

/// The one source partition.
pub(super) fn place() -> RowPlace {
    RowPlace {
        source: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        topic_id: None,
    }
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
        let epoch = short(self.epoch);
        write!(
            f,
            "committed {committed} under {epoch} by who knows {:?}, delivered below {delivered}; bucket",
            self.knows
        )?;
        for Parked { run, .. } in &self.bucket {
            let prev = run.prev.map_or("-".to_owned(), |prev| prev.to_string());
            let epoch = short(run.incarnation.epoch);
            let counter = run.incarnation.counter;
            write!(
                f,
                " [{}..={} after {prev} in {epoch}.{counter}]",
                run.first, run.last
            )?;
        }
        for (epoch, shelf) in &self.lanes {
            write!(f, "; {}", short(*epoch))?;
            if let Some(row) = &shelf.row {
                let epoch = short(row.incarnation.epoch);
                let counter = row.incarnation.counter;
                let (through, resume) = (row.delivered_through, row.resume_offset);
                write!(f, " {epoch}.{counter} through {through} from {resume}")?;
            }
            if let Some(frontier) = shelf.terminator {
                write!(f, " terminated at {frontier}")?;
            }
        }
        Ok(())
    }
}
