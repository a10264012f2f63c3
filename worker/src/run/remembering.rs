//! Writes down what the group must remember: before a target runs, when it changes, once a day.
//!
//! What is to be written, [`Memory`] decides; this waits until the brokers have it, for [`PATIENCE`] at
//! most. Longer, and a change of the configuration would wait for one topic's trouble: the target runs
//! then, and is written down as soon as it can be.

use std::time::{Duration, Instant};

use super::memory::Memory;
use crate::clock;
use crate::park::produce::Producer;
use crate::state::shared::WorkerTarget;

/// How long a change of the configuration waits for what must be remembered of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before what could not be written is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether something has grown old.
const LOOK: Duration = Duration::from_secs(3600);

/// Records that are on their way at once. The producer's queue holds far more.
const AT_ONCE: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Remembering {
    memory: Memory,
    producer: Producer,
    next: Option<Instant>,
}

impl Remembering {
    pub(super) fn new(memory: Memory, producer: Producer) -> Self {
        Self {
            memory,
            producer,
            next: None,
        }
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// When [`Self::keep`] has something to do although nothing has changed.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Returns when the group remembers these targets and no others, or patience is over.
    pub(super) async fn keep(&mut self, targets: impl Iterator<Item = &WorkerTarget>) {
        let now = clock::now();
        let owed = self.memory.owed(targets, clock::unix_millis());
        let deadline = now + PATIENCE;
        let mut unwritten = 0;
        for some in owed.chunks(AT_ONCE) {
            let under_way: Vec<_> = some
                .iter()
                .map(|owed| {
                    let (key, value) = owed.record(self.memory.group());
                    (owed, self.producer.remember(&key, value))
                })
                .collect();
            for (owed, written) in under_way {
                let written = tokio::time::timeout_at(deadline.into(), written).await;
                if matches!(written, Ok(Ok(true))) {
                    self.memory.wrote(owed.clone(), clock::unix_millis());
                } else {
                    unwritten += 1;
                }
            }
        }
        if unwritten > 0 {
            tracing::warn!(
                unwritten,
                "targets are not remembered yet: should their manifests vanish with the last worker that has read them, their events would be passed over"
            );
        }
        self.next = Some(now + if unwritten > 0 { AGAIN } else { LOOK });
    }
}
