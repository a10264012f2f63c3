//! A run on its way out: which form it takes, and its key, value and headers.
//!
//! Owns the choice of the form. One event stays as it is, so that people can read it; several become
//! one value. What is handed over is borrowed from the run: only a value of several events is made.

use super::block::Block;
use super::{
    ATTEMPTS, FIRST, FIRST_FAILED_AT, INCARNATION, LAST, LAST_ERROR, NOT_BEFORE, PREV, REASON,
    binary,
};
use crate::park::Run;
use crate::source::record::Record;

/// Longest key that a record with several events repeats from the first of them, bytes. It is there
/// for people; the events have theirs.
const KEY_BYTES: usize = 1024;

/// A run as a record of the retry topic.
#[derive(Debug)]
pub struct Encoded<'a> {
    run: &'a Run,
    first: &'a Record,
    last: &'a Record,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Event,
    Run(Vec<u8>),
    Reference,
}

/// The record for a run; none for a run without events.
pub fn encode(run: &Run) -> Option<Encoded<'_>> {
    let body = match run.events.as_slice() {
        // Kafka clients hand the names of headers over as C strings: one with a zero byte would
        // come back shorter.
        [event] if event.headers().all(|(name, _)| !name.contains('\0')) => Body::Event,
        events => Body::Run(binary::write(events)),
    };
    Encoded::new(run, body)
}

/// The record for an event that is too large for the retry topic: only its place. `run` holds that
/// event alone; none when it does not.
pub fn reference(run: &Run) -> Option<Encoded<'_>> {
    (run.events.len() == 1).then(|| Encoded::new(run, Body::Reference))?
}

impl<'a> Encoded<'a> {
    fn new(run: &'a Run, body: Body) -> Option<Self> {
        Some(Self {
            run,
            first: run.events.first()?,
            last: run.events.last()?,
            body,
        })
    }

    /// The record's key.
    pub fn key(&self) -> Option<&'a [u8]> {
        match &self.body {
            Body::Event => self.first.key(),
            Body::Run(_) => self.first.key().filter(|key| key.len() <= KEY_BYTES),
            Body::Reference => None,
        }
    }

    /// The record's value.
    pub fn value(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Event => self.first.value(),
            Body::Run(value) => Some(value),
            Body::Reference => None,
        }
    }

    /// Hands the record's headers to `put`, in their order.
    pub fn headers(&self, put: impl FnMut(&str, Option<&[u8]>)) {
        let run = self.run;
        let mut block = Block::new(put);
        block.lane(&run.lane);
        block.line(FIRST, self.first.offset);
        block.line(LAST, self.last.offset);
        block.line_if(PREV, run.prev);
        block.line(INCARNATION, run.incarnation);
        block.line(REASON, run.reason.as_str());
        block.line(ATTEMPTS, run.attempts);
        block.line_if(FIRST_FAILED_AT, run.first_failed_at);
        match run.not_before {
            Some(millis) => block.line(NOT_BEFORE, millis),
            None => block.line(NOT_BEFORE, "never"),
        }
        if let Some(error) = &run.last_error {
            block.words(LAST_ERROR, error);
        }
        match &self.body {
            Body::Event => {
                block.timestamp(self.first.timestamp);
                block.end("event", self.first.headers());
            }
            Body::Run(_) => block.end("run", []),
            Body::Reference => {
                block.timestamp(self.first.timestamp);
                block.end("reference", []);
            }
        }
    }
}
