//! Where events come from: the consumer thread, rebalances, the offsets ledger, commits and the
//! byte budget.
//!
//! One thread polls Kafka, takes part in the group, commits what the shards have finished and hands
//! them records. This file owns the way in: [`prepare`] makes the thread and the [`SourceHandle`] by
//! which the rest of the worker talks to it.

mod ahead;
mod budget;
mod bytes;
mod care;
pub mod claim;
pub(crate) mod client;
mod commit;
mod ffi;
mod hearing;
mod inbox;
pub mod lease;
pub mod ledger;
mod log_offsets;
mod note;
mod partitions;
mod rebalance;
pub mod record;
mod resolve;
mod rewind;
mod seats;
mod shards;
mod start;
mod take;
mod thread;
mod topics;
mod watchdog;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use parcelhook_kafka::connection::refusal;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{oneshot, watch};

use crate::report::SourceReport;

pub use claim::{Claim, random_bits};
pub use client::OWNED;
pub use ffi::RecordHeaders;
pub(crate) use ffi::cached_log_end;
pub use inbox::{
    Assigned, OnWay, PartitionId, Progress, Revoked, SHARD_INBOX_MESSAGES, ShardMessage,
};
pub use lease::Lease;
pub(crate) use resolve::topic_state;
pub use start::{StartedBy, TopicDemand};
pub(crate) use take::cut as cut_record;
pub use thread::SourceThread;
pub(crate) use topics::TopicState;
pub use topics::{TopicId, create_missing_topics};
pub(crate) use watchdog::{Sight, Watchdog};

/// The time that a revoked partition has in all: attempts in flight, the last commit, everything.
pub const LET_GO: Duration = Duration::from_secs(6);

/// How long joining again takes at most when nobody is in the way. A rebalance lasts this, the longest
/// session and the longest letting go of a member: then something is wrong with it.
const REJOIN: Duration = Duration::from_secs(4);

/// Commands that may wait for the consumer thread. Who sends more waits; it looks every 100 ms.
const COMMANDS: usize = 16;

/// The topics to read, with what their targets want.
pub type Subscription = BTreeMap<String, TopicDemand>;

/// What the consumer thread needs to know from the start.
#[derive(Clone)]
pub struct SourceConfig {
    /// librdkafka properties (brokers, TLS, SASL, tuning). May hold secrets. Those that the protocol
    /// depends on are overridden.
    pub client: Vec<(String, String)>,
    /// The consumer group.
    pub group: String,
    /// Bytes of records that may be in flight in this worker; see [`record::Record::cost`].
    pub budget_bytes: u64,
    /// The time that letting partitions go may take in all; [`LET_GO`] unless a test is in a hurry.
    pub let_go: Duration,
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secret.
        let keys: Vec<&str> = self.client.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("SourceConfig")
            .field("client", &keys)
            .field("group", &self.group)
            .field("budget_bytes", &self.budget_bytes)
            .field("let_go", &self.let_go)
            .finish()
    }
}

/// Why reading cannot begin or go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// librdkafka refuses the configuration.
    #[error("the Kafka client cannot be made: {0}; check the properties under `kafka`")]
    Configuration(String),
    /// The cluster did not answer to a request for new topics.
    #[error("topics could not be created: {0}; check that the brokers can be reached")]
    CreateTopics(KafkaError),
    /// The cluster refused to create a topic.
    #[error("topic {topic} could not be created: {reason}; create it, or grant the right to")]
    CreateTopic {
        /// The topic's name.
        topic: String,
        /// The cluster's reason.
        reason: RDKafkaErrorCode,
    },
    /// librdkafka cannot go on.
    #[error("the Kafka client failed for good: {0}; restart the worker")]
    Fatal(KafkaError),
    /// Another worker has taken this one's place.
    #[error(
        "another worker runs under this one's `group.instance.id`; give each worker an id of its own"
    )]
    Fenced,
    /// The consumer thread is not there any more.
    #[error("the consumer thread has ended")]
    Ended,
}

impl SourceError {
    pub(crate) fn configuration(error: KafkaError) -> Self {
        Self::Configuration(refusal(&error))
    }
}

/// From the rest of the worker to the consumer thread.
#[derive(Debug)]
enum Command {
    Subscribe(Subscription),
    Report(oneshot::Sender<SourceReport>),
    ShutDown {
        deadline: Instant,
        done: oneshot::Sender<()>,
    },
}

/// Talks to the consumer thread. When the last one is dropped, the thread lets its partitions go and
/// ends.
#[derive(Clone, Debug)]
pub struct SourceHandle {
    commands: Sender<Command>,
    bytes: Arc<bytes::WorkerBytes>,
    failed: watch::Receiver<Option<SourceError>>,
}

/// Makes the consumer, and the thread that will own it; the caller starts [`SourceThread::run`] on a
/// thread of its own. `shards` are channels of [`SHARD_INBOX_MESSAGES`] messages that nobody else
/// sends to.
///
/// # Errors
/// When librdkafka refuses the configuration. Brokers that cannot be reached are no error.
pub fn prepare(
    config: SourceConfig,
    shards: Vec<Sender<ShardMessage>>,
) -> Result<(SourceHandle, SourceThread), SourceError> {
    let bytes = Arc::new(bytes::WorkerBytes::default());
    let session = client::session_timeout(&config);
    let ownership = partitions::Ownership::new(
        shards,
        bytes.clone(),
        lease::Lease::new(session),
        hearing::Hearing::new(session + LET_GO + REJOIN),
    );
    let ownership = Arc::new(Mutex::new(ownership));
    let consumer = client::connect(&config, ownership.clone())?;
    let (commands, received) = mpsc::channel(COMMANDS);
    let (failed, failure) = watch::channel(None);
    let handle = SourceHandle {
        commands,
        bytes: bytes.clone(),
        failed: failure,
    };
    let thread = SourceThread {
        config,
        consumer: Some(consumer),
        ownership,
        bytes,
        commands: received,
        failed,
    };
    Ok((handle, thread))
}

impl SourceHandle {
    /// Reads exactly these topics from now on. With none, the worker leaves its partitions but stays.
    ///
    /// # Errors
    /// [`SourceError::Ended`].
    pub async fn subscribe(&self, subscription: Subscription) -> Result<(), SourceError> {
        self.send(Command::Subscribe(subscription)).await
    }

    /// What the consumer thread tells about itself. Takes as long as its current wait, up to 100 ms,
    /// or a rebalance.
    ///
    /// # Errors
    /// [`SourceError::Ended`].
    pub async fn report(&self) -> Result<SourceReport, SourceError> {
        let (answer, report) = oneshot::channel();
        self.send(Command::Report(answer)).await?;
        report.await.map_err(|_| SourceError::Ended)
    }

    /// Lets all partitions go, leaves the group and ends the thread, by `deadline` at the latest.
    /// Returns when that is done; at once when the thread has ended already.
    pub async fn shut_down(&self, deadline: Instant) {
        let (done, ended) = oneshot::channel();
        if self
            .send(Command::ShutDown { deadline, done })
            .await
            .is_ok()
        {
            // A thread that dies instead has ended as well.
            let _ = ended.await;
        }
    }

    /// Waits until reading cannot go on: the worker must end then. [`SourceError::Ended`] after a
    /// shutdown.
    pub async fn failed(&self) -> SourceError {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(SourceError::Ended),
            Err(_) => SourceError::Ended,
        }
    }

    async fn send(&self, command: Command) -> Result<(), SourceError> {
        let sent = self.commands.send(command).await;
        self.bytes.ring();
        sent.map_err(|_| SourceError::Ended)
    }
}
