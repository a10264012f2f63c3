//! One client of librdkafka: its properties, sending, and its end.
//!
//! Owns the properties that the protocol depends on: they override whatever is configured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_kafka::connection::refusal;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::sync::oneshot;

use super::context::{Context, refused};
use super::poller::Poller;
use super::record::Record;
use super::{ProducerError, Refused, Shared};
use crate::clock;

/// Bytes that may wait for the brokers, what each record costs beside its own included. Parking keeps
/// up with reading when a round trip's worth fits: 16 MiB are 160 MiB a second at 100 ms. Over it,
/// orders are refused with [`Refused::QueueFull`].
pub const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Properties that the protocol rests on, whatever is configured. Nobody changes them.
pub const OWNED: [(&str, &str); 6] = [
    // Written once and in order, by all replicas in sync.
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("max.in.flight", "5"),
    // A park is never given up for its age: its events are committed on its strength alone.
    ("message.timeout.ms", "0"),
    // A topic that is missing is made with its settings, or told about.
    ("allow.auto.create.topics", "false"),
    // Nobody would read them.
    ("statistics.interval.ms", "0"),
];

/// Properties with a better default for what we write than librdkafka's own. A user may change them.
const DEFAULTS: [(&str, &str); 2] = [
    // What waits for days on three disks may be small. LZ4 costs least.
    ("compression.codec", "lz4"),
    // Parks wait for their target anyway, but a cut-over waits for its tombstone. The default is 5.
    ("linger.ms", "3"),
];

/// How long a client that failed may take to go.
const DISCARD: Duration = Duration::from_secs(5);

/// A client. Dropping it waits; see [`Client::discard`] and [`Client::close`].
pub(super) struct Client {
    /// Dropped first: it holds the other.
    poller: Poller,
    producer: Arc<BaseProducer<Context>>,
}

impl Client {
    /// Makes a client whose reports go to `shared`.
    pub(super) fn connect(shared: &Arc<Shared>) -> Result<Self, ProducerError> {
        let config = &shared.config;
        let mut client = ClientConfig::new();
        for (name, value) in DEFAULTS {
            client.set(name, value);
        }
        for (name, value) in &config.client {
            client.set(name, value);
        }
        for (name, value) in OWNED {
            client.set(name, value);
        }
        client.set("message.max.bytes", config.largest_record_bytes.to_string());
        // The book is the bound. This one counts values only, and must not come first.
        client.set(
            "queue.buffering.max.kbytes",
            (QUEUE_BYTES / 512).to_string(),
        );
        client.set_log_level(RDKafkaLogLevel::Info);
        let context = Context::new(Arc::downgrade(shared), shared.generation());
        let producer = client.create_with_context(context);
        let producer: BaseProducer<Context> =
            producer.map_err(|error| ProducerError(refusal(&error)))?;
        let producer = Arc::new(producer);
        let poller = Poller::start(Arc::clone(&producer)).map_err(|error| {
            ProducerError(format!(
                "no thread for it could be started: {error}; raise the process's thread limit"
            ))
        })?;
        Ok(Self { poller, producer })
    }

    /// Hands a record over. Copies it; never waits.
    pub(super) fn send(&self, record: &Record<'_>, id: usize) -> Result<(), Refused> {
        let base = BaseRecord {
            topic: record.topic(),
            partition: record.partition(),
            payload: record.value(),
            key: record.key(),
            timestamp: None,
            headers: record.headers(),
            delivery_opaque: id,
        };
        let sent = self.producer.send(base);
        self.poller.wake();
        sent.map_err(|(error, _)| refused(&error))
    }

    /// Ends a client that failed: what it holds is given up. It may be called from the client's own
    /// thread, which cannot wait for itself.
    pub(super) fn discard(self) {
        let ending = std::thread::Builder::new()
            .name("producer-end".to_owned())
            .spawn(move || self.end(DISCARD));
        if ending.is_err() {
            tracing::warn!("the failed Kafka producer could not be ended on a thread of its own");
        }
    }

    fn end(self, grace: Duration) {
        use rdkafka::producer::PurgeConfig;
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
        // Its reports are passed over: all was answered.
        let _ = self.producer.flush(grace);
    }

    /// Waits until all is written, until `deadline` at the latest, and ends the client.
    pub(super) async fn close(self, deadline: Instant) {
        let left = deadline.saturating_duration_since(clock::now());
        let (done, closed) = oneshot::channel();
        let closing = std::thread::Builder::new()
            .name("producer-end".to_owned())
            .spawn(move || {
                // All of it ends here, the thread that polls included.
                let client = self;
                let flushed = client.producer.flush(left);
                // Nobody listens past the deadline.
                let _ = done.send(flushed.is_ok());
            });
        let flushed = match closing {
            Ok(_) => tokio::time::timeout(left, closed).await,
            Err(_) => return,
        };
        if !matches!(flushed, Ok(Ok(true))) {
            tracing::warn!(
                "not everything was written to Kafka in time; it is done again after the restart"
            );
        }
    }
}
