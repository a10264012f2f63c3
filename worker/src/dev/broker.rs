//! The demo broker: librdkafka's mock cluster, in memory, on a free port of the loopback device.
//!
//! It is no Kafka: it keeps 5 MiB a partition (see [`super::room`]), knows no admin requests, no
//! retention and no compaction, and forgets all when dropped. A topic comes into being when the
//! producer asks for it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

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

/// A broker in memory.
pub(super) struct Broker(MockCluster<'static, DefaultProducerContext>);

impl Broker {
    /// Starts one without topics.
    ///
    /// # Errors
    /// When librdkafka cannot, for want of threads or sockets.
    pub(super) fn start() -> Result<Self, KafkaError> {
        MockCluster::new(1).map(Self)
    }

    /// Its address, `host:port`.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }
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
