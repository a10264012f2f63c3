//! How many bytes may be in flight, and who has to wait.
//!
//! Pure. Two means keep memory bounded. The *gate* stops reading as a whole when the worker's budget B
//! is spent; it costs nothing and is what limits a worker that is simply busy. A *pause* stops one
//! partition whose events do not drain, so that it does not hold the gate shut for the others; it is
//! the second choice because librdkafka throws away what it has prefetched of a paused partition.
//!
//! The gate also stops reading when too much is read [`Ahead`] of the attempts. Once shut, it stays shut until
//! a quarter of its limit has drained, so that reading goes in runs and not record by record.
//!
//! Paused bytes are set apart: the gate lets the others have B less the paused bytes, and never less
//! than B/2. A partition's share is a quarter of what paused partitions leave of the other half, at
//! least [`FLOOR`]. It is paused when it holds its share and drains too slowly, at twice its share at
//! once unless it is *steady*, and when the gate is shut while a partition with nothing in flight has
//! records to read. A partition is steady when it has lately drained a quarter of what it holds: the
//! gate is enough for it, and a pause would cost it more than its bytes cost us (librdkafka may take a
//! second to notice a resumption).
//!
//! Bound: once B is paused nobody is steady, and a partition can only be paused with at most 2·FLOOR
//! and one record. The last one before that was paused with at most B/2, and what is not paused is at
//! most B/2, so that n partitions never hold more than 2·B + n·(2·FLOOR + the largest record). It
//! takes one steady partition after the other to fail within moments to come near it.
//!
//! No deadlock: a partition without bytes in flight is always resumed, and with no bytes in flight at
//! all the gate is open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Reading};
use super::bytes::{Load, Room};

/// Least share of a partition, bytes: enough for a transaction of a hundred small events to be in
/// flight while the next is gathered.
pub(super) const FLOOR: i64 = 64 * 1024;

/// How long a partition may hold its share before its pace is judged, and the gate may be shut before
/// a hungry partition is helped.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// One running partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Its slot.
    pub(super) slot: u32,
    /// Bytes handed over and not released.
    pub(super) load: Load,
    /// Bytes handed over since it was assigned.
    pub(super) charged: i64,
    /// Whether it has nothing in flight although its log has records to read.
    pub(super) hungry: bool,
}

impl Usage {
    fn drained(&self) -> i64 {
        self.charged - self.load.held
    }
}

/// What to do about pauses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Review {
    /// Slots to pause; none of them is paused.
    pub(super) pause: Vec<u32>,
    /// Slots to resume; all of them are paused.
    pub(super) resume: Vec<u32>,
}

/// The worker's byte budget.
#[derive(Debug)]
pub(super) struct Budget {
    total: i64,
    /// Bytes each paused partition held when it was paused.
    held_when_paused: BTreeMap<u32, i64>,
    /// What all paused partitions hold.
    paused: Load,
    ahead: Ahead,
    shut_since: Option<Instant>,
    window: Option<Window>,
    /// Slots that drained well in the last window.
    steady: BTreeSet<u32>,
}

/// What each partition had drained when the window began.
#[derive(Debug)]
struct Window {
    since: Instant,
    drained: BTreeMap<u32, i64>,
}

impl Budget {
    /// A budget of that many bytes; at least four floors, so that shares mean something.
    pub(super) fn new(bytes: u64) -> Self {
        let total = i64::try_from(bytes).unwrap_or(i64::MAX).max(4 * FLOOR);
        Self {
            total,
            ahead: Ahead::new(total),
            held_when_paused: BTreeMap::new(),
            paused: Load::default(),
            shut_since: None,
            window: None,
            steady: BTreeSet::new(),
        }
    }

    /// Whether records may be read, given all bytes in flight.
    pub(super) fn gate_is_open(&mut self, now: Instant, load: Load) -> bool {
        let room = if self.shut_since.is_some() {
            self.reopens_with()
        } else {
            self.room_for(self.limit(), self.ahead.most())
        };
        let open = room.is_there(load);
        match (open, self.shut_since) {
            (true, _) => self.shut_since = None,
            (false, None) => self.shut_since = Some(now),
            (false, Some(_)) => {}
        }
        open
    }

    /// What opens a shut gate.
    pub(super) fn reopens_with(&self) -> Room {
        self.room_for(self.limit() * 3 / 4, self.ahead.reopening())
    }

    /// Bytes that may still be read in one go before the gate must be asked again.
    pub(super) fn room(&self, load: Load) -> i64 {
        let room = self.room_for(self.limit(), self.ahead.most());
        (room.held_below - load.held).min(room.ahead_below - load.ahead())
    }

    /// Bytes that may be read ahead at present.
    pub(super) fn most_ahead(&self) -> i64 {
        self.ahead.most()
    }

    /// Room for so much beside what is set apart.
    fn room_for(&self, held: i64, ahead: i64) -> Room {
        Room {
            held_below: held + self.paused.held,
            ahead_below: ahead + self.paused.ahead(),
        }
    }

    /// What a partition may hold at most; beyond it, it is paused at once. A steady one is bounded by
    /// the gate alone.
    pub(super) fn cap(&self, slot: u32) -> i64 {
        if self.paused.held < self.total && self.steady.contains(&slot) {
            return i64::MAX;
        }
        2 * self.share(0)
    }

    /// Whether reading of a partition is paused.
    pub(super) fn is_paused(&self, slot: u32) -> bool {
        self.held_when_paused.contains_key(&slot)
    }

    /// Whether anything is paused.
    pub(super) fn any_paused(&self) -> bool {
        !self.held_when_paused.is_empty()
    }

    /// Looks at all running partitions, in slot order, and decides who waits and who goes on. A slot
    /// that is not among them any more is forgotten.
    pub(super) fn review(&mut self, now: Instant, usages: &[Usage]) -> Review {
        let mut review = Review::default();
        self.forget_missing(usages);
        for usage in usages.iter().filter(|usage| self.may_resume(usage)) {
            review.resume.push(usage.slot);
        }
        for slot in &review.resume {
            self.held_when_paused.remove(slot);
        }
        self.sum_paused(usages);
        let window_is_over = self.window_is_over(now);
        if window_is_over {
            self.steady = self.find_steady(usages);
        }
        for usage in usages {
            if usage.load.held >= self.cap(usage.slot) {
                self.pause(usage, &mut review);
            }
        }
        if window_is_over {
            self.judge_pace(usages, &mut review);
            let reading = self.reading(now, usages);
            let more_may_be_read = self.ahead.drained(self.drained(usages), reading);
            if reading == Reading::IsMissed && !more_may_be_read {
                self.help_the_hungry(usages, &mut review);
            }
            self.window = Some(Window {
                since: now,
                drained: usages.iter().map(|u| (u.slot, u.drained())).collect(),
            });
        }
        review
    }

    /// Who drained a quarter of what it holds, within the window.
    fn find_steady(&self, usages: &[Usage]) -> BTreeSet<u32> {
        let steady = |usage: &&Usage| {
            let drained = self.drained_in_window(usage);
            drained.is_some_and(|bytes| bytes > 0 && bytes >= usage.load.held / 4)
        };
        let slots = usages.iter().filter(steady).map(|usage| usage.slot);
        slots.collect()
    }

    /// Who holds a share and has not drained half of one within the window needs more than twice
    /// the window to make room.
    fn judge_pace(&mut self, usages: &[Usage], review: &mut Review) {
        for usage in usages {
            let share = self.share(0);
            let slow = self
                .drained_in_window(usage)
                .is_some_and(|bytes| bytes < share / 2);
            if slow && usage.load.held >= share {
                self.pause(usage, review);
            }
        }
    }

    /// Whether records are read, and who misses them.
    fn reading(&self, now: Instant, usages: &[Usage]) -> Reading {
        let Some(since) = self.shut_since else {
            return Reading::GoesOn;
        };
        let shut_for_long = now.saturating_duration_since(since) >= PATIENCE;
        if shut_for_long && usages.iter().any(|usage| usage.hungry) {
            Reading::IsMissed
        } else {
            Reading::Stands
        }
    }

    /// Bytes that all partitions drained in the window.
    fn drained(&self, usages: &[Usage]) -> i64 {
        let each = |usage| self.drained_in_window(usage);
        usages.iter().filter_map(each).sum()
    }

    /// The gate is shut and somebody who could go on gets nothing: sets apart those who drained less
    /// than half of what they hold, the largest first, until half of the limit is free and little waits.
    fn help_the_hungry(&mut self, usages: &[Usage], review: &mut Review) {
        let running = usages.iter().filter(|usage| !self.is_paused(usage.slot));
        let mut rest: Load = running.map(|usage| usage.load).sum();
        let mut slow: Vec<&Usage> = usages
            .iter()
            .filter(|usage| {
                let drained = self.drained_in_window(usage);
                usage.load.held > 0 && drained.is_some_and(|bytes| bytes < usage.load.held / 2 + 1)
            })
            .collect();
        slow.sort_by_key(|usage| -usage.load.held);
        for usage in slow {
            if rest.held <= self.limit() / 2 && rest.ahead() < self.ahead.reopening() {
                break;
            }
            if self.pause(usage, review) {
                rest -= usage.load;
            }
        }
    }

    /// Returns whether it was not paused already. One that this very review resumes stays running.
    fn pause(&mut self, usage: &Usage, review: &mut Review) -> bool {
        if self.is_paused(usage.slot) || review.resume.contains(&usage.slot) {
            return false;
        }
        self.held_when_paused.insert(usage.slot, usage.load.held);
        self.paused += usage.load;
        review.pause.push(usage.slot);
        true
    }

    /// A paused partition goes on when it has drained to half of what it was paused with and of its
    /// share, which does not count its own bytes.
    fn may_resume(&self, usage: &Usage) -> bool {
        self.held_when_paused.get(&usage.slot).is_some_and(|held| {
            usage.load.held <= held / 2 && usage.load.held <= self.share(usage.load.held) / 2
        })
    }

    fn limit(&self) -> i64 {
        (self.total - self.paused.held).max(self.total / 2)
    }

    fn share(&self, own_paused: i64) -> i64 {
        ((self.total / 2 - (self.paused.held - own_paused)) / 4).max(FLOOR)
    }

    fn forget_missing(&mut self, usages: &[Usage]) {
        self.held_when_paused.retain(|slot, _| {
            usages
                .binary_search_by_key(slot, |usage| usage.slot)
                .is_ok()
        });
        self.sum_paused(usages);
    }

    fn sum_paused(&mut self, usages: &[Usage]) {
        let paused = usages.iter().filter(|usage| self.is_paused(usage.slot));
        self.paused = paused.map(|usage| usage.load).sum();
    }

    fn window_is_over(&self, now: Instant) -> bool {
        self.window
            .as_ref()
            .is_none_or(|window| now.saturating_duration_since(window.since) >= PATIENCE)
    }

    /// None for a partition that was not there when the window began.
    fn drained_in_window(&self, usage: &Usage) -> Option<i64> {
        let window = self.window.as_ref()?;
        Some(usage.drained() - window.drained.get(&usage.slot)?)
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
