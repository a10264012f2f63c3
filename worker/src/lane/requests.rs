//! What people ask of lanes: to try now, or to go on behind what is lost.
//!
//! A request of the configuration stays in it, so a lane remembers which it has acted on, in its row:
//! the last of each kind, separated by semicolons. A lane that is live has nothing to act on; when it
//! leaves live it takes what was asked before for done.

use std::time::Instant;

use parcelhook_crds::compiled::{Request, SkipTo};
use uuid::Uuid;

use super::LaneKey;
use super::shard::Shard;
use crate::clock;

impl<P> Shard<P> {
    /// A person asks: what waits for its next attempt is due now. The counts of failures stay.
    pub fn retry(&mut self, uid: Uuid, now: Instant) {
        let unix = clock::unix_millis();
        if let Some(target) = self.targets.get(&uid) {
            target.of.shared.release();
        }
        let mut hurried = Vec::new();
        for partition in self.partitions.values_mut() {
            for key in partition.keys_of(uid) {
                if let Some(lane) = partition.lane_mut(key) {
                    lane.hurry(now, unix);
                    hurried.push(key);
                }
            }
        }
        hurried.into_iter().for_each(|key| self.stir(key));
    }

    /// Acts on what is asked of the partition's lanes whose targets have changed.
    pub(super) fn heed_requests(&mut self, slot: u32, now: Instant) {
        let Some(partition) = self.partitions.get(&slot) else {
            return;
        };
        let is_asked = |uid: &Uuid| {
            let target = self.targets.get(uid).filter(|target| target.is_new);
            target.is_some_and(|target| !target.of.compiled.requests.is_empty())
        };
        let asked: Vec<LaneKey> = partition
            .lanes()
            .filter(|(_, lane)| is_asked(&lane.uid))
            .map(|(key, _)| key)
            .collect();
        asked
            .into_iter()
            .for_each(|key| self.act_on_requests(key, now));
    }

    /// Acts on what is asked of the lane, and was not before.
    pub(super) fn act_on_requests(&mut self, key: LaneKey, now: Instant) {
        let Some((requests, last)) = self.requests_of(key) else {
            return;
        };
        for request in requests {
            if is_remembered(last.as_deref(), &request) {
                continue;
            }
            let acted = match &request {
                Request::RetryAt(_) => self.retry_lane(key, now),
                Request::SkipTo(to) => self.skip(key, to, now),
            };
            if acted {
                self.remember(key, &request);
            }
        }
    }

    /// A lane that has stopped looks whether somebody wants it to go on.
    pub(super) fn heed_stop(&mut self, key: LaneKey, now: Instant) {
        let lane = self.lane_mut(key);
        let stopped = lane.is_some_and(|lane| {
            let backlog = lane.machine.backlog();
            lane.abort.is_none() && backlog.is_some_and(|backlog| backlog.has_gap())
        });
        if stopped {
            self.act_on_requests(key, now);
        }
    }

    /// The lane has just left live: what was asked before is not meant for this.
    pub(super) fn take_requests_for_done(&mut self, key: LaneKey) {
        let Some((requests, _)) = self.requests_of(key) else {
            return;
        };
        for request in requests {
            match request {
                Request::RetryAt(_) => self.remember(key, &request),
                // It names an offset, so it can only be meant for one stop.
                Request::SkipTo(_) => {}
            }
        }
    }

    /// What is asked of a lane that is not live, and what it remembers.
    fn requests_of(&self, key: LaneKey) -> Option<(Vec<Request>, Option<String>)> {
        let lane = self.partitions.get(&key.slot)?.lane(key)?;
        let backlog = lane.machine.backlog()?;
        let requests = &self.targets.get(&lane.uid)?.of.compiled.requests;
        (!requests.is_empty()).then(|| (requests.clone(), backlog.last_request.clone()))
    }

    fn retry_lane(&mut self, key: LaneKey, now: Instant) -> bool {
        if let Some(lane) = self.lane_mut(key) {
            lane.hurry(now, clock::unix_millis());
        }
        self.stir(key);
        true
    }

    /// Only a lane that has stopped skips.
    fn skip(&mut self, key: LaneKey, to: &SkipTo, now: Instant) -> bool {
        let Some(partition) = self.partitions.get_mut(&key.slot) else {
            return false;
        };
        if *partition.id.topic != *to.topic || partition.id.partition != to.partition {
            return false;
        }
        let id = partition.id.clone();
        let Some(lane) = partition.lane_mut(key) else {
            return false;
        };
        let target = lane.uid;
        let Some(skipped) = lane.machine.skip_to(to.offset, now, clock::unix_millis()) else {
            return false;
        };
        tracing::warn!(
            event = "lane.skipped", lane = %id, %target, asked = to.offset, skipped,
            "a person gave up the lane's events up to an offset: it goes on behind it"
        );
        self.follow_drain(key);
        self.stir(key);
        true
    }

    fn remember(&mut self, key: LaneKey, request: &Request) {
        if let Some(lane) = self.lane_mut(key) {
            let last = lane
                .machine
                .backlog()
                .and_then(|backlog| backlog.last_request.as_deref());
            let last = remembering(last, request);
            lane.machine.remember(last);
        }
    }
}

fn is_remembered(last: Option<&str>, request: &Request) -> bool {
    let text = request.to_string();
    last.is_some_and(|last| last.split(';').any(|one| one == text))
}

/// What is remembered when the request was acted on, too.
fn remembering(last: Option<&str>, request: &Request) -> String {
    let of_its_kind = format!("{}=", request.kind());
    let others = last.unwrap_or_default().split(';');
    let others = others.filter(|one| !one.is_empty() && !one.starts_with(&of_its_kind));
    let mut all: Vec<String> = others.map(str::to_owned).collect();
    all.push(request.to_string());
    all.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_of_each_kind_is_remembered() {
        let retry = |time: &str| Request::RetryAt(time.to_owned());
        let skip = Request::SkipTo(SkipTo {
            topic: "orders".to_owned(),
            partition: 3,
            offset: 7,
        });
        let first = remembering(None, &retry("1"));
        assert!(is_remembered(Some(&first), &retry("1")));
        let both = remembering(Some(&first), &skip);
        assert_eq!(both, "retry-at=1;skip-to=orders/3/7");
        let later = remembering(Some(&both), &retry("2"));
        assert_eq!(later, "skip-to=orders/3/7;retry-at=2");
        assert!(!is_remembered(Some(&later), &retry("1")) && !is_remembered(None, &skip));
    }
}
