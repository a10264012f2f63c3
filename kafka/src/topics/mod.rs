//! Parcelhook's own topics: their names, their settings, and whose they are.
//!
//! `settings` is the table of what they must be like, `cluster` asks and creates, `claim` keeps two
//! installations from sharing a consumer group. This file owns the names, the errors and the order:
//! what is missing is created when that is wanted, then everything is checked, and all that is wrong
//! is told at once. Nothing is changed in a topic that exists.

mod claim;
mod cluster;
mod settings;
mod violation;

use std::fmt;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

pub use claim::claim;
use cluster::{Cluster, Found, Size};
pub use settings::{LANES_PARTITIONS, RETRY_BUCKETS};
use settings::{Needs, TOPICS};
pub use violation::Violation;

/// Room that a record of ours needs beside its event's bytes: our headers, and what Kafka writes
/// around a record.
pub const RECORD_ROOM_BYTES: usize = 64 * 1024;

/// The largest record that brokers take by default, bytes. An event of a source topic with a higher
/// limit may have to be parked as a reference.
pub const SOURCE_LIMIT_BYTES: usize = 1_048_588;

/// Replicas of a topic outside of development.
const REPLICAS: i32 = 3;

/// Names of Parcelhook's own topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names that begin with `prefix` and a dot.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Where events wait.
    pub fn retry(&self) -> String {
        self.of("retry")
    }

    /// Where rows of lanes are that are not live.
    pub fn lanes(&self) -> String {
        self.of("lanes")
    }

    /// Where workers report.
    pub fn reports(&self) -> String {
        self.of("reports")
    }

    /// Where events go that are given up, unless their target has a topic of its own for them.
    pub fn dead_letter(&self) -> String {
        self.of("dead-letter")
    }

    /// Whether a topic is one of these, one of a later version included: never a source, nor
    /// anybody's dead-letter topic.
    pub fn is_own(&self, topic: &str) -> bool {
        topic
            .strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.starts_with('.'))
    }

    /// All topics with the partitions that they are created with, for a cluster that has no Admin API.
    pub fn with_partitions(&self) -> [(String, i32); 4] {
        TOPICS.map(|topic| (self.of(topic.suffix), topic.partitions))
    }

    fn of(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }
}

/// What the topics must be like.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Their names.
    pub names: Names,
    /// Whether missing ones are created.
    pub create: bool,
    /// Whether their settings are checked. Not in a cluster without an Admin API.
    pub check: bool,
    /// The largest event that must fit, bytes of its record; [`SOURCE_LIMIT_BYTES`] unless the source
    /// topics say more.
    pub largest_event_bytes: usize,
}

/// The topics as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Internal {
    /// Partitions of the retry topic over which targets are spread.
    pub retry_buckets: i32,
    /// Partitions of the lanes topic over which rows are spread.
    pub lanes_partitions: i32,
    /// How long parked events are kept; none is for ever.
    pub retry_retention: Option<Duration>,
    /// The largest record that all of them take, bytes.
    pub largest_record_bytes: usize,
}

/// Why the topics cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The process ends.
    #[error("the process ended before its topics were known")]
    Interrupted,
    /// librdkafka refuses the configuration.
    #[error("the Kafka client cannot be made: {0}; check the settings of Kafka")]
    Configuration(String),
    /// The cluster did not answer.
    #[error("{what}: {error}; check that the brokers can be reached")]
    Unanswered {
        /// What was asked.
        what: &'static str,
        /// librdkafka's error.
        error: KafkaError,
    },
    /// The cluster refused something.
    #[error("topic {topic}: {what} was refused: {reason}; {fix}")]
    Refused {
        /// The topic.
        topic: String,
        /// What was asked.
        what: &'static str,
        /// The cluster's reason.
        reason: RDKafkaErrorCode,
        /// What to do.
        fix: &'static str,
    },
    /// Topics are not as they must be.
    #[error("Parcelhook's own topics cannot be used as they are:{0}")]
    Violations(Violations),
    /// The consumer group is somebody else's.
    #[error(
        "consumer group {group} is claimed by installation {by} and this is {installation}: two installations must not share a group; change `installation` or `prefix`"
    )]
    Claimed {
        /// The group.
        group: String,
        /// Who has it.
        by: String,
        /// Who wants it.
        installation: String,
    },
    /// A topic was made anew, with fewer partitions.
    #[error(
        "topic {topic} has {partitions} partitions and consumer group {group} has written to {recorded}: what is parked would not be found; give it back its {recorded} partitions"
    )]
    Shrunk {
        /// The topic.
        topic: String,
        /// Its partitions now.
        partitions: i32,
        /// Its partitions when the group began.
        recorded: i32,
        /// The group.
        group: String,
    },
}

/// All that is wrong, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Sees to it that the topics are there and as they must be. `client` are librdkafka properties, as for
/// the consumer.
///
/// # Errors
/// [`TopicsError`]; topics that are missing or wrong are told all at once.
pub async fn ensure(client: &[(String, String)], wanted: &Wanted) -> Result<Internal, TopicsError> {
    Caretaker::connect(client, wanted.clone())?.ensure().await
}

/// Looks after the topics, again and again.
pub struct Caretaker {
    cluster: Cluster,
    wanted: Wanted,
    /// Most brokers that the cluster has shown. One that is away for a moment, or an answer without brokers,
    /// must not lower what the topics need.
    brokers: usize,
}

impl fmt::Debug for Caretaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caretaker")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Caretaker {
    /// Makes the clients. Brokers that cannot be reached are no error.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn connect(client: &[(String, String)], wanted: Wanted) -> Result<Self, TopicsError> {
        Ok(Self {
            cluster: Cluster::connect(client)?,
            wanted,
            brokers: 0,
        })
    }

    /// Creates what is missing, when that is wanted, and checks everything.
    ///
    /// # Errors
    /// [`TopicsError`]; topics that are missing or wrong are told all at once.
    pub async fn ensure(&mut self) -> Result<Internal, TopicsError> {
        let (cluster, wanted) = (&self.cluster, &self.wanted);
        let names = TOPICS.map(|topic| wanted.names.of(topic.suffix));
        let mut state = cluster.look(&names).await?;
        if state.brokers > self.brokers {
            self.brokers = state.brokers;
            tell_of_few(self.brokers);
        }
        let needs = Needs {
            replicas: replicas(self.brokers),
            largest_record_bytes: wanted.largest_event_bytes + RECORD_ROOM_BYTES,
        };
        if wanted.create && state.topics.iter().any(Option::is_none) {
            let missing = TOPICS.iter().zip(&names).zip(&state.topics);
            let missing = missing.filter(|(_, size)| size.is_none());
            cluster
                .create(missing.map(|(topic, _)| topic), needs)
                .await?;
            state = cluster.appeared(&names).await?;
        }
        let found = if wanted.check {
            let there = names.iter().zip(&state.topics);
            let there = there.filter(|(_, size)| size.is_some());
            cluster
                .settings(there.map(|(name, _)| name.as_str()))
                .await?
        } else {
            Found::default()
        };
        let mut violations = Vec::new();
        for ((topic, name), size) in TOPICS.iter().zip(&names).zip(&state.topics) {
            let of_topic = found.of(name);
            violations.extend(topic.violations(name, *size, of_topic, needs));
        }
        if !violations.is_empty() {
            return Err(TopicsError::Violations(Violations(violations)));
        }
        Ok(internal(&names, state.topics, &found, needs))
    }
}

/// The topics as they were found, all of them as they must be.
fn internal(
    names: &[String; TOPICS.len()],
    sizes: Vec<Option<Size>>,
    found: &Found,
    needs: Needs,
) -> Internal {
    let [retry, ..] = names;
    let mut partitions = sizes.into_iter().flatten().map(|size| size.partitions);
    let largest = names
        .iter()
        .filter_map(|name| found.number(name, settings::MAX_MESSAGE_BYTES));
    Internal {
        retry_buckets: partitions.next().unwrap_or(RETRY_BUCKETS),
        lanes_partitions: partitions.next().unwrap_or(LANES_PARTITIONS),
        retry_retention: settings::retention(found.number(retry, settings::RETENTION_MS)),
        largest_record_bytes: largest
            .filter_map(|size| usize::try_from(size).ok())
            .min()
            .unwrap_or(needs.largest_record_bytes),
    }
}

/// As many as there should be, or as there are brokers.
fn replicas(brokers: usize) -> i32 {
    i32::try_from(brokers)
        .unwrap_or(REPLICAS)
        .clamp(1, REPLICAS)
}

fn tell_of_few(brokers: usize) {
    if replicas(brokers) < REPLICAS {
        tracing::warn!(
            brokers,
            "the cluster has fewer than {REPLICAS} brokers: what is parked is lost with its broker's disk"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_the_prefix() {
        let names = Names::new("parcelhook");
        assert_eq!(
            [
                names.retry(),
                names.lanes(),
                names.reports(),
                names.dead_letter()
            ],
            [
                "parcelhook.retry",
                "parcelhook.lanes",
                "parcelhook.reports",
                "parcelhook.dead-letter"
            ]
        );
        let all: Vec<(String, i32)> = names.with_partitions().to_vec();
        assert!(all.contains(&("parcelhook.reports".to_owned(), 1)));
        assert!(all.iter().all(|(name, _)| names.is_own(name)));
    }

    #[test]
    fn what_only_looks_alike_is_not_own() {
        let names = Names::new("parcelhook");
        for (topic, own) in [
            ("parcelhook.retry", true),
            ("parcelhook.later", true),
            ("parcelhook", false),
            ("parcelhook-orders", false),
            ("orders.parcelhook.retry", false),
        ] {
            assert_eq!(names.is_own(topic), own, "{topic}");
        }
    }

    #[test]
    fn a_small_cluster_has_as_many_replicas_as_brokers() {
        assert_eq!([0, 1, 2, 3, 9].map(replicas), [1, 1, 2, 3, 3]);
    }
}
