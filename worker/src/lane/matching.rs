//! Which lanes a partition has: those that the targets ask for, no more and no fewer.
//!
//! A lane outlives a change of its target. It ends at once when the target has ended, and after what
//! waits was delivered when the target only reads other topics now.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::compiled::{Source, SourceClass};
use parcelhook_crds::lane::{LaneName, Wants};
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::ephemeral::Ephemeral;
use super::gate::Held;
use super::machine::Machine;
use super::partition::Partition;
use super::pressure::Mark;
use super::queue::Queue;
use super::stamp::Stamp;
use super::target::Target;
use super::{Lane, LaneKey};
use crate::clock;
use crate::router::filter::Filter;
use crate::source::ledger::Seq;
use crate::transaction::selection::Selection;

/// The targets of a shard.
pub(super) type Targets<P> = FxHashMap<Uuid, Target<P>>;

/// What became of the lanes of a partition that runs.
#[derive(Debug)]
pub(super) struct Followed {
    /// Lanes that end: their target is no more.
    pub(super) ending: Vec<LaneKey>,
    /// Identities of lanes that select anew: that waits for a gate.
    pub(super) held: Vec<u64>,
}

/// Brings the lanes that are there up to date with their targets. One that lives by its row alone ends
/// only when its target is among the `ended`.
pub(super) fn follow<P>(
    partition: &mut Partition,
    targets: &Targets<P>,
    ended: &FxHashSet<Uuid>,
    now: Instant,
) -> Followed {
    let lanes: Vec<(LaneKey, Uuid, bool)> = partition
        .lanes()
        .map(|(key, lane)| (key, lane.uid, lane.orphan().is_some()))
        .collect();
    let (mut ending, mut held) = (Vec::new(), Vec::new());
    for (key, uid, is_orphan) in lanes {
        match targets.get(&uid) {
            Some(target) if target.is_new => {
                if change(partition, key, target, now) {
                    held.push(key.id);
                }
            }
            Some(_) => {}
            None if is_orphan && !ended.contains(&uid) => {}
            None => ending.push(key),
        }
    }
    partition.sort_lanes();
    Followed { ending, held }
}

/// Begins a lane for each target that wants the topic and has none. `starts` are targets that begin
/// later than the partition; the others begin with the next record. `next` numbers the lanes. Returns
/// the identities of those that begin on a partition that runs: they wait for a gate.
pub(super) fn begin<P>(
    partition: &mut Partition,
    targets: &Targets<P>,
    starts: &[(Uuid, i64)],
    next: &mut u64,
) -> Vec<u64> {
    let held = if partition.has_run {
        Held::Everything
    } else {
        Held::Nothing
    };
    let mut gated = Vec::new();
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
            held,
            ephemeral: Ephemeral::of(target, &topic),
            ..lane(*next, *uid, partition.end(), stamp, selection)
        });
        if partition.has_run {
            gated.push(*next);
        }
        *next += 1;
    }
    partition.sort_lanes();
    gated
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
    let (stamp, selection) = last_stamp(partition, target);
    partition.add(Lane {
        ending: true,
        ..lane(*next, uid, partition.end(), stamp, selection)
    });
    *next += 1;
    partition.sort_lanes();
    partition.keys_of(uid).first().copied()
}

/// The lane that a predecessor left for a target that is not known here.
pub(super) fn orphan(
    partition: &mut Partition,
    name: LaneName,
    wants: &Wants,
    next: &mut u64,
) -> Option<LaneKey> {
    let uid = name.target;
    if let Some(key) = partition.keys_of(uid).first() {
        return Some(*key);
    }
    let selection = Selection::from_bytes(name.selection);
    let stamp = partition.blank_stamp(uid, &selection);
    partition.add(Lane {
        filter: match wants {
            Wants::Matching(filter) => Some(Rc::new(Filter::new(filter))),
            Wants::Everything | Wants::Nothing => None,
        },
        from: match wants {
            Wants::Nothing => i64::MAX,
            Wants::Everything | Wants::Matching(_) => i64::MIN,
        },
        ..lane(*next, uid, partition.end(), stamp, selection)
    });
    *next += 1;
    partition.has_orphans = true;
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
        held: Held::Nothing,
        ephemeral: None,
        wake: None,
        abort: None,
        stamp,
        selection,
        mark: Mark::new(),
        away: None,
    }
}

/// The target has another version: what waits is sent under it, at once. Says whether it selects anew on a
/// partition that runs.
fn change<P>(partition: &mut Partition, key: LaneKey, target: &Target<P>, now: Instant) -> bool {
    let stamp = stamp(partition, target);
    let reads = stamp.is_some();
    let (stamp, selection) = stamp.unwrap_or_else(|| last_stamp(partition, target));
    let topic = Arc::clone(&partition.id.topic);
    let filter = target.filter(&topic);
    let has_run = partition.has_run;
    let Some(lane) = partition.lane_mut(key) else {
        return false;
    };
    let took_nothing = lane.ending || lane.from == i64::MAX;
    let anew = has_run && reads && (took_nothing || selection != lane.selection);
    if anew && lane.held == Held::Nothing {
        lane.held = Held::Behind;
    }
    let unix = clock::unix_millis();
    lane.machine.suspend(target.of.is_suspended(), now, unix);
    lane.machine.row_changed();
    lane.ending = !reads;
    lane.ephemeral = Ephemeral::of(target, &topic);
    let was_orphan = lane
        .away
        .as_mut()
        .is_some_and(|away| away.orphan.take().is_some());
    if was_orphan {
        // What was read before was matched by the row.
        lane.from = i64::MIN;
    }
    if reads || was_orphan {
        lane.filter = filter;
        lane.stamp = stamp;
        lane.selection = selection;
        lane.machine.hurry(now, unix);
        lane.machine.dissolve();
    }
    anew
}

/// For what waits of a target that no longer reads the topic.
fn last_stamp<P>(partition: &mut Partition, target: &Target<P>) -> (Stamp, Selection) {
    let of = &target.of.compiled;
    let source = Source {
        topic: partition.id.topic.to_string(),
        class: SourceClass::Persistent,
        filter: None,
    };
    let selection = Selection::new(&source.topic, None, of.start_from);
    (partition.stamp(of, &source), selection)
}

/// None when the target does not read the topic.
fn stamp<P>(partition: &mut Partition, target: &Target<P>) -> Option<(Stamp, Selection)> {
    let source = target.source(&partition.id.topic)?;
    let of = &target.of.compiled;
    let selection = Selection::new(&source.topic, source.filter.as_ref(), of.start_from);
    Some((partition.stamp(of, source), selection))
}
