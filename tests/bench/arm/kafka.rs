//! How the loops read from Kafka.

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig, Message, config::FromClientConfig, consumer::Consumer, message::BorrowedMessage,
};

use super::Task;

/// The worker's own settings of librdkafka that have to do with reading, as `docs/configuration.md`
/// lists them.
const AS_THE_WORKER: [(&str, &str); 8] = [
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "1000"),
    ("fetch.queue.backoff.ms", "10"),
    ("queued.max.messages.kbytes", "8192"),
    ("queued.min.messages", "10000"),
    ("fetch.message.max.bytes", "65536"),
    ("fetch.max.bytes", "4194304"),
    ("socket.keepalive.enable", "true"),
];

/// A consumer as anyone would configure it: nothing but what it needs.
pub(super) fn plain<C: Consumer + FromClientConfig>(task: &Task) -> Result<C> {
    subscribe(&config(task), task)
}

/// A consumer that fetches as the worker does.
pub(super) fn tuned<C: Consumer + FromClientConfig>(task: &Task) -> Result<C> {
    let mut config = config(task);
    for (name, value) in AS_THE_WORKER {
        config.set(name, value);
    }
    subscribe(&config, task)
}

fn config(task: &Task) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &task.bootstrap)
        .set("group.id", &task.group)
        .set("auto.offset.reset", "earliest");
    config
}

fn subscribe<C: Consumer + FromClientConfig>(config: &ClientConfig, task: &Task) -> Result<C> {
    let consumer: C = config.create().context("make a consumer")?;
    consumer.subscribe(&[&task.topic]).context("subscribe")?;
    Ok(consumer)
}

/// The value of an event; the bench's events all have one.
pub(super) fn value<'a>(event: &'a BorrowedMessage<'_>) -> Result<&'a [u8]> {
    event.payload().context("an event without a value")
}
