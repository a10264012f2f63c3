//! Bytes in flight of the whole worker, and the bell that wakes the consumer thread when there is
//! room again.
//!
//! Owns the sums that all partitions share: what has been read and not released, and what of it is on
//! its way to a receiver.

use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::Thread;

/// Bytes of some records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Read and not released.
    pub(super) held: i64,
    /// Of attempts that have begun and not ended. What goes to several targets at once counts for each.
    pub(super) on_way: i64,
}

impl Load {
    /// Bytes that are read ahead: what no attempt has taken, less half of what attempts have, since they will
    /// soon want as much again. Below zero where several targets take the same.
    pub(super) fn ahead(self) -> i64 {
        self.held - self.on_way - self.on_way / 2
    }
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.held += other.held;
        self.on_way += other.on_way;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, other: Self) {
        self.held -= other.held;
        self.on_way -= other.on_way;
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        let mut sum = Self::default();
        loads.for_each(|load| sum += load);
        sum
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WorkerBytes {
    held: AtomicI64,
    on_way: AtomicI64,
    wake_held: AtomicI64,
    wake_ahead: AtomicI64,
    waiting: AtomicBool,
    /// Bytes that may be ahead; zero before anybody has said so.
    most_ahead: AtomicI64,
    consumer: OnceLock<Thread>,
}

impl WorkerBytes {
    pub(super) fn load(&self) -> Load {
        Load {
            held: self.held.load(Ordering::SeqCst),
            on_way: self.on_way.load(Ordering::SeqCst),
        }
    }

    /// Says how much may be ahead.
    pub(super) fn allow_ahead(&self, most: i64) {
        self.most_ahead.store(most, Ordering::Relaxed);
    }

    /// How much of a budget of so many bytes is spent, in percent: of all of it, or of what may be ahead,
    /// whichever is more.
    pub(super) fn spent_percent(&self, budget: u64) -> u64 {
        let load = self.load();
        let percent = |bytes: i64, of: i64| bytes.max(0).saturating_mul(100) / of.max(1);
        let held = percent(load.held, i64::try_from(budget).unwrap_or(i64::MAX));
        let ahead = match self.most_ahead.load(Ordering::Relaxed) {
            0 => 0,
            most => percent(load.ahead(), most),
        };
        held.max(ahead).unsigned_abs()
    }

    pub(super) fn add(&self, bytes: i64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Makes the calling thread the one that is woken.
    pub(super) fn attach(&self) {
        // A second consumer thread for the same counters is never made.
        let _ = self.consumer.set(std::thread::current());
    }

    /// Wakes the consumer thread if it waits for room.
    pub(super) fn ring(&self) {
        if let Some(thread) = self.consumer.get() {
            thread.unpark();
        }
    }

    /// Waits until there is room, somebody rings, or the time is over. May return early.
    pub(super) fn wait_for_room(&self, room: Room, at_most: std::time::Duration) {
        self.wake_held.store(room.held_below, Ordering::SeqCst);
        self.wake_ahead.store(room.ahead_below, Ordering::SeqCst);
        self.waiting.store(true, Ordering::SeqCst);
        // Looked at after `waiting` is set: a release in between rings.
        if !room.is_there(self.load()) {
            std::thread::park_timeout(at_most);
        }
        self.waiting.store(false, Ordering::SeqCst);
    }

    pub(super) fn subtract(&self, bytes: i64) {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
        self.ring_if_there_is_room();
    }

    /// An attempt takes so many.
    pub(super) fn set_out(&self, bytes: i64) {
        self.on_way.fetch_add(bytes, Ordering::SeqCst);
        self.ring_if_there_is_room();
    }

    /// An attempt with so many is over.
    pub(super) fn came_back(&self, bytes: i64) {
        self.on_way.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn ring_if_there_is_room(&self) {
        if !self.waiting.load(Ordering::SeqCst) {
            return;
        }
        let room = Room {
            held_below: self.wake_held.load(Ordering::SeqCst),
            ahead_below: self.wake_ahead.load(Ordering::SeqCst),
        };
        if room.is_there(self.load()) && self.waiting.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }
}

/// What must be so that reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) held_below: i64,
    pub(super) ahead_below: i64,
}

impl Room {
    /// No load is low enough: somebody has to ring.
    pub(super) const NEVER: Self = Self {
        held_below: i64::MIN,
        ahead_below: i64::MIN,
    };

    pub(super) fn is_there(self, load: Load) -> bool {
        load.held < self.held_below && load.ahead() < self.ahead_below
    }
}

pub(super) fn as_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_release_wakes_the_consumer_thread_that_waits_for_room() {
        let worker = Arc::new(WorkerBytes::default());
        worker.add(100);
        let waiter = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                worker.attach();
                let room = Room {
                    held_below: 50,
                    ahead_below: 20,
                };
                while !room.is_there(worker.load()) {
                    worker.wait_for_room(room, std::time::Duration::from_secs(3600));
                }
                worker.load()
            });
            worker.subtract(60);
            worker.set_out(30);
            waiter.join().unwrap()
        });
        assert_eq!(
            waiter,
            Load {
                held: 40,
                on_way: 30
            }
        );
    }
}
