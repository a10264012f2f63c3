//! Whose a consumer group is, and over how many partitions it has spread what it wrote.
//!
//! The first worker of a group records a claim in the reports topic, all others go by it. The first
//! claim in the log counts: a worker that wrote at the same moment reads the log again and finds the
//! other's. Partitions that were added later are not used: a bucket or a row would be looked for where
//! it is not. Owns nothing after the answer.

use std::time::{Duration, Instant};

use parcelhook_crds::report::{Claim, ReportKey};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::cluster::configuration;
use super::{Internal, Names, TopicsError};
use crate::clock;

/// How long reading the reports topic, and writing to it, may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One wait for a record.
const POLL: Duration = Duration::from_millis(100);

/// Claims the group for the installation, or finds it claimed, and gives back the topics with the
/// partitions that the group uses. Blocks for some round trips: call it on a thread that may.
///
/// # Errors
/// [`TopicsError::Claimed`] and [`TopicsError::Shrunk`] when the claim and the world disagree.
pub fn claim(
    client: &[(String, String)],
    names: &Names,
    (group, installation): (&str, &str),
    internal: &Internal,
) -> Result<Internal, TopicsError> {
    let ours = Claim {
        installation: installation.to_owned(),
        retry_buckets: internal.retry_buckets,
        lanes_partitions: internal.lanes_partitions,
    };
    let reports = names.reports();
    let mut config: ClientConfig = client.iter().cloned().collect();
    config.set("allow.auto.create.topics", "false");
    let held = match read(&config, &reports, group)? {
        Some(held) => held,
        None => {
            write(&config, &reports, group, &ours)?;
            let held = read(&config, &reports, group)?.unwrap_or_else(|| ours.clone());
            if held != ours {
                // Somebody else was a moment earlier. Compaction keeps the newest: it must be theirs.
                write(&config, &reports, group, &held)?;
            }
            held
        }
    };
    agree(names, (group, installation), internal, &held)
}

/// What a worker may go by, when the claim and the world agree.
fn agree(
    names: &Names,
    (group, installation): (&str, &str),
    internal: &Internal,
    held: &Claim,
) -> Result<Internal, TopicsError> {
    if held.installation != installation {
        return Err(TopicsError::Claimed {
            group: group.to_owned(),
            by: held.installation.clone(),
            installation: installation.to_owned(),
        });
    }
    for (topic, partitions, recorded) in [
        (names.retry(), internal.retry_buckets, held.retry_buckets),
        (
            names.lanes(),
            internal.lanes_partitions,
            held.lanes_partitions,
        ),
    ] {
        if partitions < recorded {
            return Err(TopicsError::Shrunk {
                topic,
                partitions,
                recorded,
                group: group.to_owned(),
            });
        }
    }
    Ok(Internal {
        retry_buckets: held.retry_buckets,
        lanes_partitions: held.lanes_partitions,
        ..internal.clone()
    })
}

/// The group's claim: the first that the log has.
fn read(config: &ClientConfig, reports: &str, group: &str) -> Result<Option<Claim>, TopicsError> {
    // A group id is demanded and not used: nothing is committed, and no group is joined.
    let mut config = config.clone();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .set("isolation.level", "read_uncommitted")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().map_err(configuration)?;
    let deadline = clock::now() + TIMEOUT;
    let (start, end) = bounds(&consumer, reports, deadline)?;
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(reports, 0, Offset::Offset(start))
        .map_err(unread)?;
    consumer.assign(&assignment).map_err(unread)?;
    let mut first = None;
    while position(&consumer, reports).unwrap_or(start) < end {
        if clock::now() >= deadline {
            return Err(unread(KafkaError::MessageConsumption(
                RDKafkaErrorCode::OperationTimedOut,
            )));
        }
        let Some(message) = consumer.poll(POLL) else {
            continue;
        };
        let message = message.map_err(unread)?;
        let key = message.key().and_then(ReportKey::decode);
        if key.is_some_and(|key| key == ReportKey::of_group(group)) {
            // A tombstone lets the group go.
            first = match message.payload() {
                None => None,
                Some(claim) => first.or(Claim::decode(claim)),
            };
        }
    }
    Ok(first)
}

/// Where the log begins and ends. A topic that was just created has no leader for a moment.
fn bounds(
    consumer: &BaseConsumer,
    reports: &str,
    deadline: Instant,
) -> Result<(i64, i64), TopicsError> {
    loop {
        match consumer.fetch_watermarks(reports, 0, TIMEOUT) {
            Ok(bounds) => return Ok(bounds),
            Err(error) if clock::now() >= deadline => return Err(unread(error)),
            // Nothing is assigned: this only waits, and serves the client's events.
            Err(_) => drop(consumer.poll(POLL)),
        }
    }
}

/// The offset of the next record. It passes what compaction took, which a record's own does not.
fn position(consumer: &BaseConsumer, reports: &str) -> Option<i64> {
    let positions = consumer.position().ok()?;
    let position = positions.find_partition(reports, 0)?.offset().to_raw()?;
    (position >= 0).then_some(position)
}

fn write(
    config: &ClientConfig,
    reports: &str,
    group: &str,
    claim: &Claim,
) -> Result<(), TopicsError> {
    let unwritten = |error| TopicsError::Unanswered {
        what: "the consumer group could not be claimed",
        error,
    };
    let mut config = config.clone();
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
    let producer: BaseProducer = config.create().map_err(configuration)?;
    let (key, value) = (ReportKey::of_group(group).encode(), claim.encode());
    let record = BaseRecord::to(reports)
        .partition(0)
        .key(&key)
        .payload(&value);
    producer
        .send(record)
        .map_err(|(error, _)| unwritten(error))?;
    producer.flush(TIMEOUT).map_err(unwritten)
}

fn unread(error: KafkaError) -> TopicsError {
    TopicsError::Unanswered {
        what: "the reports topic could not be read",
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internal(buckets: i32, lanes: i32) -> Internal {
        Internal {
            retry_buckets: buckets,
            lanes_partitions: lanes,
            retry_retention: None,
            largest_record_bytes: 1,
        }
    }

    fn agreed(installation: &str, internal: &Internal) -> Result<Internal, String> {
        let held = Claim {
            installation: "main".to_owned(),
            retry_buckets: 32,
            lanes_partitions: 16,
        };
        let names = Names::new("p");
        agree(&names, ("g", installation), internal, &held).map_err(|error| error.to_string())
    }

    #[test]
    fn all_workers_of_a_group_use_the_partitions_that_the_first_one_found() {
        assert_eq!(agreed("main", &internal(32, 16)), Ok(internal(32, 16)));
        assert_eq!(agreed("main", &internal(40, 20)), Ok(internal(32, 16)));
    }

    #[test]
    fn a_group_of_another_installation_is_refused() {
        let refused = agreed("other", &internal(32, 16)).unwrap_err();
        assert!(
            refused.contains("claimed by installation main"),
            "{refused}"
        );
    }

    #[test]
    fn a_topic_that_lost_partitions_is_refused_by_name() {
        let refused = agreed("main", &internal(31, 16)).unwrap_err();
        assert!(refused.starts_with("topic p.retry has 31"), "{refused}");
        let refused = agreed("main", &internal(32, 15)).unwrap_err();
        assert!(refused.starts_with("topic p.lanes has 15"), "{refused}");
    }
}
