//! Which lanes a partition has: those that the targets ask for, no more and no fewer.
//!
//! A lane outlives a change of its target. It ends at once when the target has ended, and after what
//! waits was delivered when the target only reads other topics now.

use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::compiled::{Source, SourceClass};
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::machine::Machine;
use super::partition::Partition;
use super::pressure::Mark;
use super::queue::Queue;
use super::stamp::Stamp;
use super::target::Target;
use super::{Lane, LaneKey};
use crate::clock;
use crate::source::ledger::Seq;
use crate::transaction::selection::Selection;

/// The targets of a shard.
pub(super) type Targets<P> = FxHashMap<Uuid, Target<P>>;

/// Brings the lanes that are there up to date with their targets.
pub(super) fn follow<P>(partition: &mut Partition, targets: &Targets<P>, now: Instant) {
    let lanes: Vec<(LaneKey, Uuid)> = partition
        .lanes()
        .map(|(key, lane)| (key, lane.uid))
        .collect();
    for (key, uid) in lanes {
        match targets.get(&uid) {
            Some(target) if target.is_new => change(partition, key, target, now),
            Some(_) => {}
            None => {
                if let Some(abort) = partition.remove(key.index).and_then(|lane| lane.abort) {
                    abort.abort();
                }
            }
        }
    }
    partition.sort_lanes();
}

/// Begins a lane for each target that wants the topic and has none. `starts` are targets that begin
/// later than the partition; the others begin with the next record. `next` numbers the lanes.
pub(super) fn begin<P>(
    partition: &mut Partition,
    targets: &Targets<P>,
    starts: &[(Uuid, i64)],
    next: &mut u64,
) {
    let topic = Arc::clone(&partition.id.topic);
    let present: FxHashSet<Uuid> = partition.lanes().map(|(_, lane)| lane.uid).collect();
    for (uid, target) in targets.iter().filter(|(uid, _)| !present.contains(uid)) {
        let Some((stamp, selection)) = stamp(partition, target) else {
            continue;
        };
        let start = starts.iter().find(|(of, _)| of == uid);
        partition.add(Lane {
            filter: target.filter(&topic),
            from: start.map_or(i64::MIN, |(_, from)| *from),
            ..lane(*next, *uid, partition.end(), stamp, selection)
        });
        *next += 1;
    }
    partition.sort_lanes();
}

/// The target's lane for what a predecessor left; begun when there is none. One whose target no longer
/// reads the topic ends when that is delivered.
pub(super) fn inherited<P>(
    partition: &mut Partition,
    target: &Target<P>,
    next: &mut u64,
) -> Option<LaneKey> {
    let uid = target.of.compiled.uid;
    if let Some(key) = partition.keys_of(uid).first() {
        return Some(*key);
    }
    let selection = Selection::new(&partition.id.topic, None, target.of.compiled.start_from);
    let source = Source {
        topic: partition.id.topic.to_string(),
        class: SourceClass::Persistent,
        filter: None,
    };
    let stamp = partition.stamp(&target.of.compiled, &source);
    partition.add(Lane {
        ending: true,
        ..lane(*next, uid, partition.end(), stamp, selection)
    });
    *next += 1;
    partition.sort_lanes();
    partition.keys_of(uid).first().copied()
}

fn lane(id: u64, uid: Uuid, end: Seq, stamp: Stamp, selection: Selection) -> Lane {
    Lane {
        id,
        uid,
        filter: None,
        from: i64::MIN,
        ending: false,
        queue: Queue::Everything { next: end },
        machine: Machine::default(),
        restless: false,
        wake: None,
        abort: None,
        stamp,
        selection,
        mark: Mark::new(),
        away: None,
    }
}

/// The target has another version: what waits is sent under it, at once.
fn change<P>(partition: &mut Partition, key: LaneKey, target: &Target<P>, now: Instant) {
    let stamp = stamp(partition, target);
    let filter = target.filter(&partition.id.topic);
    let Some(lane) = partition.lane_mut(key) else {
        return;
    };
    lane.ending = stamp.is_none();
    let unix = clock::unix_millis();
    lane.machine.suspend(target.of.compiled.suspend, now, unix);
    if let Some((stamp, selection)) = stamp {
        lane.filter = filter;
        lane.stamp = stamp;
        lane.selection = selection;
        lane.machine.hurry(now, unix);
        lane.machine.dissolve();
    }
}

/// None when the target does not read the topic.
fn stamp<P>(partition: &mut Partition, target: &Target<P>) -> Option<(Stamp, Selection)> {
    let source = target.source(&partition.id.topic)?;
    let of = &target.of.compiled;
    let selection = Selection::new(&source.topic, source.filter.as_ref(), of.start_from);
    Some((partition.stamp(of, source), selection))
}
