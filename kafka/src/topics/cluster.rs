//! What is asked of the cluster about our topics: which there are, their settings, and to make some.
//!
//! Owns an admin client for the time of the questions, and how long they may take. Judges nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};

use super::TopicsError;
use super::settings::{Needs, Settings, Topic};
use crate::clock;
use crate::connection::refusal;
use crate::journal::Journal;

/// How long the cluster may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two looks for a topic that was just created. It takes the brokers some
/// milliseconds to hear of it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long errors of a connection are told, when nothing was answered.
const TELL_ERRORS: Duration = Duration::from_millis(100);

/// Clients that ask.
pub(super) struct Cluster {
    admin: Arc<AdminClient<Asking>>,
    /// Asks for metadata: an admin client tells nobody what goes wrong with its connections.
    asker: Arc<BaseProducer<Asking>>,
}

/// Tells what goes wrong with a connection.
#[derive(Debug, Default)]
pub(super) struct Asking(Journal);

impl ClientContext for Asking {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(clock::now(), &error, reason);
    }
}

impl ProducerContext for Asking {
    type DeliveryOpaque = ();

    /// It writes nothing.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Which topics there are.
pub(super) struct State {
    /// Brokers of the cluster.
    pub(super) brokers: usize,
    /// Each topic that was asked for; none when it does not exist.
    pub(super) topics: Vec<Option<Size>>,
}

/// How large a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Its partitions.
    pub(super) partitions: i32,
    /// Replicas of the partition that has the fewest.
    pub(super) replicas: i32,
}

/// Settings of topics, by topic.
#[derive(Debug, Default)]
pub(super) struct Found(BTreeMap<String, Settings>);

impl Found {
    pub(super) fn of(&self, topic: &str) -> Option<&Settings> {
        self.0.get(topic)
    }

    /// A setting that is a number.
    pub(super) fn number(&self, topic: &str, name: &str) -> Option<i64> {
        self.of(topic)?.get(name)?.parse().ok()
    }
}

impl Cluster {
    pub(super) fn connect(client: &[(String, String)]) -> Result<Self, TopicsError> {
        let mut config: ClientConfig = client.iter().cloned().collect();
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Info);
        let admin = config.create_with_context(Asking::default());
        let asker = config.create_with_context(Asking::default());
        Ok(Self {
            admin: Arc::new(admin.map_err(configuration)?),
            asker: Arc::new(asker.map_err(configuration)?),
        })
    }

    /// Which of the topics there are.
    pub(super) async fn look(&self, names: &[String]) -> Result<State, TopicsError> {
        let (asker, names) = (self.asker.clone(), names.to_vec());
        let asked = tokio::task::spawn_blocking(move || {
            let mut state = State {
                brokers: 0,
                topics: Vec::new(),
            };
            for name in &names {
                let metadata = match asker.client().fetch_metadata(Some(name), TIMEOUT) {
                    Ok(metadata) => metadata,
                    Err(error) if is_missing(error.rdkafka_error_code()) => {
                        state.topics.push(None);
                        continue;
                    }
                    Err(error) => {
                        // Errors of the connection are told when they are asked for.
                        asker.poll(TELL_ERRORS);
                        let what = "which topics there are could not be asked";
                        return Err(TopicsError::Unanswered { what, error });
                    }
                };
                state.brokers = state.brokers.max(metadata.brokers().len());
                state.topics.push(size(&metadata, name)?);
            }
            Ok(state)
        });
        asked.await.unwrap_or_else(|_| {
            Err(TopicsError::Unanswered {
                what: "which topics there are could not be asked",
                error: KafkaError::Canceled,
            })
        })
    }

    /// Creates topics with their settings. One that somebody else made meanwhile is no error.
    pub(super) async fn create<'a>(
        &self,
        topics: impl Iterator<Item = (&'a Topic, &'a String)>,
        needs: Needs,
    ) -> Result<(), TopicsError> {
        let topics: Vec<_> = topics
            .map(|(topic, name)| (name, topic.partitions, topic.settings(needs)))
            .collect();
        let wanted: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions, settings)| {
                let replicas = TopicReplication::Fixed(needs.replicas);
                let topic = NewTopic::new(name, *partitions, replicas);
                settings
                    .iter()
                    .fold(topic, |topic, (name, value)| topic.set(name, value))
            })
            .collect();
        let results = self.admin.create_topics(&wanted, &options()).await;
        let results = results.map_err(|error| TopicsError::Unanswered {
            what: "topics could not be created",
            error,
        })?;
        for result in results {
            match result {
                Ok(topic) => tracing::info!(topic, "topic created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, reason)) => {
                    return Err(TopicsError::Refused {
                        topic,
                        what: "to create it",
                        reason,
                        fix: "grant the right to, or create it by hand",
                    });
                }
            }
        }
        Ok(())
    }

    /// Waits until topics that were created are known, for as long as an answer may take.
    pub(super) async fn appeared(&self, names: &[String]) -> Result<State, TopicsError> {
        let deadline = clock::now() + TIMEOUT;
        loop {
            let state = self.look(names).await?;
            if state.topics.iter().all(Option::is_some) || clock::now() >= deadline {
                return Ok(state);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// All settings of topics that exist. A broker that has not heard of one that somebody has just made
    /// is asked again, for as long as an answer may take.
    pub(super) async fn settings(
        &self,
        names: impl Iterator<Item = &str>,
    ) -> Result<Found, TopicsError> {
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            return Ok(Found::default());
        }
        let deadline = clock::now() + TIMEOUT;
        loop {
            let found = self.described(&names).await?;
            let is_known = |name: &&str| found.of(name).is_some_and(|found| !found.is_empty());
            if names.iter().all(is_known) || clock::now() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn described(&self, names: &[&str]) -> Result<Found, TopicsError> {
        let mut found = Found::default();
        let resources: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let results = self.admin.describe_configs(&resources, &options()).await;
        let results = results.map_err(|error| TopicsError::Unanswered {
            what: "the settings of topics could not be asked",
            error,
        })?;
        for (result, name) in results.into_iter().zip(names) {
            if is_missing(result.as_ref().err().copied()) {
                continue;
            }
            let resource = result.map_err(|reason| TopicsError::Refused {
                topic: (*name).to_owned(),
                what: "to tell its settings",
                reason,
                fix: "grant DescribeConfigs on it",
            })?;
            let OwnedResourceSpecifier::Topic(topic) = resource.specifier else {
                continue;
            };
            let entries = resource.entries.into_iter();
            let entries = entries.filter_map(|entry| Some((entry.name, entry.value?)));
            found.0.insert(topic, entries.collect());
        }
        Ok(found)
    }
}

/// How many partitions a topic has; none when it does not exist.
fn size(metadata: &Metadata, name: &str) -> Result<Option<Size>, TopicsError> {
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(None);
    };
    let error = topic.error().map(RDKafkaErrorCode::from);
    if is_missing(error) {
        return Ok(None);
    }
    if let Some(reason) = error {
        return Err(TopicsError::Refused {
            topic: name.to_owned(),
            what: "to tell its partitions",
            reason,
            fix: "grant Describe on it",
        });
    }
    let count = |count| i32::try_from(count).unwrap_or(i32::MAX);
    let replicas = topic.partitions().iter().map(|one| one.replicas().len());
    Ok(replicas.min().map(|replicas| Size {
        partitions: count(topic.partitions().len()),
        replicas: count(replicas),
    }))
}

fn is_missing(error: Option<RDKafkaErrorCode>) -> bool {
    error.is_some_and(|code| {
        [
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ]
        .contains(&code)
    })
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(TIMEOUT))
        .request_timeout(Some(TIMEOUT))
}

pub(super) fn configuration(error: KafkaError) -> TopicsError {
    TopicsError::Configuration(refusal(&error))
}
