//! Makes our consumer, and closes it.
//!
//! Owns the properties that the protocol depends on: they override whatever is configured.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::ffi::Committer;
use super::rebalance::{Context, GroupConsumer, SharedOwnership};
use super::{SourceConfig, SourceError};
use crate::{background, clock};

/// Properties that the protocol rests on, whatever is configured. Nobody changes them.
pub const OWNED: [(&str, &str); 8] = [
    // Only the ledger knows what was delivered; librdkafka would commit what was merely read.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // A lost position is decided on and told, never reset in silence.
    ("auto.offset.reset", "error"),
    // A rebalance stops only the partitions that move; the callback is written for it.
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("group.protocol", "classic"),
    // The end of a partition is no event; the loop would have to skip it.
    ("enable.partition.eof", "false"),
    // A topic name with a typing error must not become a topic.
    ("allow.auto.create.topics", "false"),
    // Nobody would read them.
    ("statistics.interval.ms", "0"),
];

/// librdkafka's own default for `session.timeout.ms`.
const LIBRDKAFKA_SESSION: Duration = Duration::from_secs(45);

/// Makes a consumer. It does nothing before it subscribes.
///
/// # Errors
/// When librdkafka refuses a property.
pub(super) fn connect(
    config: &SourceConfig,
    ownership: SharedOwnership,
) -> Result<GroupConsumer, SourceError> {
    let mut client = properties(config);
    client.set_log_level(RDKafkaLogLevel::Info);
    let context = Context::new(ownership, config.let_go);
    let consumer: GroupConsumer = client
        .create_with_context(context)
        .map_err(SourceError::configuration)?;
    let committer = Committer::new(&consumer).ok_or_else(|| {
        SourceError::configuration(KafkaError::ClientCreation(
            "no queue for commits could be made".to_owned(),
        ))
    })?;
    consumer.context().commit_through(Some(committer));
    Ok(consumer)
}

fn properties(config: &SourceConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (key, value) in &config.client {
        client.set(key, value);
    }
    for (key, value) in OWNED {
        client.set(key, value);
    }
    client.set("group.id", &config.group);
    client
}

/// How long the group waits for a sign of life before it gives the partitions away.
pub(super) fn session_timeout(config: &SourceConfig) -> Duration {
    properties(config)
        .get("session.timeout.ms")
        .and_then(|millis| millis.trim().parse().ok())
        .map_or(LIBRDKAFKA_SESSION, Duration::from_millis)
}

/// Leaves the group and closes the consumer. librdkafka can hang in this; past the deadline it is
/// left to itself on its own thread.
pub(super) fn close(consumer: GroupConsumer, deadline: Instant) {
    consumer.context().retire();
    consumer.unsubscribe();
    if !drop_within("source-close", consumer, deadline) {
        tracing::warn!(
            "the consumer did not close in time; the group notices by its session timeout"
        );
    }
}

/// Drops a client of Kafka on a thread of its own, because librdkafka can hang in it. Returns whether
/// it was done by the deadline; past it the thread is left to itself.
pub(crate) fn drop_within(
    thread: &'static str,
    client: impl Send + 'static,
    deadline: Instant,
) -> bool {
    let (done, closed) = sync_channel(1);
    let closing = background::beside(thread, move || {
        drop(client);
        // Nobody listens past the deadline.
        let _ = done.send(());
    });
    let left = deadline.saturating_duration_since(clock::now());
    closing.is_ok() && closed.recv_timeout(left).is_ok()
}
