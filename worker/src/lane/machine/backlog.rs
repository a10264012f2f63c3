//! A lane that is not live: parking, draining, cut-over.
//!
//! Owns what a successor finds in the lane's row, the runs on their way, and one reading of the bucket.
//! Everything that is asked of it is decided from its own state and the number of events that wait.

mod expiry;

use std::time::Instant;

use parcelhook_crds::lane::{
    Incarnation, LaneRow, LastFailure, Mode, NotBefore, ParkReason, Wants,
};

use super::drain::{Again, Drain, Drainable, DrainedRun, ROOM_FIRST};
use super::parks::Parks;
use super::row::{Lacks, RowWrites};
use super::weak::{Weakness, weakened};
use super::{Due, Event, Failed, Opening, Sight, Span, Work, Written};

/// A row tells how far a scan came without finding anything of the lane, once it is this far.
const SKIPPED_WORTH_A_ROW: i64 = 10_000;

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
    /// The last failed attempt.
    pub last_failure: Option<LastFailure>,
    /// Events parked and not delivered.
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
            parks: Parks::default(),
            row: RowWrites::written(),
            phase: Phase::Parking,
            drains: 0,
            suspended: false,
            resume_told: row.resume_offset,
            oversize: Oversize::default(),
            lost: 0,
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

    /// Bytes of parked events that the lane holds, or may when all lanes together leave it `most`.
    pub fn claim(&self, most: usize) -> usize {
        match &self.phase {
            Phase::Draining(drain) => drain.claim(most),
            Phase::Parking | Phase::CuttingOver { .. } => 0,
        }
    }

    /// Whether a record was skipped for what it follows, and what it follows never came. Such a lane
    /// does not go live by itself.
    pub fn has_gap(&self) -> bool {
        match &self.phase {
            Phase::Draining(drain) => drain.has_gap(),
            Phase::Parking | Phase::CuttingOver { .. } => false,
        }
    }

    /// Whether a gap is left although all that was parked is read: nothing comes that would close it.
    pub fn is_stopped(&self) -> bool {
        match &self.phase {
            Phase::Draining(drain) => {
                drain.has_gap()
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
                    return Some(Work::Attempt);
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
                    && drain.is_empty()
                    && !drain.has_gap()
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

    // Writing.

    /// Why the lane parks and when it tries again, for whoever reads it later: while the target is
    /// suspended that is the reason, and nothing is due. A successor may find it suspended no longer.
    fn told(&self) -> (ParkReason, NotBefore) {
        if self.suspended {
            (ParkReason::Suspended, NotBefore::Never)
        } else {
            (self.reason, self.due.not_before())
        }
    }

    /// The lane as a successor should find it.
    pub fn row(&self, bucket: i32) -> LaneRow {
        let (reason, not_before) = self.told();
        LaneRow {
            mode: match self.phase {
                Phase::Parking => Mode::Parking,
                Phase::Draining(_) | Phase::CuttingOver { .. } => Mode::Draining,
            },
            reason,
            incarnation: self.incarnation,
            delivered_through: self.delivered_through,
            attempted: self.attempted,
            bucket,
            resume_offset: self.resume_offset,
            attempts: self.attempts,
            not_before,
            since: self.since,
            oldest_parked_at: self.oldest_parked_at,
            last_failure: self.last_failure.clone(),
            parked: self.parked,
            parked_through: self.parked_through,
            last_request: self.last_request.clone(),
            wants: Wants::Everything,
            absent_since: None,
        }
    }

    pub(super) fn write_row(&mut self, number: u64, bucket: i32, now: Instant) -> LaneRow {
        self.row.produce(number, now);
        self.resume_told = self.resume_offset;
        self.row(bucket)
    }

    pub(super) fn row_for_new_epoch(&mut self, bucket: i32) -> LaneRow {
        self.row = RowWrites::written();
        self.resume_told = self.resume_offset;
        self.row(bucket)
    }

    pub(super) fn park(&mut self, number: u64, span: Span) -> Header {
        let prev = self.parks.produce(number, span);
        let (reason, not_before) = self.told();
        Header {
            incarnation: self.incarnation,
            reason,
            prev,
            attempts: self.attempts,
            since: self.since,
            not_before,
            by_reference: self.oversize.reference == Some(span.first),
        }
    }

    /// How many events the run that begins at an offset may have.
    pub fn run_limit(&self, first: i64, most: usize) -> usize {
        let alone = self.oversize.reference == Some(first);
        let singly = self
            .oversize
            .singly_through
            .is_some_and(|through| first <= through);
        if alone || singly { 1 } else { most }
    }

    pub(super) fn tombstone(&mut self, number: u64) {
        if let Phase::Draining(drain) = &self.phase
            && drain.is_cut_short()
        {
            self.count_lost(u64::MAX);
        }
        self.phase = Phase::CuttingOver {
            tombstone: Some(number),
        };
    }

    pub(super) fn written(&mut self, number: u64, offset: i64) -> Option<Written> {
        if let Phase::CuttingOver { tombstone } = self.phase
            && tombstone == Some(number)
        {
            return Some(Written::Tombstone);
        }
        if let Some(last) = self.parks.acked(number, offset) {
            self.parked_at(offset, last);
            return Some(Written::Park);
        }
        if let Some(why) = self.letter_written(number) {
            return Some(Written::DeadLetter(why));
        }
        self.row.acked(number).then_some(Written::Row)
    }

    /// An event that is not delivered lies below the place to read from only in another log than the one
    /// that was read: the bucket lost its tail, or was made again.
    fn parked_at(&mut self, offset: i64, last: i64) {
        if offset < self.resume_offset && last > self.delivered_through {
            self.resume_offset = offset;
            if let Phase::Draining(drain) = &mut self.phase {
                drain.is_astray();
            }
        }
    }

    pub(super) fn refused(&mut self, number: u64) {
        if let Phase::CuttingOver { tombstone } = &mut self.phase
            && *tombstone == Some(number)
        {
            *tombstone = None;
            return;
        }
        if !self.parks.failed(number) && !self.letter_refused(number) {
            self.row.failed(number);
        }
    }

    /// The topic does not take this run as it is.
    pub(super) fn too_large(&mut self, number: u64) {
        match self.parks.find(number) {
            Some((1, last)) => self.oversize.reference = Some(last),
            Some((_, last)) => self.oversize.singly_through = Some(last),
            None => {
                if let Phase::Draining(drain) = &mut self.phase {
                    drain.letter_too_large(number);
                }
            }
        }
        self.refused(number);
    }

    pub(super) fn settle(&mut self, terminated: bool, unix: i64) -> u32 {
        let is_known = terminated && self.row.is_known();
        if !is_known && !weakened(Weakness::SettlesBeforeRow) {
            return 0;
        }
        let Some((events, last)) = self.parks.settle() else {
            return 0;
        };
        // A successor parks again what its predecessor had not committed: that is counted once.
        let counted = self.parked_through.is_none_or(|through| last > through);
        if counted {
            self.parked += u64::from(events);
            self.parked_through = Some(last);
            self.row.changed(Lacks::Count);
        }
        self.oldest_parked_at.get_or_insert(unix);
        events
    }

    /// The queue's events up to this offset were delivered, and no copy of any is on its way.
    pub(super) fn passed_by(&self) -> Option<i64> {
        self.parks.is_empty().then_some(self.delivered_through)
    }

    // Draining.

    pub(super) fn begin_drain(&mut self) -> (u32, i64, usize) {
        self.drains += 1;
        let from = self.resume_offset;
        let drain = Drain::new(self.drains, self.delivered_through, from);
        self.phase = Phase::Draining(drain);
        (self.drains, from, ROOM_FIRST)
    }

    pub(super) fn drained(&mut self, number: u32, runs: Vec<DrainedRun<E>>, scanned_to: i64) {
        let incarnation = self.incarnation;
        let Phase::Draining(drain) = &mut self.phase else {
            return;
        };
        if drain.number != number {
            return;
        }
        let skipped = drain.take(incarnation, runs);
        drain.scanned(scanned_to);
        if drain.again(self.attempted) == Again::Part {
            drain.widen();
        }
        self.count_lost(skipped);
        self.follow();
    }

    /// Takes over from the drain how far it came.
    fn follow(&mut self) {
        let Phase::Draining(drain) = &self.phase else {
            return;
        };
        if let Some(parked_at) = drain.oldest_parked_at() {
            self.oldest_parked_at = Some(parked_at);
        }
        if drain.has_gap() {
            return;
        }
        self.resume_offset = self.resume_offset.max(drain.resume_offset());
        if self.resume_offset - self.resume_told >= SKIPPED_WORTH_A_ROW {
            self.row.changed(Lacks::Progress);
        }
    }

    pub(super) fn cut(&mut self, number: u32, log_start: i64, lost: bool) {
        if let Phase::Draining(drain) = &mut self.phase
            && drain.number == number
        {
            drain.cut(log_start, lost);
            self.resume_offset = log_start;
        }
    }

    pub(super) fn more(&mut self, most: usize) -> Option<(u32, usize)> {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let wanted = drain.wanted(most)?;
        drain.grant(wanted);
        Some((drain.number, wanted))
    }

    pub(super) fn drainable(&self) -> Option<Drainable<'_, E>> {
        let Phase::Draining(drain) = &self.phase else {
            return None;
        };
        if !drain.may_begin() {
            return None;
        }
        match drain.again(self.attempted) {
            Again::Whole(events) => Some(drain.drainable(Some(events))),
            Again::None | Again::Part | Again::Broken => Some(drain.drainable(None)),
        }
    }

    /// All that was ever parked has been read, and nothing is on its way.
    fn has_read_all(&self, drain: &Drain<E>) -> bool {
        self.parks.is_empty() && drain.has_scanned(self.parked_end())
    }

    /// Whether the next transaction can be formed. One that was attempted waits until all of it is there,
    /// or what is missing will not come: not from the bucket, and not from the source, where a successor
    /// may not have read it yet.
    fn has_transaction(&self, drain: &Drain<E>, position: i64) -> bool {
        match drain.again(self.attempted) {
            Again::Whole(_) | Again::None | Again::Broken => !drain.is_empty(),
            Again::Part => {
                let parked = self.has_read_all(drain);
                let read = self.attempted.is_none_or(|(_, last)| last < position);
                parked && read
            }
        }
    }

    pub(super) fn start_drain(&mut self, events: u32) -> Option<u32> {
        let Phase::Draining(drain) = &mut self.phase else {
            return None;
        };
        let span = drain.start(events)?;
        if self.attempted.is_some_and(|attempted| attempted != span) {
            self.attempted = None;
        }
        if weakened(Weakness::PassesWhatIsSent) {
            self.passed(span.1);
        }
        Some(self.attempts.saturating_add(1))
    }

    pub(super) fn drain_aborted(&mut self) {
        if let Phase::Draining(drain) = &mut self.phase {
            drain.aborted();
            self.stop_if_suspended();
        }
    }

    pub(super) fn drain_delivered(&mut self) -> bool {
        let Phase::Draining(drain) = &mut self.phase else {
            return false;
        };
        let Some((events, last)) = drain.delivered() else {
            return false;
        };
        let had_failed = self.attempts > 0;
        self.passed(last);
        self.parked = self.parked.saturating_sub(u64::from(events));
        self.attempts = 0;
        self.follow();
        self.row.changed(if had_failed {
            Lacks::State
        } else {
            Lacks::Progress
        });
        self.stop_if_suspended();
        had_failed
    }

    fn stop_if_suspended(&mut self) {
        if self.suspended {
            self.stop_draining();
        }
    }

    pub(super) fn drain_failed(&mut self, failed: Failed) {
        let Phase::Draining(drain) = &mut self.phase else {
            return;
        };
        self.attempted = drain.span().or(self.attempted);
        self.stop_draining();
        self.has_failed(failed);
    }

    /// Back to waiting. What was read is thrown away; the bucket has it.
    fn stop_draining(&mut self) {
        self.phase = Phase::Parking;
        self.row.changed(Lacks::State);
    }

    // The attempt that was in flight when the lane left live.

    pub(super) fn insured_delivered(&mut self, span: Span) {
        self.passed(span.last);
        self.attempts = 0;
        self.row.changed(Lacks::State);
    }

    pub(super) fn insured_failed(&mut self, span: Span, failed: Failed) {
        self.reason = ParkReason::Failed;
        self.attempted = Some((span.first, span.last));
        self.has_failed(failed);
    }

    fn passed(&mut self, last: i64) {
        self.delivered_through = self.delivered_through.max(last);
        if self.attempted.is_some_and(|(_, end)| end <= last) {
            self.attempted = None;
        }
    }

    fn has_failed(&mut self, failed: Failed) {
        self.attempts = self.attempts.saturating_add(1);
        self.due = failed.due;
        self.last_failure = Some(failed.failure);
        self.row.changed(Lacks::State);
    }

    // What people and configuration ask for.

    /// What the row says beside the machine's own state has changed.
    pub(super) fn changed(&mut self) {
        self.row.changed(Lacks::State);
    }

    /// The lane has stopped and a person gives up what is up to `offset`, which cannot be beyond what is
    /// parked. Returns how far it went; none in a lane that has not stopped.
    pub(super) fn skip_to(&mut self, offset: i64, due: Due) -> Option<i64> {
        if !self.has_gap() || self.drain_is_attempting() {
            return None;
        }
        let to = offset.min(self.parked_through.unwrap_or(offset));
        self.passed(to);
        self.stop_draining();
        self.due = due;
        Some(to)
    }

    fn drain_is_attempting(&self) -> bool {
        matches!(&self.phase, Phase::Draining(drain) if drain.is_attempting())
    }

    /// Nothing of the lane is wanted any more: only its tombstone is left to write.
    pub(super) fn end(&mut self) {
        if !self.is_cut() {
            self.phase = Phase::CuttingOver { tombstone: None };
        }
    }

    pub(super) fn hurry(&mut self, now: Instant, unix: i64) {
        if !self.is_cut() && !self.suspended && !self.due.has_come(now) {
            self.due = Due::At(now, unix);
            self.row.changed(Lacks::State);
        }
    }

    pub(super) fn suspend(&mut self, suspended: bool, now: Instant, unix: i64) {
        if self.suspended == suspended {
            return;
        }
        self.suspended = suspended;
        if suspended {
            self.due = Due::Never;
            if let Phase::Draining(drain) = &self.phase
                && !drain.is_attempting()
                && !drain.is_giving_up()
            {
                self.stop_draining();
            }
        } else {
            self.attempts = 0;
            self.due = Due::At(now, unix);
        }
        self.row.changed(Lacks::State);
    }
}
