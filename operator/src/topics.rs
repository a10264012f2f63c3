//! Parcelhook's own topics: makes those that are missing, and looks again and again whether their settings
//! keep what the workers write.
//!
//! Owns what was last found. A change is logged here and handed on; brokers that do not answer are no
//! change. Nothing is changed in a topic that exists.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parcelhook_kafka::topics::{Caretaker, Names, SOURCE_LIMIT_BYTES, TopicsError, Wanted};
use tokio::sync::mpsc;

use crate::controller::Input;
use crate::metrics::Metrics;

/// How often topics are looked at that are as they must be.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How soon they are looked at again when they are not, or nobody answered: somebody may be mending them.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How the topics are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnTopics {
    /// Nobody has answered yet.
    #[default]
    Unknown,
    /// As they must be.
    Good,
    /// What is wrong with them, for people. Workers that start now refuse them, and what is in them may be
    /// lost.
    Wrong(String),
    /// What the cluster refused, for people: nobody can tell how they are.
    Refused(String),
}

impl OwnTopics {
    /// Why workers that start now may refuse to run.
    pub fn unusable(&self) -> Option<&str> {
        match self {
            Self::Wrong(what) | Self::Refused(what) => Some(what),
            Self::Unknown | Self::Good => None,
        }
    }

    /// Why events that wait may be lost.
    pub fn losing(&self) -> Option<&str> {
        match self {
            Self::Wrong(what) => Some(what),
            Self::Unknown | Self::Good | Self::Refused(_) => None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    caretaker: Caretaker,
    found: OwnTopics,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
}

impl Watch {
    /// Makes the clients. Brokers that cannot be reached are no error. `client` are librdkafka properties.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(
        client: &[(String, String)],
        prefix: &str,
        inputs: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TopicsError> {
        let wanted = Wanted {
            names: Names::new(prefix),
            create: true,
            check: true,
            largest_event_bytes: SOURCE_LIMIT_BYTES,
        };
        Ok(Self {
            caretaker: Caretaker::connect(client, wanted)?,
            found: OwnTopics::Unknown,
            inputs,
            metrics,
        })
    }

    /// Looks, until nobody listens.
    pub async fn run(mut self) {
        loop {
            let answer = self.caretaker.ensure().await;
            let found = self.told(answer.map(drop));
            let again = if found == Some(OwnTopics::Good) {
                LOOK_EVERY
            } else {
                LOOK_AGAIN
            };
            if let Some(found) = found
                && found != self.found
            {
                self.found = found.clone();
                if self.inputs.send(Input::OwnTopics(found)).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(again).await;
        }
    }

    /// What an answer means; none when there was none. Logs what is new.
    fn told(&self, answer: Result<(), TopicsError>) -> Option<OwnTopics> {
        let found = match answer {
            Ok(()) => OwnTopics::Good,
            Err(TopicsError::Violations(violations)) => {
                self.metrics.topics_wrong.set(violations.0.len());
                let found = OwnTopics::Wrong(sentence(&violations.0));
                if found != self.found {
                    for violation in &violations.0 {
                        tracing::error!(%violation, "one of Parcelhook's own topics cannot be used as it is");
                    }
                }
                return Some(found);
            }
            Err(error @ TopicsError::Refused { .. }) => OwnTopics::Refused(error.to_string()),
            Err(
                error @ (TopicsError::Unanswered { .. }
                | TopicsError::Interrupted
                | TopicsError::Configuration(_)
                | TopicsError::Claimed { .. }
                | TopicsError::Shrunk { .. }),
            ) => {
                if self.found == OwnTopics::Unknown {
                    tracing::warn!(%error, "Parcelhook's own topics are not known yet; asking again");
                }
                return None;
            }
        };
        self.metrics.topics_wrong.set(0);
        if found != self.found {
            match &found {
                OwnTopics::Refused(what) => tracing::error!(
                    what,
                    "whether Parcelhook's own topics can be used is not known"
                ),
                OwnTopics::Unknown | OwnTopics::Good | OwnTopics::Wrong(_) => {
                    tracing::info!("Parcelhook's own topics are as they must be");
                }
            }
        }
        Some(found)
    }
}

/// All that is wrong in one line.
fn sentence(all: &[impl std::fmt::Display]) -> String {
    let mut text = String::new();
    for one in all {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{one}");
    }
    text
}

#[cfg(test)]
mod tests {
    use parcelhook_kafka::topics::{Violation, Violations};
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;

    fn watch() -> Watch {
        let client = [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())];
        Watch::new(&client, "p", mpsc::channel(1).0, Arc::default()).unwrap()
    }

    fn wrong() -> TopicsError {
        let partitions = |topic: &str| Violation::Partitions {
            topic: topic.to_owned(),
            found: 2,
            wanted: 1,
        };
        TopicsError::Violations(Violations(vec![partitions("a"), partitions("b")]))
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_and_counted_until_it_is_repaired() {
        let watch = watch();
        let found = watch.told(Err(wrong())).unwrap();
        let all = found.losing().unwrap();
        assert!(all.starts_with("topic a has 2") && all.contains("; topic b has 2"));
        assert_eq!(watch.metrics.topics_wrong.get(), 2);
        assert_eq!(watch.told(Ok(())), Some(OwnTopics::Good));
        assert_eq!(watch.metrics.topics_wrong.get(), 0);
    }

    #[test]
    fn brokers_that_do_not_answer_say_nothing_of_the_topics() {
        let error = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        let what = "x";
        let answer = Err(TopicsError::Unanswered { what, error });
        assert_eq!(watch().told(answer), None);
    }

    #[test]
    fn a_right_that_is_missing_stops_workers_and_loses_nothing() {
        let refused = TopicsError::Refused {
            topic: "p.retry".to_owned(),
            what: "to tell its settings",
            reason: RDKafkaErrorCode::TopicAuthorizationFailed,
            fix: "grant DescribeConfigs on it",
        };
        let found = watch().told(Err(refused)).unwrap();
        assert!(found.unusable().unwrap().contains("grant DescribeConfigs"));
        assert_eq!(found.losing(), None);
    }
}
