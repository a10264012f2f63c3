//! The tail of the lanes topic: what every worker knows of lanes that are not live.
//!
//! ```text
//!   <p>.lanes ──▶ thread ──▶ table ──▶ asks ──▶ Told, to the shard that asked
//!                   ▲                   ▲
//!       ends of partitions ─────────── Ask
//! ```
//!
//! One thread reads all partitions of the topic from their beginning, as a member of no group, and
//! folds the rows of its own consumer group. A new owner is answered when the tail has passed the end
//! that the lanes topic had after the question came: then every row that its predecessor had
//! acknowledged is in the table. While brokers are away it keeps trying. When a row of another worker
//! tells that a target takes deliveries again, every shard is told. This file owns the way in:
//! [`prepare`] makes the thread and the [`TailHandle`] by which shards ask.

mod asks;
mod consumer;
mod news;
mod reading;
#[cfg(test)]
mod tests;
mod thread;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Sender};

use super::{Ask, Told};
use crate::source::SourceError;

pub use thread::TailThread;

/// Questions that may wait for the tail. It takes all that wait at each turn, at most 50 ms apart
/// while the brokers answer.
pub const ASKS: usize = 1024;

/// What the tail needs to know from the start.
#[derive(Clone)]
pub struct TailConfig {
    /// librdkafka properties, as for the consumer of the source topics. May hold secrets.
    pub client: Vec<(String, String)>,
    /// The consumer group whose rows count.
    pub group: String,
    /// Name of the lanes topic.
    pub topic: String,
    /// Partitions of the lanes topic, at least one.
    pub partitions: i32,
}

impl fmt::Debug for TailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secret.
        f.debug_struct("TailConfig")
            .field("group", &self.group)
            .field("topic", &self.topic)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Asks the tail. When the last one is dropped, the thread ends.
#[derive(Clone, Debug)]
pub struct TailHandle {
    asks: Sender<Ask>,
    unreadable: Arc<AtomicU64>,
}

/// Makes the consumer, and the thread that will own it; the caller starts [`TailThread::run`] on a
/// thread of its own. `shards` are the channels of the shards' answers, by number of the shard.
///
/// # Errors
/// When librdkafka refuses the configuration. Brokers that cannot be reached are no error.
pub fn prepare(
    config: TailConfig,
    shards: Vec<Sender<Told>>,
) -> Result<(TailHandle, TailThread), SourceError> {
    let consumer = consumer::connect(&config)?;
    let (asks, asked) = mpsc::channel(ASKS);
    let unreadable = Arc::new(AtomicU64::new(0));
    let handle = TailHandle {
        asks,
        unreadable: unreadable.clone(),
    };
    let thread = TailThread::new(config, consumer, asked, shards, unreadable);
    Ok((handle, thread))
}

impl TailHandle {
    /// Asks the tail; does not wait. The answer comes through the shard's channel.
    ///
    /// # Errors
    /// When there is no room now: the question comes back, to be asked again a moment later. A tail
    /// that has ended takes every question and answers none; the worker ends then, too.
    pub fn ask(&self, ask: Ask) -> Result<(), Ask> {
        match self.asks.try_send(ask) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(ask)) => Err(ask),
        }
    }

    /// Counts the records of the lanes topic that could not be read and were skipped. Each was logged.
    pub fn unreadable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unreadable)
    }
}
