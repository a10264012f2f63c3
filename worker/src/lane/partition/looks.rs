//! Looks over all lanes of a partition: which of them have something to do.

use std::time::Instant;

use super::Partition;
use crate::lane::gate::Held;
use crate::lane::{Lane, LaneKey};
use crate::source::ledger::Seq;

impl Partition {
    /// Keys of the lanes that may have something to do now and were not named yet: an event waits and no
    /// attempt is in flight, or the lane is not live.
    pub fn grow_restless(&mut self, now: Instant) -> Vec<LaneKey> {
        let (slot, end) = (self.slot, self.ledger.next());
        let mut keys = Vec::new();
        let may_grow = |lane: &&mut Lane| !lane.restless && lane.held != Held::Everything;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some(lane) = lane.as_mut().filter(may_grow) else {
                continue;
            };
            let waits = lane.ending || !lane.queue.is_empty(end);
            if lane.away.is_some() || waits && lane.machine.ready(now).is_ok() {
                lane.restless = true;
                keys.push(LaneKey {
                    slot,
                    index: index as u32,
                    id: lane.id,
                });
            }
        }
        keys
    }

    /// A gate of these lanes is open. What they have behind another one waits on. Returns their keys.
    pub fn let_go(&mut self, lanes: &[u64]) -> Vec<LaneKey> {
        let is_one = |(_, lane): &(LaneKey, &Lane)| lanes.contains(&lane.id);
        let keys: Vec<LaneKey> = self.lanes().filter(is_one).map(|(key, _)| key).collect();
        for key in &keys {
            let held = match self.gates.limit(key.id) {
                Some(_) => Held::Behind,
                None => Held::Nothing,
            };
            if let Some(lane) = self.lane_mut(*key) {
                lane.held = held;
            }
        }
        keys
    }

    /// Keys of the live lanes that are slower than their events come.
    pub fn slow_lanes(&mut self, now: Instant) -> Vec<LaneKey> {
        let end = self.ledger.next();
        let live = self.lanes().filter(|(_, lane)| lane.machine.is_live());
        let fronts: Vec<(LaneKey, Option<Seq>)> = live
            .map(|(key, lane)| (key, self.waiting_seqs(lane).next()))
            .collect();
        let is_slow = |(key, front): &(LaneKey, Option<Seq>)| {
            let lane = self.lane_mut(*key);
            lane.is_some_and(|lane| lane.mark.is_slow(*front, end, now))
        };
        let slow = fronts.into_iter().filter(is_slow);
        slow.map(|(key, _)| key).collect()
    }

    /// Whether no attempt is in flight and nothing of its lanes is on its way into our topics.
    pub fn is_quiet(&self) -> bool {
        self.lanes().all(|(_, lane)| {
            let backlog = lane.machine.backlog();
            let writes = backlog.is_some_and(|it| it.is_writing() || it.owes_row());
            lane.abort.is_none() && !(writes && self.own.is_some())
        })
    }
}
