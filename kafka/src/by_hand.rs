//! Consumers that are assigned by hand and are members of no group.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::{Journal, clock};

/// Properties that reading by hand rests on, whatever is configured for the source topics.
const OWNED: [(&str, &str); 8] = [
    // Nothing of its own is remembered.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("group.protocol", "classic"),
    // A stray transaction in a topic of ours must not hold its readers up.
    ("isolation.level", "read_uncommitted"),
    // That the end is reached is told.
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
    ("statistics.interval.ms", "0"),
];

/// See the module.
pub type ByHand = BaseConsumer<Logged>;

/// The context of a client of which only the log is wanted.
#[derive(Debug, Default)]
pub struct Logged(Journal);

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(clock::now(), &error, reason);
    }
}

impl ConsumerContext for Logged {}

/// Makes such a consumer; it does nothing before it is assigned. `name` stands in the brokers' logs as its
/// group, which is never joined. `owned` are properties of its own, which count before those of `client`.
///
/// # Errors
/// When librdkafka refuses a property.
pub fn by_hand(
    client: &[(String, String)],
    name: &str,
    owned: &[(&str, &str)],
) -> KafkaResult<ByHand> {
    let mut config: ClientConfig = client.iter().cloned().collect();
    for (key, value) in OWNED.iter().chain(owned) {
        config.set(*key, *value);
    }
    // librdkafka wants a group to assign by hand, and a static member's id would be in the way.
    config.set("group.id", name);
    config.remove("group.instance.id");
    config.set_log_level(RDKafkaLogLevel::Info);
    config.create_with_context(Logged::default())
}
