//! The demo broker: librdkafka's mock cluster, in memory, on a free port of the loopback device.
//!
//! Owns the cluster and the list of its topics. It is no Kafka: it keeps 5 MiB a partition (see
//! [`super::room`]), knows no admin requests, no retention and no compaction, and forgets all at the
//! end.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::room::PARTITIONS;

/// Topics that the broker takes: with 4 partitions of 5 MiB it holds at most 640 MiB.
pub(super) const MAX_TOPICS: usize = 32;

/// Longest name of a Kafka topic, bytes.
const MAX_TOPIC_NAME_BYTES: usize = 249;

/// Properties of librdkafka that suit this broker.
pub(super) const PROPERTIES: [(&str, &str); 3] = [
    // Its groups admit a member again only after the session's end, and the usual session is long.
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "500"),
    // A topic that a manifest names for the first time comes into being within half a second.
    ("topic.metadata.refresh.interval.ms", "1000"),
];

/// The network of the broker and of the receivers: 127.0.0.0/8.
pub(super) const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// A topic that the broker does not take.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopicError {
    #[error("the demo broker has its {MAX_TOPICS} topics already; end the demo to begin anew")]
    TooMany,
    #[error("the demo broker did not create it: {0}")]
    Broker(#[from] KafkaError),
}

/// A broker in memory.
pub(super) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    topics: Vec<Arc<str>>,
}

impl Broker {
    /// Starts one without topics.
    ///
    /// # Errors
    /// When librdkafka cannot, for want of threads or sockets.
    pub(super) fn start() -> Result<Self, KafkaError> {
        Ok(Self {
            cluster: MockCluster::new(1)?,
            topics: Vec::new(),
        })
    }

    /// Its address, `host:port`.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Its topics, in the order of their creation.
    pub(super) fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// Creates a topic unless it is there. What cannot be a topic's name is left out: the worker
    /// refuses a manifest with it.
    ///
    /// # Errors
    /// When it is one too many, or the broker refuses.
    pub(super) fn ensure(&mut self, topic: &str) -> Result<(), TopicError> {
        if !is_topic_name(topic) || self.topics.iter().any(|known| **known == *topic) {
            return Ok(());
        }
        if self.topics.len() >= MAX_TOPICS {
            return Err(TopicError::TooMany);
        }
        self.cluster.create_topic(topic, PARTITIONS, 1)?;
        self.topics.push(topic.into());
        Ok(())
    }
}

/// Kafka's rule for names (`org.apache.kafka.common.internals.Topic`).
fn is_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_TOPIC_NAME_BYTES
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_created_once() {
        let mut broker = Broker::start().unwrap();
        for topic in ["orders", "payments", "orders", "no topic", "", ".."] {
            broker.ensure(topic).unwrap();
        }
        let names: Vec<&str> = broker.topics().iter().map(|topic| &**topic).collect();
        assert_eq!(names, ["orders", "payments"]);
    }

    #[test]
    fn topics_are_bounded() {
        let mut broker = Broker::start().unwrap();
        for number in 0..MAX_TOPICS {
            broker.ensure(&format!("topic-{number}")).unwrap();
        }
        assert!(matches!(broker.ensure("more"), Err(TopicError::TooMany)));
        broker.ensure("topic-0").unwrap();
    }

    #[test]
    fn the_broker_listens_on_loopback_only() {
        let broker = Broker::start().unwrap();
        let address = broker.bootstrap_servers();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
    }
}
