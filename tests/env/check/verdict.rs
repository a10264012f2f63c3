//! What a comparison came to.

use std::fmt;

use anyhow::{Result, bail};

use super::{Lane, Step};

/// Violations that an error spells out; the first ones tell what happened.
const SHOWN: usize = 20;

/// Offsets of one lane that a message spells out.
const OFFSETS_SHOWN: usize = 10;

/// The result of comparing what was accepted with what was produced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events that were delivered for the first time.
    pub delivered: usize,
    /// Further deliveries of the same events. At least once allows them; a test says how many.
    pub duplicates: usize,
    /// Broken promises, in the order in which they were seen.
    pub violations: Vec<Violation>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An event was delivered before an earlier one of its lane.
    OutOfOrder {
        /// The receiver's number of the request.
        request: u64,
        /// The lane.
        lane: Lane,
        /// The event delivered.
        offset: i64,
        /// The first event that had not been.
        awaited: i64,
    },
    /// An event that was not produced for this target.
    Invented {
        /// The receiver's number of the request.
        request: u64,
        /// The lane it claims.
        lane: Lane,
        /// The offset it claims.
        offset: i64,
    },
    /// An event stands twice in one transaction.
    TwiceInOne {
        /// The receiver's number of the request.
        request: u64,
        /// The lane.
        lane: Lane,
        /// The event.
        offset: i64,
    },
    /// Events that were never delivered.
    Missing {
        /// The lane.
        lane: Lane,
        /// The events, in ascending order.
        offsets: Vec<i64>,
    },
}

impl Verdict {
    pub(super) fn count(&mut self, step: Step, request: u64, lane: Lane, offset: i64) {
        match step {
            Step::InOrder => self.delivered += 1,
            Step::Again => self.duplicates += 1,
            Step::Ahead { awaited } => {
                self.delivered += 1;
                self.violations.push(Violation::OutOfOrder {
                    request,
                    lane,
                    offset,
                    awaited,
                });
            }
            Step::Unexpected => self.violations.push(Violation::Invented {
                request,
                lane,
                offset,
            }),
        }
    }

    /// Returns itself when no promise was broken, whatever the number of duplicates.
    ///
    /// # Errors
    /// Tells which promises were broken.
    pub fn kept(self) -> Result<Self> {
        if self.violations.is_empty() {
            return Ok(self);
        }
        bail!("{self}")
    }

    /// Returns itself when no promise was broken and every event came exactly once.
    ///
    /// # Errors
    /// Tells which promises were broken, or how many events came again.
    pub fn kept_exactly_once(self) -> Result<Self> {
        let verdict = self.kept()?;
        if verdict.duplicates == 0 {
            return Ok(verdict);
        }
        bail!("events came again: {verdict}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} events delivered, {} duplicates, {} violations",
            self.delivered,
            self.duplicates,
            self.violations.len()
        )?;
        for violation in self.violations.iter().take(SHOWN) {
            write!(out, "\n  {violation}")?;
        }
        match self.violations.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(out, "\n  and {more} more"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder {
                request,
                lane: (topic, partition),
                offset,
                awaited,
            } => write!(
                out,
                "out of order: {topic}/{partition}/{offset} came in request {request} before \
                 offset {awaited} had come"
            ),
            Self::Invented {
                request,
                lane: (topic, partition),
                offset,
            } => write!(
                out,
                "invented: {topic}/{partition}/{offset} came in request {request} and was not \
                 produced for this target"
            ),
            Self::TwiceInOne {
                request,
                lane: (topic, partition),
                offset,
            } => write!(
                out,
                "twice in one transaction: {topic}/{partition}/{offset} in request {request}"
            ),
            Self::Missing {
                lane: (topic, partition),
                offsets,
            } => write!(
                out,
                "missing: {} events of {topic}/{partition}, the first at offsets {:?}",
                offsets.len(),
                &offsets[..offsets.len().min(OFFSETS_SHOWN)]
            ),
        }
    }
}
