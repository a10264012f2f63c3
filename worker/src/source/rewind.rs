//! Partitions that have no commit, but a frontier of an earlier owner.
//!
//! The group's commits can be gone (they expire, or a tool deletes them) while the rows of the lanes
//! topic are still there, and with them how far the partition was done. That is learned after the
//! partition was assigned: its shard says so before it claims it. Then everything that came is thrown
//! away and the partition begins again. Owns when to look for such partitions.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use super::care::{ASK_AGAIN, QUESTION_TIMEOUT};
use super::inbox::PartitionId;
use super::log_offsets::log_ranges;
use super::partitions::Ownership;
use super::rebalance::{self, GroupConsumer, SharedOwnership, lock};
use super::resolve::Resolved;
use super::seats::seat;
use super::start::{self, StartedBy};
use crate::clock;

/// How often partitions are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rewind {
    next: Option<Instant>,
}

impl Rewind {
    /// Sets partitions on the frontiers that their shards name. Asks the cluster only if there are any.
    pub(super) fn look(
        &mut self,
        consumer: &GroupConsumer,
        ownership: &SharedOwnership,
        now: Instant,
    ) {
        if self.next.is_some_and(|due| now < due) {
            return;
        }
        self.next = Some(now + LOOK_INTERVAL);
        let mut ownership = lock(ownership);
        let wanted: Vec<(u32, PartitionId, i64)> = ownership
            .running()
            .iter()
            .filter_map(|(slot, partition)| {
                Some((*slot, partition.id.clone(), partition.wanted_start()?))
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        if let Err(error) = begin_again(consumer, &mut ownership, wanted) {
            tracing::debug!(%error, "partitions cannot be set on their frontier yet");
            self.next = Some(clock::now() + ASK_AGAIN);
        }
    }
}

fn begin_again(
    consumer: &GroupConsumer,
    ownership: &mut Ownership,
    wanted: Vec<(u32, PartitionId, i64)>,
) -> KafkaResult<()> {
    let ids: Vec<PartitionId> = wanted.iter().map(|(_, id, _)| id.clone()).collect();
    let deadline = clock::now() + QUESTION_TIMEOUT;
    let ranges = log_ranges(consumer, &ids, deadline)?;
    for (slot, id, frontier) in wanted {
        let (Some(range), Some(partition)) = (ranges.get(&id), ownership.running().get(&slot))
        else {
            continue;
        };
        // What retention has taken since is an old story: then the partition is as good as new.
        let start = if frontier < range.0 {
            partition.start.clone()
        } else {
            start::follow(frontier, *range)
        };
        seat(consumer, &id, start.offset)?;
        let note = ownership.note(slot);
        rebalance::resume(ownership, consumer, std::slice::from_ref(&id));
        ownership.lose(&[slot]);
        ownership.run(Resolved {
            id,
            start,
            started_by: StartedBy::Terminator,
            log_end: range.1,
            committed: None,
            note,
        });
    }
    Ok(())
}
