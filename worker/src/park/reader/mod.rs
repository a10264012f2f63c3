//! Reads the retry topic back for the lanes that drain.
//!
//! ```text
//!   shards ── Scan ──▶ thread ── moves ──▶ consumer ◀── <p>.retry
//!     ▲                 │  ▲                  │
//!     └───── Read ──────┘  └──── records ─────┘
//! ```
//!
//! One thread and one consumer for the whole worker. The consumer joins no group and commits
//! nothing: it is set on places in buckets, and what it reads is sorted out by lane. Which places is
//! decided in `bucket` (one bucket's turns) and `scans` (all buckets), which are pure, and so are
//! `lane` and `ends`. `thread` is the loop, `intake` the way of the records, `client` the consumer,
//! `ask` the questions that block, `fetch` the events that were parked by their place, `stall` the
//! watchdog.
//!
//! Memory is bounded by the lanes' rooms, one record a lane beyond, and what librdkafka may have
//! fetched (2 MiB, and one answer of 4 MiB). While no lane reads, nothing is assigned and no broker
//! is asked, except for the ends of buckets once a minute.
//!
//! This file owns the way in: [`prepare`] makes the thread and the [`ReaderHandle`].

mod ask;
mod bell;
mod bucket;
mod client;
mod ends;
mod fetch;
mod intake;
mod lane;
mod scans;
mod stall;
mod thread;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use parcelhook_kafka::connection::refusal;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;

use self::bell::RingAtEnd;
use super::{Read, Scan};

pub use ends::BucketEnds;
pub use thread::ReaderThread;

/// Requests that may wait for the reader. It takes all of them every few milliseconds.
const REQUESTS: usize = 1024;

/// What the reader needs to know from the start.
#[derive(Clone)]
pub struct ReaderConfig {
    /// librdkafka properties (brokers, TLS, SASL). May hold secrets. Those that the reader depends on
    /// are overridden.
    pub client: Vec<(String, String)>,
    /// A group id of the reader's own: librdkafka demands one. The group is never joined.
    pub group: String,
    /// The retry topic.
    pub topic: Arc<str>,
    /// Its partitions.
    pub buckets: i32,
}

impl fmt::Debug for ReaderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secret.
        let keys: Vec<&str> = self.client.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ReaderConfig")
            .field("client", &keys)
            .field("group", &self.group)
            .field("topic", &self.topic)
            .field("buckets", &self.buckets)
            .finish()
    }
}

/// Why the retry topic cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReaderError {
    /// librdkafka refuses the configuration.
    #[error("the Kafka client cannot be made: {0}; check the properties under `kafka`")]
    Configuration(String),
    /// The system gives no thread.
    #[error("no thread could be started: {0}; raise the process's thread limit")]
    Thread(String),
}

impl ReaderError {
    fn configuration(error: KafkaError) -> Self {
        Self::Configuration(refusal(&error))
    }
}

/// A request that was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotTaken {
    /// The reader is busy: ask again in a moment.
    #[error("the reader has as many requests as it takes")]
    Full(Box<Scan>),
    /// The thread is not there any more.
    #[error("the reader has ended")]
    Ended,
}

/// From the rest of the worker to the thread.
#[derive(Debug)]
enum Request {
    Scan(Scan),
    ShutDown {
        deadline: Instant,
        done: oneshot::Sender<()>,
    },
}

/// Talks to the reader. When the last one is dropped, the thread ends.
#[derive(Clone, Debug)]
pub struct ReaderHandle {
    requests: Sender<Request>,
    // Dropped after the channel: the thread must find it closed.
    bell: RingAtEnd,
    ends: BucketEnds,
    unreadable: Arc<AtomicU64>,
}

/// Makes the consumer, and the thread that will own it; the caller starts [`ReaderThread::run`] on a
/// thread of its own. Answers go to `shards`, by [`DrainKey::shard`](super::DrainKey); a shard's
/// channel may be full for as long as it likes.
///
/// # Errors
/// When librdkafka refuses the configuration. Brokers that cannot be reached are no error.
pub fn prepare(
    config: ReaderConfig,
    shards: Vec<Sender<Read>>,
) -> Result<(ReaderHandle, ReaderThread), ReaderError> {
    let (requests, received) = mpsc::channel(REQUESTS);
    let handle = ReaderHandle {
        requests,
        bell: RingAtEnd(Arc::default()),
        ends: BucketEnds::new(config.buckets),
        unreadable: Arc::default(),
    };
    let thread = ReaderThread::new(config, shards, received, &handle)?;
    Ok((handle, thread))
}

impl ReaderHandle {
    /// Asks for something; does not wait.
    ///
    /// # Errors
    /// [`NotTaken`], with the request when it may be asked again.
    pub fn ask(&self, scan: Scan) -> Result<(), NotTaken> {
        let sent = self.requests.try_send(Request::Scan(scan));
        self.bell.0.ring();
        match sent {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Request::Scan(scan))) => Err(NotTaken::Full(Box::new(scan))),
            Err(TrySendError::Full(Request::ShutDown { .. }) | TrySendError::Closed(_)) => {
                Err(NotTaken::Ended)
            }
        }
    }

    /// Where buckets end, at least.
    pub fn ends(&self) -> &BucketEnds {
        &self.ends
    }

    /// Counts the records of the retry topic that could not be read, each time one was met.
    pub fn unreadable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unreadable)
    }

    /// Ends the thread, by `deadline` at the latest. Returns when that is done; at once when it has
    /// ended already.
    pub async fn shut_down(&self, deadline: Instant) {
        let (done, ended) = oneshot::channel();
        let sent = self.requests.send(Request::ShutDown { deadline, done });
        if sent.await.is_ok() {
            self.bell.0.ring();
            // A thread that dies instead has ended as well.
            let _ = ended.await;
        }
    }
}
