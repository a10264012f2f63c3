//! Which properties of librdkafka a user may pass on. Refused are those that the delivery protocol
//! owns and those that have a key of their own; the rest is librdkafka's to judge, and it is asked.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Properties that are refused, with what to do instead or why.
const REFUSED: [(&[&str], &str); 13] = [
    (
        &["statistics.interval.ms"],
        "Parcelhook has metrics of its own; see docs/admin.md and docs/operator.md",
    ),
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "use bootstrapServers",
    ),
    (
        &["group.id"],
        "the consumer group is <prefix>.<installation>.<workerGroup>; set those",
    ),
    (
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
            "offset.store.method",
            "offset.store.path",
            "offset.store.sync.interval.ms",
        ],
        "the worker commits an event when it was delivered; committing what was merely read would lose events",
    ),
    (
        &["auto.offset.reset"],
        "a lost position is decided by the worker and told, never reset in silence; see startFrom of the DeliveryTarget",
    ),
    (
        &[
            "partition.assignment.strategy",
            "group.protocol",
            "group.protocol.type",
            "group.remote.assignor",
        ],
        "letting partitions go in order is written for cooperative rebalances of the classic protocol",
    ),
    (
        &["allow.auto.create.topics"],
        "a topic name with a typing error must not become a topic",
    ),
    (
        &["enable.partition.eof"],
        "these pseudo events are used where they are needed",
    ),
    (
        &["transactional.id", "transaction.timeout.ms"],
        "no Kafka transactions are used",
    ),
    (
        &[
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "enable.gapless.guarantee",
            "message.timeout.ms",
            "delivery.timeout.ms",
            "retries",
            "message.send.max.retries",
            "max.in.flight",
            "max.in.flight.requests.per.connection",
        ],
        "what is written must be kept by all replicas, once and in order",
    ),
    (
        &[
            "security.protocol",
            "ssl.ca.location",
            "ssl.ca.pem",
            "ssl.certificate.location",
            "ssl.certificate.pem",
            "ssl.key.location",
            "ssl.key.pem",
        ],
        "use kafka.tls",
    ),
    (
        &[
            "sasl.mechanism",
            "sasl.mechanisms",
            "sasl.username",
            "sasl.password",
        ],
        "use kafka.sasl",
    ),
    (&["plugin.library.paths"], "it would load foreign code"),
];

/// Why a property cannot be passed on; none when it can. The value is not repeated: it may be secret.
pub fn objection(name: &str, value: &str) -> Option<String> {
    if let Some((_, reason)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        return Some(format!("cannot be set here: {reason}"));
    }
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Some(
            "librdkafka knows no such property; its CONFIGURATION.md lists them all".to_owned(),
        ),
        Err(_) => Some(
            "librdkafka does not take this value; its CONFIGURATION.md lists the values it takes"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::DEFAULTS;

    #[test]
    fn what_is_refused_is_known_to_librdkafka() {
        for name in REFUSED.iter().flat_map(|(names, _)| *names) {
            // Setting it would load the library.
            if *name == "plugin.library.paths" {
                continue;
            }
            let set = ClientConfig::new()
                .set(*name, "\u{1}")
                .create_native_config();
            let unknown = matches!(
                set,
                Err(KafkaError::ClientConfig(
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                    ..
                ))
            );
            assert!(!unknown, "{name}");
        }
    }

    #[test]
    fn other_properties_are_passed_on_when_librdkafka_takes_them() {
        for (name, value) in [
            ("group.instance.id", "worker-0"),
            ("client.rack", "a"),
            ("isolation.level", "read_uncommitted"),
            ("session.timeout.ms", "20000"),
            ("ssl.key.password", "hunter2"),
        ] {
            assert_eq!(objection(name, value), None, "{name}");
        }
        for (name, value) in DEFAULTS {
            assert_eq!(objection(name, value), None, "{name}");
        }
    }

    #[test]
    fn librdkafka_is_asked_and_the_value_is_not_repeated() {
        let unknown = objection("session.timeout", "hunter2").unwrap();
        assert!(unknown.contains("no such property"), "{unknown}");
        let wrong = objection("session.timeout.ms", "hunter2").unwrap();
        assert!(wrong.contains("does not take this value"), "{wrong}");
        assert!(!wrong.contains("hunter2") && !unknown.contains("hunter2"));
        assert!(objection("client.id", "a\0b").is_some());
    }
}
