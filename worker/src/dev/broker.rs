//! The demo broker: librdkafka's mock cluster, in memory, on a free port of the loopback device.
//!
//! It is no Kafka: it keeps 5 MiB a partition (see [`super::room`]), knows no admin requests, no
//! retention and no compaction, and forgets all when dropped. A topic comes into being when the
//! producer asks for it.
#![expect(
    unsafe_code,
    reason = "rdkafka has no safe form for the group's first delay"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode;

/// The network of the broker and of the receivers: 127.0.0.0/8.
pub(super) const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// Properties of librdkafka that suit this broker.
pub(super) const PROPERTIES: [(&str, &str); 3] = [
    // Its groups admit a member again only after the session's end, and the usual session is long.
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "500"),
    // A topic that a manifest names for the first time comes into being within half a second.
    ("topic.metadata.refresh.interval.ms", "1000"),
];

/// How long a new group waits for more members, `group.initial.rebalance.delay.ms` of a real broker. The
/// mock cluster's own 3 s are most of what a user would wait for the first event.
const FIRST_JOIN: Duration = Duration::from_millis(100);

/// A broker in memory: the mock cluster of a client that nobody produces with.
pub(super) struct Broker {
    /// The broker ends with it.
    _client: BaseProducer,
    address: String,
}

impl Broker {
    /// Starts one without topics.
    ///
    /// # Errors
    /// When librdkafka cannot, for want of threads or sockets.
    pub(super) fn start() -> Result<Self, KafkaError> {
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            // Below it tells that this is a mock cluster, which the demo says better.
            .set_log_level(RDKafkaLogLevel::Warning)
            .create()?;
        hasten_first_join(&client)?;
        let cluster = client.client().mock_cluster().ok_or(NONE)?;
        let address = cluster.bootstrap_servers();
        drop(cluster);
        Ok(Self {
            _client: client,
            address,
        })
    }

    /// Its address, `host:port`.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.address.clone()
    }
}

/// What a client without a mock cluster is answered.
const NONE: KafkaError = KafkaError::MockCluster(RDKafkaErrorCode::Fail);

fn hasten_first_join(client: &BaseProducer) -> Result<(), KafkaError> {
    let delay = i32::try_from(FIRST_JOIN.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is valid for as long as it is borrowed.
    let cluster = unsafe { sys::rd_kafka_handle_mock_cluster(client.client().native_ptr()) };
    if cluster.is_null() {
        return Err(NONE);
    }
    // SAFETY: the cluster is the client's and lives as long; its own thread makes the change.
    unsafe { sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, delay) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_on_loopback_only() {
        let broker = Broker::start().unwrap();
        let address = broker.bootstrap_servers();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
    }
}
