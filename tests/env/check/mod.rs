//! The checker: what a receiver accepted, compared with what was produced for it.
//!
//! It proves the promises about delivery for one target: per lane (topic and partition) the first
//! delivery of each event comes in offset order, nothing is missing, nothing is invented. An event
//! may come again in a later transaction, which is counted, never twice in the same one.

mod ids;
mod verdict;

pub use ids::{EventId, Interner};
pub use verdict::{Verdict, Violation};

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::kafka::Produced;

/// A lane of the target that is checked: topic and partition.
pub type Lane = (Arc<str>, i32);

/// A request that the receiver accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The receiver's number of the request; only shown to people.
    pub request: u64,
    /// The events in it, in their order.
    pub events: Vec<EventId>,
}

/// The events that a target should get.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    lanes: BTreeMap<Lane, Vec<i64>>,
}

impl Expected {
    /// Expects these offsets of a lane, besides those that are expected already.
    pub fn add(&mut self, topic: &str, partition: i32, offsets: impl IntoIterator<Item = i64>) {
        let lane = self.lanes.entry((topic.into(), partition)).or_default();
        lane.extend(offsets);
        lane.sort_unstable();
        lane.dedup();
    }

    /// Expects all that was produced to a topic.
    pub fn add_produced(&mut self, topic: &str, produced: &Produced) {
        for (partition, offsets) in produced.by_partition() {
            self.add(topic, partition, offsets);
        }
    }

    /// How many events are expected.
    pub fn events(&self) -> usize {
        self.lanes.values().map(Vec::len).sum()
    }

    /// Compares with the transactions that the target accepted, in the order of their acceptance.
    pub fn compare(&self, accepted: &[Transaction]) -> Verdict {
        let mut verdict = Verdict::default();
        let lanes = self.lanes.iter();
        let mut progress: BTreeMap<&Lane, Progress<'_>> = lanes
            .map(|(lane, offsets)| (lane, Progress::of(offsets)))
            .collect();
        for transaction in accepted {
            let mut here = HashSet::new();
            for event in &transaction.events {
                let (lane, offset) = (event.lane(), event.offset);
                if !here.insert(event) {
                    verdict.violations.push(Violation::TwiceInOne {
                        request: transaction.request,
                        lane,
                        offset,
                    });
                    continue;
                }
                let step = match progress.get_mut(&lane) {
                    Some(progress) => progress.deliver(offset),
                    None => Step::Unexpected,
                };
                verdict.count(step, transaction.request, lane, offset);
            }
        }
        for (lane, progress) in progress {
            let offsets = progress.missing();
            if !offsets.is_empty() {
                let lane = lane.clone();
                verdict
                    .violations
                    .push(Violation::Missing { lane, offsets });
            }
        }
        verdict
    }
}

/// How far a lane has come.
struct Progress<'a> {
    /// In ascending order.
    expected: &'a [i64],
    /// Whether each was delivered.
    delivered: Vec<bool>,
    /// The index of the first that was not.
    next: usize,
}

/// What one delivery of one event was.
enum Step {
    /// The first one, in order.
    InOrder,
    /// The first one, before that of the lower offset `awaited`.
    Ahead { awaited: i64 },
    /// Not the first one.
    Again,
    /// Of an event that was not produced for this target.
    Unexpected,
}

impl<'a> Progress<'a> {
    fn of(expected: &'a [i64]) -> Self {
        Self {
            expected,
            delivered: vec![false; expected.len()],
            next: 0,
        }
    }

    fn deliver(&mut self, offset: i64) -> Step {
        let Ok(index) = self.expected.binary_search(&offset) else {
            return Step::Unexpected;
        };
        if self.delivered[index] {
            return Step::Again;
        }
        self.delivered[index] = true;
        if index != self.next {
            let awaited = self.expected[self.next];
            return Step::Ahead { awaited };
        }
        while self.delivered.get(self.next) == Some(&true) {
            self.next += 1;
        }
        Step::InOrder
    }

    fn missing(&self) -> Vec<i64> {
        let all = self.expected.iter().zip(&self.delivered);
        all.filter(|(_, delivered)| !**delivered)
            .map(|(offset, _)| *offset)
            .collect()
    }
}

#[cfg(test)]
mod tests;
