//! What librdkafka tells about writes: delivery reports and errors.
//!
//! Owns how an error of librdkafka becomes a [`Refused`]. Its callbacks run on the client's own thread
//! and never wait: the answer's place is reserved.

use std::sync::Weak;

use parcelhook_kafka::Journal;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

use super::{Refused, Shared};
use crate::clock;

/// What librdkafka calls.
pub(super) struct Context {
    shared: Weak<Shared>,
    generation: u64,
    journal: Journal,
}

impl Context {
    /// For the client of a generation.
    pub(super) fn new(shared: Weak<Shared>, generation: u64) -> Self {
        Self {
            shared,
            generation,
            journal: Journal::default(),
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The properties are those of the consumer, too; that some are not for producers is no news.
        if facility != "CONFWARN" {
            self.journal.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.journal.error(clock::now(), &error, reason);
        let fatal = error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
        if let Some(shared) = self.shared.upgrade().filter(|_| fatal) {
            shared.replace(self.generation);
        }
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, id: usize) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let result = match result {
            // The broker knew the record already and no longer where it is: as good as a failure,
            // since lanes need the offset. They write it again and drop the copy.
            Ok(message) if message.offset() < 0 => Err(Refused::Failed),
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(refused(error)),
        };
        if result == Err(Refused::ProducerReplaced) {
            // The error itself may come later. Nobody hears of a client's end before it is replaced.
            shared.replace(self.generation);
        }
        shared.answer(id, result);
    }
}

/// What an error of librdkafka means for the order.
pub(super) fn refused(error: &KafkaError) -> Refused {
    use RDKafkaErrorCode as Code;
    let is = |codes: &[Code]| {
        error
            .rdkafka_error_code()
            .is_some_and(|code| codes.contains(&code))
    };
    if is(&[Code::MessageSizeTooLarge, Code::InvalidMessageSize]) {
        Refused::TooLarge
    } else if is(&[Code::QueueFull]) {
        Refused::QueueFull
    } else if is(&[Code::Fatal, Code::PurgeQueue, Code::PurgeInflight]) {
        Refused::ProducerReplaced
    } else {
        Refused::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_means_something_for_the_order() {
        use RDKafkaErrorCode as Code;
        for (code, expected) in [
            (Code::MessageSizeTooLarge, Refused::TooLarge),
            (Code::QueueFull, Refused::QueueFull),
            (Code::Fatal, Refused::ProducerReplaced),
            (Code::PurgeQueue, Refused::ProducerReplaced),
            (Code::PurgeInflight, Refused::ProducerReplaced),
            (Code::MessageTimedOut, Refused::Failed),
            (Code::UnknownPartition, Refused::Failed),
            (Code::TopicAuthorizationFailed, Refused::Failed),
            (Code::NotEnoughReplicas, Refused::Failed),
        ] {
            assert_eq!(refused(&KafkaError::MessageProduction(code)), expected);
        }
        assert_eq!(refused(&KafkaError::Canceled), Refused::Failed);
    }
}
