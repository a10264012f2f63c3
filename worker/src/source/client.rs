//! Makes our consumer, and closes it.
//!
//! Owns the properties that the protocol depends on: they override whatever is configured.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::ffi::Committer;
use super::rebalance::{Context, GroupConsumer, SharedOwnership};
use super::{SourceConfig, SourceError};
use crate::clock;

/// What suits us better than librdkafka's defaults. May be configured otherwise.
const PREFERRED: [(&str, &str); 9] = [
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "1000"),
    // The prefetched records are memory beside our budget; the default is 64 MiB.
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "10000"),
    // After a full queue the default waits a whole second before it fetches again.
    ("fetch.queue.backoff.ms", "10"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    // Questions to a broker wait behind the fetch that waits there for records.
    ("fetch.wait.max.ms", "200"),
    ("socket.keepalive.enable", "true"),
    // Brokers close idle connections; that is no news.
    ("log.connection.close", "false"),
];

/// What must be so, with or without the user's consent.
const OWNED: [(&str, &str); 8] = [
    // Only the frontier is committed, by us.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Nothing is skipped without our knowledge.
    ("auto.offset.reset", "error"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("group.protocol", "classic"),
    ("enable.partition.eof", "false"),
    // Reading must not make topics.
    ("allow.auto.create.topics", "false"),
    ("statistics.interval.ms", "0"),
];

/// Makes a consumer. It does nothing before it subscribes.
///
/// # Errors
/// When librdkafka refuses a property.
pub(super) fn connect(
    config: &SourceConfig,
    ownership: SharedOwnership,
) -> Result<GroupConsumer, SourceError> {
    let mut client = ClientConfig::new();
    for (key, value) in PREFERRED {
        client.set(key, value);
    }
    for (key, value) in &config.client {
        client.set(key, value);
    }
    for (key, value) in OWNED {
        client.set(key, value);
    }
    client.set("group.id", &config.group);
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

/// Leaves the group and closes the consumer. librdkafka can hang in this; past the deadline it is
/// left to itself on its own thread.
pub(super) fn close(consumer: GroupConsumer, deadline: Instant) {
    consumer.context().retire();
    consumer.unsubscribe();
    let (done, closed) = sync_channel(1);
    let closing = std::thread::Builder::new()
        .name("source-close".to_owned())
        .spawn(move || {
            drop(consumer);
            // Nobody listens past the deadline.
            let _ = done.send(());
        });
    let left = deadline.saturating_duration_since(clock::now());
    if closing.is_err() || closed.recv_timeout(left).is_err() {
        tracing::warn!(
            "the consumer did not close in time; the group notices by its session timeout"
        );
    }
}
