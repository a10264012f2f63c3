//! One lane's state machine.
//!
//! ```text
//!   LIVE ── not delivered, over budget, suspended ──▶ PARKING ── due ──▶ DRAINING ── nothing left ──▶ CUT-OVER ──▶ LIVE
//!                                                        ▲                  │
//!                                                        └── not delivered ─┘
//! ```
//!
//! Owns where a lane stands: its attempt, and while it is not live everything in [`Backlog`]. Pure:
//! events and the time go in, what to do is asked for with [`Machine::work`] and comes out as a value.
//! It does not know the lane's waiting events, which are in the partition's ledger; it counts them from
//! the front of the lane's queue. An event leaves the queue when it is delivered, or when its park, the
//! lane's row and the epoch's terminator are acked.
//!
//! Invariants: one attempt in flight; parks of an incarnation are produced in source order; live again
//! only when every parked event was delivered and the tombstone is acked.

mod backlog;
mod drain;
mod given_up;
mod letters;
mod live;
mod parks;
mod row;
#[cfg(test)]
mod tests;
pub(in crate::lane) mod weak;
mod words;

use std::time::Instant;

use parcelhook_crds::lane::{Incarnation, LaneRow, ParkReason};

pub use backlog::{Backlog, Header};
pub use drain::{DrainedRun, ROOM_FIRST};
pub use given_up::{Ages, GivenUp, WhyGivenUp};
pub use live::{Live, NotNow, Phase};
use weak::{Weakness, weakened};
pub use words::{After, Due, Event, Failed, Opening, Sight, Span, Work, Written};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine<E> {
    live: Live,
    /// Incarnations that this owner has opened.
    incarnations: u32,
    backlog: Option<Box<Backlog<E>>>,
}

impl<E> Default for Machine<E> {
    fn default() -> Self {
        Self {
            live: Live::default(),
            incarnations: 0,
            backlog: None,
        }
    }
}

impl<E: Event> Machine<E> {
    /// A lane that a predecessor left parking. `need` is where its bucket ended when that was known for
    /// certain; `due` is the row's own, bounded by what the target may be made to wait.
    pub fn resumed(row: LaneRow, need: i64, due: Due) -> Self {
        Self {
            backlog: Some(Box::new(Backlog::resumed(row, need, due))),
            ..Self::default()
        }
    }

    /// Whether events go straight to the webhook.
    pub fn is_live(&self) -> bool {
        self.backlog.is_none()
    }

    /// What a lane that is not live has.
    pub fn backlog(&self) -> Option<&Backlog<E>> {
        self.backlog.as_deref()
    }

    /// Where a live lane stands.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Failed attempts in a row.
    pub fn failures(&self) -> u32 {
        match &self.backlog {
            Some(backlog) => backlog.attempts,
            None => self.live.failures(),
        }
    }

    /// Whether a live lane may send: see [`Live::ready`]. A lane that is not live may not.
    ///
    /// # Errors
    /// [`NotNow`] while an attempt is in flight, the transaction is not due, or the lane is not live.
    pub fn ready(&self, now: Instant) -> Result<Option<u32>, NotNow> {
        match self.backlog {
            None => self.live.ready(now),
            Some(_) => Err(NotNow),
        }
    }

    /// A live attempt starts. Returns its number, from 1.
    pub fn start(&mut self, span: Span) -> u32 {
        debug_assert!(self.is_live(), "only a live lane sends from its queue");
        self.live.start(span)
    }

    /// The attempt that began live was delivered. When the lane has left live meanwhile, its events are
    /// parked as well, and only what may be skipped of them moves.
    pub fn delivered(&mut self) -> After {
        let span = self.live.delivered();
        match (&mut self.backlog, span) {
            (Some(backlog), Some(span)) => {
                backlog.insured_delivered(span);
                After::Work
            }
            (None, Some(span)) => After::Done {
                events: span.events,
            },
            (_, None) => After::Work,
        }
    }

    /// The attempt that began live failed: the lane parks.
    pub fn failed(&mut self, failed: Failed, opening: Opening) {
        let Some(span) = self.live.delivered() else {
            return;
        };
        match &mut self.backlog {
            // An insurance copy is on its way: its attempt opens no incarnation.
            Some(backlog) if !weakened(Weakness::OpensTwice) => {
                backlog.insured_failed(span, failed);
            }
            Some(_) | None => {
                let first = span.first;
                let mut backlog = self.opened(ParkReason::Failed, Opening { first, ..opening });
                backlog.insured_failed(span, failed);
                self.backlog = Some(backlog);
            }
        }
    }

    /// The attempt that began live failed, and the lane waits in its place: the same transaction goes
    /// again at `due`. In a lane that has left live meanwhile it counts as failed.
    pub fn failed_in_place(&mut self, failed: Failed) {
        match (&mut self.backlog, failed.due) {
            (None, Due::At(due, _)) => self.live.failed(due),
            (None, Due::Never) => self.live.failed_for_good(),
            (Some(backlog), _) => {
                if let Some(span) = self.live.delivered() {
                    backlog.insured_failed(span, failed);
                }
            }
        }
    }

    /// The attempt was cut off without an outcome.
    pub fn aborted(&mut self) {
        match &mut self.backlog {
            Some(backlog) if !self.live.is_attempting() => backlog.drain_aborted(),
            Some(_) | None => self.live.aborted(),
        }
    }

    /// Leaves live without a failure of its own: over its budget, or suspended. What is in flight or
    /// waits in its place is parked, too. Harmless when the lane is not live.
    pub fn leave(&mut self, reason: ParkReason, due: Due, opening: Opening) {
        if self.backlog.is_some() {
            return;
        }
        let mut backlog = self.opened(reason, opening);
        backlog.due = due;
        if let Some((span, failures)) = self.live.leave() {
            backlog.attempts = failures;
            backlog.attempted = Some((span.first, span.last));
        }
        self.backlog = Some(backlog);
    }

    fn opened(&mut self, reason: ParkReason, opening: Opening) -> Box<Backlog<E>> {
        self.incarnations += 1;
        let incarnation = Incarnation {
            epoch: opening.epoch,
            counter: self.incarnations,
        };
        Box::new(Backlog::opened(incarnation, reason, opening))
    }

    /// Whether new events wait instead of being parked, because the lane is about to be live. Only then
    /// does it matter how many wait.
    pub fn holds(&self) -> bool {
        let insured = self.live.is_attempting();
        self.backlog().is_some_and(|backlog| backlog.holds(insured))
    }

    /// What there is to do now. Ask until there is nothing; [`Work::Attempt`] may be left for later.
    pub fn work(&self, now: Instant, sight: Sight) -> Option<Work> {
        let backlog = self.backlog.as_ref()?;
        backlog.work(now, sight, self.live.is_attempting())
    }

    /// When [`Machine::work`] should be asked again, if nothing happens.
    pub fn wake(&self) -> Option<Instant> {
        match &self.backlog {
            Some(backlog) => backlog.wake(self.live.is_attempting()),
            None => self.live.wake(),
        }
    }
}

/// What a lane that is not live is told and asked. All of it is harmless in a lane that is live.
impl<E: Event> Machine<E> {
    /// The row to produce; its result comes back with `number`.
    pub fn write_row(&mut self, number: u64, bucket: i32, now: Instant) -> Option<LaneRow> {
        let backlog = self.backlog.as_mut()?;
        Some(backlog.write_row(number, bucket, now))
    }

    /// A run is produced, the queue's next events that are not on their way; its result comes back with
    /// `number`.
    pub fn park(&mut self, number: u64, span: Span) -> Option<Header> {
        Some(self.backlog.as_mut()?.park(number, span))
    }

    /// An order was written, at that offset of its partition. Says which it was; after it something of
    /// the queue may be done.
    pub fn written(&mut self, number: u64, offset: i64) -> Option<Written> {
        let written = self.backlog.as_mut()?.written(number, offset);
        if written == Some(Written::Tombstone) {
            self.backlog = None;
        }
        written
    }

    /// A run or a row was not written, or nobody knows: it and everything behind it goes again.
    pub fn refused(&mut self, number: u64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.refused(number);
        }
    }

    /// The topic does not take a run of these events as one record, or a single event at all.
    pub fn too_large(&mut self, number: u64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.too_large(number);
        }
    }

    /// How many of the queue's oldest events are parked for good. `terminated` says that the epoch's
    /// terminator is acked.
    pub fn settle(&mut self, terminated: bool, unix: i64) -> u32 {
        self.backlog
            .as_mut()
            .map_or(0, |backlog| backlog.settle(terminated, unix))
    }

    /// The queue's events up to this offset need no copy: they were delivered, by the attempt that was in
    /// flight when the lane left live or by a predecessor's. Left in the queue they would be sent again
    /// when the lane is live. None while copies are on their way.
    pub fn passed_by(&self) -> Option<i64> {
        self.backlog.as_ref()?.passed_by()
    }

    /// Begins to read the bucket. Returns the drain's number, the offset to read from, and the bytes
    /// that may come.
    pub fn begin_drain(&mut self) -> Option<(u32, i64, usize)> {
        Some(self.backlog.as_mut()?.begin_drain())
    }

    /// Records of the lane came, and all below `scanned_to` have.
    pub fn drained(&mut self, drain: u32, runs: Vec<DrainedRun<E>>, scanned_to: i64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.drained(drain, runs, scanned_to);
        }
    }

    /// The bucket's log begins elsewhere than the drain asked for, and is read from `log_start` on:
    /// retention took its beginning, or it is another log that does not reach that far. `lost` says that records of this lane were
    /// among it: then the next is taken whatever it says it follows.
    pub fn cut(&mut self, drain: u32, log_start: i64, lost: bool) {
        if let Some(backlog) = &mut self.backlog {
            backlog.cut(drain, log_start, lost);
        }
    }

    /// Bytes that the reader may send on top of what is left, when all lanes together leave this one
    /// `most`.
    pub fn more(&mut self, most: usize) -> Option<(u32, usize)> {
        self.backlog.as_mut()?.more(most)
    }

    /// What [`Work::Attempt`] asks for: the drained events that may go into the next transaction. All that
    /// are there, or exactly those of the transaction that was attempted before.
    pub fn drainable(&self) -> Option<drain::Drainable<'_, E>> {
        self.backlog.as_ref()?.drainable()
    }

    /// An attempt with the oldest `events` drained events starts. Returns its number, from 1.
    pub fn start_drain(&mut self, events: u32) -> Option<u32> {
        self.backlog.as_mut()?.start_drain(events)
    }

    /// The attempt with drained events was delivered. Returns whether the lane had failed before it.
    pub fn drain_delivered(&mut self) -> bool {
        self.backlog
            .as_mut()
            .is_some_and(|backlog| backlog.drain_delivered())
    }

    /// The attempt with drained events failed.
    pub fn drain_failed(&mut self, failed: Failed) {
        if let Some(backlog) = &mut self.backlog {
            backlog.drain_failed(failed);
        }
    }

    /// The tombstone is produced; its result comes back with `number`.
    pub fn tombstone(&mut self, number: u64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.tombstone(number);
        }
    }

    /// Too much waits while the tombstone is on its way: a new incarnation begins. Says whether it did.
    pub fn reopen_if_cut(&mut self, opening: Opening, due: Due) -> bool {
        let cut = self
            .backlog
            .as_ref()
            .is_some_and(|backlog| backlog.is_cut());
        if cut {
            let mut backlog = self.opened(ParkReason::Overflow, opening);
            backlog.due = due;
            self.backlog = Some(backlog);
        }
        cut
    }

    /// The target changed, or a person asked, or another lane of the target was delivered: due now. The
    /// count of failures stays.
    pub fn hurry(&mut self, now: Instant, unix: i64) {
        match &mut self.backlog {
            Some(backlog) => backlog.hurry(now, unix),
            None => self.live.hurry(now),
        }
    }

    /// The target is suspended, or no longer: what is parked then is due at once.
    pub fn suspend(&mut self, suspended: bool, now: Instant, unix: i64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.suspend(suspended, now, unix);
        }
    }

    /// What the row says beside the machine's own state has changed: it is written again.
    pub fn row_changed(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.changed();
        }
    }

    /// A lane that has stopped goes on behind `offset`, at once. Returns how far it went; none when it
    /// has not stopped.
    pub fn skip_to(&mut self, offset: i64, now: Instant, unix: i64) -> Option<i64> {
        self.backlog.as_mut()?.skip_to(offset, Due::At(now, unix))
    }

    /// The row says from now on which requests the lane has acted on.
    pub fn remember(&mut self, requests: String) {
        if let Some(backlog) = &mut self.backlog {
            backlog.last_request = Some(requests);
            backlog.changed();
        }
    }

    /// The lane ends, whatever is parked: its tombstone is written, and nothing else.
    pub fn end(&mut self) {
        self.aborted();
        if let Some(backlog) = &mut self.backlog {
            backlog.end();
        }
    }

    /// The body of a transaction would not be the same any more: what was attempted is formed anew.
    pub fn dissolve(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.attempted = None;
        }
    }

    /// The rows that were written do not count any more, because the partition has another epoch.
    /// Returns the row to write under it; it is told of as written by the one who writes it.
    pub fn row_for_new_epoch(&mut self, bucket: i32) -> Option<LaneRow> {
        Some(self.backlog.as_mut()?.row_for_new_epoch(bucket))
    }
}
