//! librdkafka's own log lines and errors, as our log has them.
//!
//! Owns when which error was last logged: an error that repeats (a broker that is away reports itself
//! with each attempt to connect) is logged once in a while with its count. That a partition's end was
//! reached is no error: who wants to be told of it is told when it polls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// Least time between two lines about the same error.
const QUIET: Duration = Duration::from_secs(30);

/// Writes librdkafka's lines to our log.
#[derive(Debug, Default)]
pub struct Journal {
    seen: Mutex<BTreeMap<String, (Instant, u64)>>,
}

impl Journal {
    /// A line of librdkafka's log. Its levels shout: what it retries by itself is no error of ours.
    pub fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            // Connections that fail come as errors, too, where they are counted and thinned out.
            RDKafkaLogLevel::Error if facility == "FAIL" => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    /// An error that librdkafka tells the application.
    pub fn error(&self, now: Instant, error: &KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        if let Some(times) = self.worth_a_line(now, &error.to_string()) {
            tracing::warn!(target: "librdkafka", %error, times, "{reason}");
        }
    }

    /// How often the error came since the last line about it, when a line is due.
    fn worth_a_line(&self, now: Instant, error: &str) -> Option<u64> {
        // The map is as large as the set of librdkafka's error codes at most.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((last, count)) = seen.get_mut(error) else {
            seen.insert(error.to_owned(), (now, 0));
            return Some(1);
        };
        *count += 1;
        if now.saturating_duration_since(*last) < QUIET {
            return None;
        }
        *last = now;
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn an_error_that_repeats_is_logged_once_in_a_while_with_its_count() {
        let journal = Journal::default();
        let start = clock::now();
        assert_eq!(journal.worth_a_line(start, "a"), Some(1));
        assert_eq!(journal.worth_a_line(start, "a"), None);
        assert_eq!(journal.worth_a_line(start, "b"), Some(1));
        assert_eq!(journal.worth_a_line(start + QUIET, "a"), Some(2));
        assert_eq!(journal.worth_a_line(start + QUIET, "a"), None);
    }
}
