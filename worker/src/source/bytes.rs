//! Bytes in flight of the whole worker, and the bell that wakes the consumer thread when there is
//! room again.
//!
//! Owns the sum that all partitions share: what has been read and not released.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::Thread;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WorkerBytes {
    bytes: AtomicI64,
    wake_below: AtomicI64,
    waiting: AtomicBool,
    consumer: OnceLock<Thread>,
}

impl WorkerBytes {
    pub(super) fn total(&self) -> i64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, bytes: i64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
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

    /// Waits until fewer than `below` bytes are in flight, somebody rings, or the time is over. May
    /// return early.
    pub(super) fn wait_for_room(&self, below: i64, at_most: std::time::Duration) {
        self.wake_below.store(below, Ordering::SeqCst);
        self.waiting.store(true, Ordering::SeqCst);
        // Looked at after `waiting` is set: a release in between rings.
        if self.total() >= below {
            std::thread::park_timeout(at_most);
        }
        self.waiting.store(false, Ordering::SeqCst);
    }

    pub(super) fn subtract(&self, bytes: i64) {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if self.waiting.load(Ordering::SeqCst)
            && left < self.wake_below.load(Ordering::SeqCst)
            && self.waiting.swap(false, Ordering::SeqCst)
        {
            self.ring();
        }
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
                while worker.total() >= 50 {
                    worker.wait_for_room(50, std::time::Duration::from_secs(3600));
                }
                worker.total()
            });
            worker.subtract(60);
            waiter.join().unwrap()
        });
        assert_eq!(waiter, 40);
    }
}
