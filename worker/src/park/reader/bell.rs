//! Wakes the reader's thread. A ring that nobody waits for is kept, so none is lost.

use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// The bell of one thread.
#[derive(Debug, Default)]
pub(super) struct Bell(OnceLock<Thread>);

impl Bell {
    /// Makes the calling thread the one that is woken.
    pub(super) fn attach(&self) {
        // A second thread for the same bell is never made.
        let _ = self.0.set(std::thread::current());
    }

    /// Ends the wait that is under way, or the next one.
    pub(super) fn ring(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }

    /// Waits for a ring; may return early. Only on the attached thread.
    pub(super) fn wait(&self, at_most: Duration) {
        std::thread::park_timeout(at_most);
    }
}

/// Rings when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct RingAtEnd(pub(super) Arc<Bell>);

impl Drop for RingAtEnd {
    fn drop(&mut self) {
        self.0.ring();
    }
}
