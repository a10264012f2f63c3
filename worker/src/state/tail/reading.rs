//! How far one partition of the lanes topic was read.
//!
//! Pure. An end that the broker named is passed when the next offset to be read is not below it. But
//! the last offsets below an end may hold nothing: compaction and retention take records away, and
//! then no record ever moves the reader up to it. librdkafka says when it has reached the end of the
//! log, once, and that may have waited in its queue since before the question. So in doubt the
//! partition is set on the next offset again: what was queued is thrown away, and the end of the log
//! that is told after that is not below the end that was named before.

use std::time::{Duration, Instant};

/// How long nothing may come after a partition was set on its offset before that is done again.
const SEEK_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The offset after the last record that was read.
    next: Option<i64>,
    /// An end that was passed without records up to it.
    passed: i64,
    /// Whether the end of the log was told after the last record.
    at_end: bool,
    /// Whether it was told once: what comes now is being written now.
    is_current: bool,
    doubt: Option<Doubt>,
}

#[derive(Debug)]
struct Doubt {
    /// The end that had been named when the partition was set on its offset again.
    end: i64,
    /// When that was, or when a record came after it.
    since: Instant,
}

impl Reading {
    /// A record was read.
    pub(super) fn record(&mut self, offset: i64, now: Instant) {
        self.next = Some(offset + 1);
        self.at_end = false;
        if let Some(doubt) = &mut self.doubt {
            doubt.since = now;
        }
    }

    /// The end of the log was told.
    pub(super) fn end_of_log(&mut self) {
        self.at_end = true;
        self.is_current = true;
        if let Some(doubt) = self.doubt.take() {
            self.passed = self.passed.max(doubt.end);
        }
    }

    /// Whether what is read was written just now, and not before the reading began.
    pub(super) fn is_current(&self) -> bool {
        self.is_current
    }

    /// Whether everything below an end that a broker named was read.
    pub(super) fn has_passed(&self, end: i64) -> bool {
        self.next.unwrap_or(0).max(self.passed) >= end
    }

    /// Whether the partition must be set on [`Self::next`] again, because nothing more seems to come
    /// although the end is not passed.
    pub(super) fn is_in_doubt(&self, end: i64, now: Instant) -> bool {
        !self.has_passed(end)
            && match &self.doubt {
                None => self.at_end,
                Some(doubt) => now.saturating_duration_since(doubt.since) >= SEEK_AGAIN,
            }
    }

    /// The partition was set on [`Self::next`], after a broker had named `end`.
    pub(super) fn sought(&mut self, end: i64, now: Instant) {
        self.at_end = false;
        self.doubt = Some(Doubt { end, since: now });
    }

    /// The offset after the last record; none when there was none, then reading begins at the start
    /// of the log.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn an_end_is_passed_by_the_record_before_it() {
        let mut reading = Reading::default();
        assert!(reading.has_passed(0), "an empty log");
        reading.record(3, clock::now());
        assert!(reading.has_passed(4));
        assert!(!reading.has_passed(5));
    }

    #[test]
    fn an_end_of_the_log_that_was_told_before_the_question_proves_nothing() {
        let now = clock::now();
        let mut reading = Reading::default();
        reading.record(3, now);
        reading.end_of_log();
        assert!(!reading.has_passed(9));
        assert!(reading.is_in_doubt(9, now));
        assert!(!reading.is_in_doubt(4, now));
    }

    #[test]
    fn the_end_of_the_log_after_a_seek_passes_what_was_named_before_the_seek_and_no_more() {
        let now = clock::now();
        let mut reading = Reading::default();
        reading.record(3, now);
        reading.end_of_log();
        reading.sought(9, now);
        assert!(!reading.is_in_doubt(9, now), "one seek at a time");
        reading.end_of_log();
        assert!(reading.has_passed(9));
        assert!(!reading.has_passed(10));
        assert!(reading.is_in_doubt(10, now));
    }

    #[test]
    fn a_seek_that_nothing_follows_is_repeated() {
        let now = clock::now();
        let mut reading = Reading::default();
        reading.end_of_log();
        reading.sought(9, now);
        reading.record(2, now + SEEK_AGAIN);
        assert!(!reading.is_in_doubt(9, now + SEEK_AGAIN));
        assert!(reading.is_in_doubt(9, now + SEEK_AGAIN * 2));
    }
}
