//! Dead letters: which events were given up, and what is only right because they were.
//!
//! A worker goes on behind an event that it gave up, and the dead-letter topic is read a little later.
//! So what passes an event that its lane has not got becomes a doubt. The doubt ends when the topic was
//! read beyond where it ended after that was seen: a dead letter that was written before is known then.
//! Kafka says when each was written.

use std::collections::{BTreeMap, HashMap};

use super::{Invariant, Lane};

/// Brokers and this program read the same clock, in whole milliseconds; but this program reads two,
/// one of which may be set while it runs.
const CLOCKS_MS: u64 = 5;

/// What passed events that a lane had not got.
#[derive(Debug)]
pub(super) struct Passed {
    /// When it was seen.
    pub(super) seen_ms: u64,
    /// When their dead letters must have been written.
    pub(super) by_ms: u64,
    pub(super) lane: Lane,
    pub(super) offsets: Vec<i64>,
    pub(super) invariant: Invariant,
    pub(super) what: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// When the first one of each event was written.
    written: HashMap<Lane, BTreeMap<i64, u64>>,
    doubts: Vec<Passed>,
}

impl Letters {
    /// A dead letter lies in its topic. Says whether it is the event's first.
    pub(super) fn written(&mut self, lane: Lane, offset: i64, at_ms: u64) -> bool {
        let first = self.written.entry(lane).or_default();
        let before = first.get(&offset).copied();
        first.insert(offset, before.map_or(at_ms, |before| before.min(at_ms)));
        before.is_none()
    }

    /// Whether an event had a dead letter by then, as far as is known.
    pub(super) fn is_written(&self, lane: Lane, offset: i64, by_ms: u64) -> bool {
        let at = self.written.get(&lane).and_then(|all| all.get(&offset));
        at.is_some_and(|at| *at <= by_ms + CLOCKS_MS)
    }

    /// Something passed events.
    pub(super) fn doubt(&mut self, passed: Passed) {
        self.doubts.push(passed);
    }

    /// The topic was read beyond where it ended at that time: what was wrong before it.
    pub(super) fn tailed(&mut self, asked_ms: u64) -> Vec<(Invariant, String)> {
        let due = self
            .doubts
            .extract_if(.., |doubt| doubt.seen_ms <= asked_ms);
        let due: Vec<Passed> = due.collect();
        let wrong = due.into_iter().filter(|doubt| {
            let mut offsets = doubt.offsets.iter();
            !offsets.all(|offset| self.is_written(doubt.lane, *offset, doubt.by_ms))
        });
        wrong.map(|doubt| (doubt.invariant, doubt.what)).collect()
    }

    /// Doubts that nobody could end, because the topic was not read so far.
    pub(super) fn unjudged(&self) -> usize {
        self.doubts.len()
    }
}
