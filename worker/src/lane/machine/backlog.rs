//! A lane that is not live: parking, draining, cut-over.
//!
//! Owns what a successor finds in the lane's row, the runs on their way, and one reading of the bucket.
//! Everything that is asked of it is decided from its own state and the number of events that wait.

mod asked;
mod behind;
mod draining;
mod expiry;
mod writing;

use std::time::Instant;

use parcelhook_crds::lane::{Incarnation, LaneRow, LastFailure, NotBefore, ParkReason};

use self::behind::Behind;
use super::drain::Drain;
use super::parks::Parks;
use super::row::{Lacks, RowWrites};
use super::weak::{Weakness, weakened};
use super::{Due, Event, Opening, Sight, Work};

/// What a parked record says about its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The DOWN period.
    pub incarnation: Incarnation,
    /// Why the lane parks.
    pub reason: ParkReason,
    /// Last source offset that was parked before in this incarnation by this owner.
    pub prev: Option<i64>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When the lane left live, milliseconds since the Unix epoch.
    pub since: i64,
    /// When the next attempt may be made.
    pub not_before: NotBefore,
    /// The one event of the run is parked by its place only.
    pub by_reference: bool,
}

/// What a lane does while it is not live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase<E> {
    /// Until the next attempt is due.
    Parking,
    /// Parked events are read and sent.
    Draining(Drain<E>),
    /// The tombstone is on its way.
    CuttingOver {
        /// Its number; none when it failed and must be produced again.
        tombstone: Option<u64>,
    },
}

/// Runs that the topic did not take as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Oversize {
    /// Events up to this offset go one a record.
    singly_through: Option<i64>,
    /// This event is parked by its place.
    reference: Option<i64>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backlog<E> {
    /// The DOWN period.
    pub incarnation: Incarnation,
    /// Why the lane parks.
    pub reason: ParkReason,
    /// Every event up to this source offset was delivered or dead-lettered.
    pub delivered_through: i64,
    /// First and last offset of the transaction that was attempted and goes again as it was.
    pub attempted: Option<(i64, i64)>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When the next attempt may be made.
    pub due: Due,
    /// When the lane left live, milliseconds since the Unix epoch.
    pub since: i64,
    /// When the oldest parked event was parked, milliseconds since the Unix epoch.
    pub oldest_parked_at: Option<i64>,
    /// Whether only its place is parked, as far as is known.
    pub oldest_is_elsewhere: bool,
    /// The last failed attempt.
    pub last_failure: Option<LastFailure>,
    /// Events parked and not delivered. A predecessor's row may not have told of its last ones: they
    /// count once all is read that was parked.
    pub parked: u64,
    /// Highest source offset that was ever parked in this incarnation.
    pub parked_through: Option<i64>,
    /// Offset of the bucket below which nothing of the lane is needed.
    pub resume_offset: i64,
    /// The last request that the lane acted on.
    pub last_request: Option<String>,
    /// Offset of the bucket that must be read past before the lane may be live again.
    need: i64,
    parks: Parks,
    row: RowWrites,
    phase: Phase<E>,
    drains: u32,
    suspended: bool,
    /// Where the last row said that reading begins.
    resume_told: i64,
    oversize: Oversize,
    /// Events that retention took and nobody was told of.
    lost: u64,
    /// Events that were delivered by the attempt with which the lane left live, and of which copies are on
    /// their way all the same: they do not count as parked.
    insured: u32,
    behind: Behind,
}

impl<E: Event> Backlog<E> {
    pub(super) fn opened(incarnation: Incarnation, reason: ParkReason, opening: Opening) -> Self {
        Self {
            incarnation,
            reason,
            delivered_through: opening.first - 1,
            attempted: None,
            attempts: 0,
            due: Due::Never,
            since: opening.unix,
            oldest_parked_at: None,
            oldest_is_elsewhere: false,
            last_failure: None,
            parked: 0,
            parked_through: None,
            resume_offset: opening.bucket_end,
            last_request: None,
            need: 0,
            parks: Parks::default(),
            row: RowWrites::unwritten(),
            phase: Phase::Parking,
            drains: 0,
            suspended: false,
            resume_told: opening.bucket_end,
            oversize: Oversize::default(),
            lost: 0,
            insured: 0,
            behind: Behind::default(),
        }
    }

    pub(super) fn resumed(row: LaneRow, need: i64, due: Due) -> Self {
        Self {
            incarnation: row.incarnation,
            reason: row.reason,
            delivered_through: row.delivered_through,
            attempted: row.attempted,
            attempts: row.attempts,
            due,
            since: row.since,
            oldest_parked_at: row.oldest_parked_at,
            // It is known once the event is read.
            oldest_is_elsewhere: false,
            last_failure: row.last_failure,
            parked: row.parked,
            parked_through: row.parked_through,
            // A bucket that ends below it is another one than when the row was written.
            resume_offset: if row.resume_offset > need {
                0
            } else {
                row.resume_offset
            },
            last_request: row.last_request,
            need,
            parks: Parks::behind(row.parked_through),
            row: RowWrites::written(),
            phase: Phase::Parking,
            drains: 0,
            suspended: false,
            resume_told: row.resume_offset,
            oversize: Oversize::default(),
            lost: 0,
            insured: 0,
            behind: Behind::inherited(row.delivered_through),
        }
    }

    /// Whether parked events are being sent.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(_))
    }

    /// Whether the lane waits for its next attempt.
    pub fn is_parking(&self) -> bool {
        matches!(self.phase, Phase::Parking)
    }

    /// Whether a row of this incarnation is written under the partition's epoch.
    pub fn has_row(&self) -> bool {
        self.row.is_known()
    }

    /// Whether a successor would not find the lane as it is, and nothing is on its way.
    pub fn owes_row(&self) -> bool {
        self.row.is_owed() && !self.is_cut()
    }

    /// Whether rows, runs or dead letters are on their way.
    pub fn is_writing(&self) -> bool {
        self.row.is_in_flight() || !self.parks.is_empty() || self.is_giving_up()
    }

    /// Whether the target is suspended.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The reading of the bucket that is under way.
    pub fn drain(&self) -> Option<u32> {
        match &self.phase {
            Phase::Draining(drain) => Some(drain.number),
            Phase::Parking | Phase::CuttingOver { .. } => None,
        }
    }

    /// How many of the queue's events are on their way, when the others may wait a while for more to
    /// share a record: the lane waits for its next attempt, or for the answer to one, and something is
    /// parked already. A lane with nothing parked would be live again when it is due, and its failures
    /// forgotten.
    pub fn gathers_behind(&self) -> Option<u64> {
        let waits = self.is_parking() || self.drain_is_attempting();
        (waits && self.parked > 0).then(|| self.parks.events())
    }

    /// Bytes of parked events that the lane holds, or may when all lanes together leave it `most`.
    pub fn claim(&self, most: usize) -> usize {
        match &self.phase {
            Phase::Draining(drain) => drain.claim(most),
            Phase::Parking | Phase::CuttingOver { .. } => 0,
        }
    }

    /// Whether something that was parked is not there: what a record follows never came, or all is read and
    /// the last that is known to be parked was not in it. Such a lane does not go live by itself.
    pub fn has_gap(&self) -> bool {
        match &self.phase {
            Phase::Draining(drain) => self.lacks_some(drain),
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    /// Whether a gap is left although all that was parked is read: nothing comes that would close it.
    pub fn is_stopped(&self) -> bool {
        match &self.phase {
            Phase::Draining(drain) => {
                self.lacks_some(drain)
                    && drain.is_empty()
                    && !drain.is_attempting()
                    && self.has_read_all(drain)
            }
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    /// When the next attempt is due, milliseconds since the Unix epoch; none while parked events are sent,
    /// and when none comes by itself.
    pub fn next_attempt(&self) -> Option<i64> {
        match (&self.phase, self.due) {
            (Phase::Parking, Due::At(_, unix)) => Some(unix),
            (Phase::Parking, Due::Never) | (Phase::Draining(_) | Phase::CuttingOver { .. }, _) => {
                None
            }
        }
    }

    /// Whether the tombstone is on its way.
    pub fn is_cut(&self) -> bool {
        matches!(self.phase, Phase::CuttingOver { .. })
    }

    // What there is to do.

    pub(super) fn work(&self, now: Instant, sight: Sight, insured: bool) -> Option<Work> {
        if let Phase::CuttingOver { tombstone } = self.phase {
            return tombstone.is_none().then_some(Work::Tombstone);
        }
        if self.row.is_due(now) {
            return Some(Work::WriteRow);
        }
        let skip = self.parks.events();
        let holds = self.holds(insured) && !sight.hold_is_full;
        if sight.waiting > skip && sight.may_park && self.parks.has_room() && !holds {
            return Some(Work::Park { skip });
        }
        // Only when nothing of the queue is left behind may the lane be live.
        let all_seen = holds || sight.waiting == skip;
        self.drain_work(now, sight, insured, all_seen)
    }

    fn drain_work(
        &self,
        now: Instant,
        sight: Sight,
        insured: bool,
        all_seen: bool,
    ) -> Option<Work> {
        match &self.phase {
            Phase::Parking => {
                let alone = !insured || weakened(Weakness::DrainsBesideAttempt);
                let wanted = self.may_send(now) || self.is_overdue(sight.ages);
                (wanted && alone && self.row.is_known()).then_some(Work::BeginDrain)
            }
            Phase::Draining(drain) => {
                if let Some(work) = self.giving_up_work(drain, now, sight) {
                    return work;
                }
                let idle = !drain.is_attempting() && !self.suspended;
                if idle && self.has_transaction(drain, sight.position) {
                    return self.attempt_work(sight);
                }
                if all_seen && self.holds(insured) && self.may_cut_over(drain) {
                    return Some(Work::Tombstone);
                }
                drain.wanted(sight.room_most).map(|_| Work::More)
            }
            Phase::CuttingOver { .. } => None,
        }
    }

    /// Whether new events wait instead of being parked, because the lane is about to be live.
    pub(super) fn holds(&self, insured: bool) -> bool {
        match &self.phase {
            Phase::Draining(drain) => {
                !insured
                    && !self.suspended
                    && self.awaits_commit().is_none()
                    && drain.is_empty()
                    && !self.lacks_some(drain)
                    && drain.has_scanned(self.parked_end())
            }
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    /// All that was parked is read and delivered, and nothing is on its way.
    fn may_cut_over(&self, drain: &Drain<E>) -> bool {
        self.parks.is_empty()
            && !self.row.is_in_flight()
            && !drain.is_attempting()
            && drain.has_scanned(self.parked_end())
    }

    /// Offset of the bucket behind everything that was ever parked and may count.
    fn parked_end(&self) -> i64 {
        let known = |weakness, end| if weakened(weakness) { 0 } else { end };
        let own = known(Weakness::ForgetsOwnParks, self.parks.end());
        own.max(known(Weakness::ForgetsPredecessorsParks, self.need))
    }

    pub(super) fn wake(&self, insured: bool) -> Option<Instant> {
        let due = match (&self.phase, self.due) {
            // Before the row is known the lane waits for its ack, not for a time that may have passed.
            (Phase::Parking, Due::At(at, _))
                if !insured && !self.suspended && self.row.is_known() =>
            {
                Some(at)
            }
            (Phase::Parking | Phase::Draining(_) | Phase::CuttingOver { .. }, _) => None,
        };
        [due, self.row.wake()].into_iter().flatten().min()
    }
}
