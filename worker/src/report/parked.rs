//! What a target's lanes that are not live have: how much is parked, and how the worst of them fare.
//!
//! Owns the sums and a bounded list of lanes, worst first. Plain data, merged over shards in any order.

use std::cmp::Reverse;
use std::time::Duration;

use parcelhook_crds::lane::{LastFailure, ParkReason};

use crate::source::PartitionId;

/// Lanes of one target that are told one by one. Of more only the sums are told: the list is for a
/// person, who looks at the worst first.
pub const WORST_LANES: usize = 20;

/// What a lane does that is not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaneMode {
    /// Sends parked events.
    Draining,
    /// Waits for its next attempt.
    Parking,
    /// Found a gap in what was parked and waits for a person.
    Stopped,
}

impl LaneMode {
    /// Every mode, in the order of [`Parked::lanes`].
    pub const ALL: [Self; 3] = [Self::Draining, Self::Parking, Self::Stopped];

    /// The word on the page and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Parking => "parking",
            Self::Stopped => "stopped",
        }
    }
}

/// One lane that is not live. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReport {
    /// Topic and partition.
    pub partition: PartitionId,
    /// What it does.
    pub mode: LaneMode,
    /// Why it left live.
    pub reason: ParkReason,
    /// Events that are parked and not delivered.
    pub parked: u64,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When it left live.
    pub since: i64,
    /// When the oldest of its parked events was parked.
    pub oldest_parked_at: Option<i64>,
    /// When it tries again; none while it drains, and when somebody must change something first.
    pub next_attempt: Option<i64>,
    /// Its last failed attempt.
    pub last_failure: Option<LastFailure>,
}

impl LaneReport {
    /// Sorts the worst first, and lanes that are as bad by their place, so that lists stay as they are.
    fn rank(&self) -> impl Ord + use<> {
        let worst = Reverse((self.mode, self.attempts, self.parked));
        (worst, self.partition.clone())
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parked {
    /// Events that are parked and not delivered.
    pub events: u64,
    /// When the oldest of them was parked, milliseconds since the Unix epoch.
    pub oldest_at: Option<i64>,
    /// Lanes by mode, in the order of [`LaneMode::ALL`].
    pub lanes: [u64; 3],
    /// Of these, lanes that left live because they were slower than their events came.
    pub overflowing: u64,
    /// Failed attempts in a row of the lane that has most.
    pub attempts: u32,
    /// The worst lanes, worst first, at most [`WORST_LANES`].
    pub worst: Vec<LaneReport>,
}

impl Parked {
    /// Adds a lane. `last_failure` is copied only when the lane is among the worst.
    pub fn add(&mut self, lane: LaneReport, last_failure: Option<&LastFailure>) {
        self.events += lane.parked;
        self.oldest_at = earliest(self.oldest_at, lane.oldest_parked_at);
        self.lanes[lane.mode as usize] += 1;
        self.overflowing += u64::from(lane.reason == ParkReason::Overflow);
        self.attempts = self.attempts.max(lane.attempts);
        self.keep(lane, last_failure);
    }

    /// Adds what another shard tells.
    pub fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.oldest_at = earliest(self.oldest_at, other.oldest_at);
        for (mine, theirs) in self.lanes.iter_mut().zip(other.lanes) {
            *mine += theirs;
        }
        self.overflowing += other.overflowing;
        self.attempts = self.attempts.max(other.attempts);
        for mut lane in other.worst {
            let last_failure = lane.last_failure.take();
            self.keep(lane, last_failure.as_ref());
        }
    }

    /// Lanes that are not live.
    pub fn not_live(&self) -> u64 {
        self.lanes.iter().sum()
    }

    /// Lanes that stopped at a gap.
    pub fn stopped(&self) -> u64 {
        self.lanes[LaneMode::Stopped as usize]
    }

    fn keep(&mut self, mut lane: LaneReport, last_failure: Option<&LastFailure>) {
        let rank = lane.rank();
        let place = self.worst.partition_point(|worse| worse.rank() < rank);
        if place < WORST_LANES {
            lane.last_failure = last_failure.cloned();
            self.worst.insert(place, lane);
            self.worst.truncate(WORST_LANES);
        }
    }
}

/// What was delivered of a target's parked events until no lane of it was left that is not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// When the last lane was live again, milliseconds since the Unix epoch.
    pub at: i64,
    /// Parked events that were delivered.
    pub events: u64,
    /// From the attempt that delivered the first of them until `at`.
    pub took: Duration,
}

/// The earlier of two moments, of which each may be unknown.
pub fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(partition: i32, mode: LaneMode, attempts: u32, parked: u64) -> LaneReport {
        LaneReport {
            partition: PartitionId {
                topic: "orders".into(),
                partition,
            },
            mode,
            reason: ParkReason::Failed,
            parked,
            attempts,
            since: 0,
            oldest_parked_at: Some(i64::from(partition)),
            next_attempt: None,
            last_failure: None,
        }
    }

    #[test]
    fn the_worst_lanes_come_first_and_the_list_is_bounded() {
        let mut parked = Parked::default();
        for partition in 0..100 {
            let attempts = u32::try_from(partition % 50).unwrap();
            parked.add(lane(partition, LaneMode::Parking, attempts, 1), None);
        }
        parked.add(lane(100, LaneMode::Stopped, 0, 1), None);
        parked.add(lane(101, LaneMode::Draining, 90, 1), None);
        assert_eq!(
            (parked.events, parked.not_live(), parked.stopped()),
            (102, 102, 1)
        );
        assert_eq!((parked.attempts, parked.oldest_at), (90, Some(0)));
        assert_eq!(parked.worst.len(), WORST_LANES);
        let first: Vec<i32> = parked.worst[..3]
            .iter()
            .map(|lane| lane.partition.partition)
            .collect();
        assert_eq!(first, [100, 49, 99]);
    }

    proptest! {
        #[test]
        fn shards_are_merged_in_any_order(
            lanes in prop::collection::vec((0..3_usize, 0..5_u32, 0..9_u64), 0..60),
            cut in 0..60_usize,
        ) {
            let lanes: Vec<_> = (0..)
                .zip(lanes)
                .map(|(partition, (mode, attempts, parked))| lane(partition, LaneMode::ALL[mode], attempts, parked))
                .collect();
            let gather = |lanes: &[LaneReport]| {
                let mut parked = Parked::default();
                lanes.iter().for_each(|lane| parked.add(lane.clone(), None));
                parked
            };
            let whole = gather(&lanes);
            let (one, other) = lanes.split_at(cut.min(lanes.len()));
            let (mut ahead, mut behind) = (gather(one), gather(other));
            behind.merge(ahead.clone());
            ahead.merge(gather(other));
            prop_assert_eq!(&ahead, &whole);
            prop_assert_eq!(&behind, &whole);
        }
    }
}
