//! The thread on which a client's reports are heard.
//!
//! Owns the thread. rdkafka's own polls every 100 ms and spins through the last millisecond of each wait,
//! which is 1 % of a core for a worker with nothing to do. This one waits for librdkafka only while
//! something is on its way, and sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer as _};

use super::context::Context;

/// How long it waits for a report before it looks whether it is to end.
const BUSY: Duration = Duration::from_millis(100);

/// How late news that belongs to no record may be heard.
const IDLE: Duration = Duration::from_secs(1);

/// See the module. Dropping it waits for the thread, at most [`BUSY`] beside what the reports take.
pub(super) struct Poller {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    /// Starts the thread.
    pub(super) fn start(producer: Arc<BaseProducer<Context>>) -> std::io::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let thread = std::thread::Builder::new()
            .name("producer-poll".to_owned())
            .spawn(move || {
                while !told.load(Ordering::Acquire) {
                    if producer.in_flight_count() > 0 {
                        producer.poll(BUSY);
                    } else {
                        std::thread::park_timeout(IDLE);
                        producer.poll(Duration::ZERO);
                    }
                }
            })?;
        Ok(Self {
            ending,
            thread: Some(thread),
        })
    }

    /// Something is on its way.
    pub(super) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.wake();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that hears the Kafka producer has failed");
        }
    }
}
