//! What a lane's orders look like: its name and key, its runs, its partition's terminator.
//!
//! Owns nothing: a run takes its number from the partition and is noted by the lane's machine.

use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::lane::{LaneName, NotBefore, RowKey, Scope, Terminator};

use super::machine::Span;
use super::outlet::Out;
use super::partition::Partition;
use super::surroundings::Surroundings;
use super::{Lane, LaneKey};
use crate::park::format::RUN_BYTES;
use crate::park::{Order, RUN_EVENTS, Run, Ticket};

/// What a lane is called. One that is not live keeps its name until it is live again, whatever its
/// target selects meanwhile: its row and its parked events are found by it.
pub(super) fn name(lane: &Lane) -> LaneName {
    if let Some(away) = &lane.away {
        return away.address.name;
    }
    LaneName {
        target: lane.uid,
        selection: *lane.selection.as_bytes(),
    }
}

pub(super) fn ticket(key: LaneKey, number: u64) -> Ticket {
    Ticket {
        slot: key.slot,
        lane: Some(key.seat()),
        number,
    }
}

/// The key of everything that is written about the partition under its epoch.
pub(super) fn scope(partition: &Partition, surroundings: &Surroundings) -> Option<Scope> {
    Some(Scope {
        group: surroundings.group.clone(),
        topic_id: partition.topic_id.map(|id| id.0),
        topic: partition.id.topic.to_string(),
        partition: partition.id.partition,
        epoch: partition.own?.epoch,
    })
}

pub(super) fn row_key(
    partition: &Partition,
    key: LaneKey,
    surroundings: &Surroundings,
) -> Option<RowKey> {
    let lane = Some(name(partition.lane(key)?));
    let scope = scope(partition, surroundings)?;
    Some(RowKey { scope, lane })
}

/// The terminator of the partition's epoch, when it must come before a row.
pub(super) fn terminate(
    partition: &mut Partition,
    surroundings: &Surroundings,
    now: Instant,
) -> Option<Out> {
    partition.own.filter(super::own::Own::wants_terminator)?;
    write_terminator(partition, surroundings, now)
}

/// Produces the terminator of the partition's epoch.
pub(super) fn write_terminator(
    partition: &mut Partition,
    surroundings: &Surroundings,
    now: Instant,
) -> Option<Out> {
    let scope = scope(partition, surroundings)?;
    let frontier = partition.frontier();
    let number = partition.number();
    partition.own.as_mut()?.produced(number, frontier, now);
    let ticket = Ticket {
        slot: partition.slot(),
        lane: None,
        number,
    };
    let key = RowKey { scope, lane: None };
    let terminator = Terminator { frontier };
    Some(Out::Produce(
        ticket,
        Order::Terminator(key, Some(terminator)),
    ))
}

/// The lane's next run behind the first `skip` events of its queue, with its bucket and its bytes.
pub(super) fn run(
    partition: &mut Partition,
    key: LaneKey,
    skip: u64,
    number: u64,
) -> Option<(Order, i32, usize)> {
    let lane = partition.lane(key)?;
    let backlog = lane.machine.backlog()?;
    let address = Arc::clone(&lane.away.as_ref()?.address);
    let mut waiting = partition
        .records(lane)
        .skip(usize::try_from(skip).ok()?)
        .peekable();
    let first = waiting.peek()?.offset;
    let limit = backlog.run_limit(first, RUN_EVENTS);
    let end = backlog.run_end(first);
    let mut bytes = 0;
    let mut events = Vec::new();
    for record in waiting.take(limit) {
        let is_full = bytes + record.size() > RUN_BYTES;
        let is_behind = end.is_some_and(|end| record.offset > end);
        if !events.is_empty() && (is_full || is_behind) {
            break;
        }
        bytes += record.size();
        events.push(record.clone());
    }
    let span = Span {
        events: u32::try_from(events.len()).ok()?,
        first: events.first()?.offset,
        last: events.last()?.offset,
    };
    let last_error = backlog.last_failure.as_ref().map(|failure| {
        let status = failure.status.map(|status| format!(" {status}"));
        format!("{}{}", failure.reason, status.unwrap_or_default())
    });
    let header = partition.lane_mut(key)?.machine.park(number, span)?;
    let bucket = address.bucket;
    let run = Box::new(Run {
        lane: address,
        incarnation: header.incarnation,
        reason: header.reason,
        prev: header.prev,
        attempts: header.attempts,
        first_failed_at: Some(header.since),
        not_before: match header.not_before {
            NotBefore::At(at) => Some(at),
            NotBefore::Never => None,
        },
        last_error,
        events,
    });
    let order = if header.by_reference {
        Order::ParkReference(run)
    } else {
        Order::Park(run)
    };
    Some((order, bucket, bytes))
}
