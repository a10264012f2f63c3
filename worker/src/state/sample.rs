//! Rows and their places, for tests.

use parcelhook_crds::lane::{
    Entry, Epoch, Incarnation, LaneName, LaneRow, Mode, NotBefore, ParkReason, Wants,
};
use uuid::Uuid;

use super::RowPlace;
use super::table::scope_of;
use crate::source::PartitionId;

/// An epoch of that number.
pub fn epoch(n: u32) -> Epoch {
    Epoch { n, random: 7 }
}

/// A partition of the topic `orders`, in a cluster that tells no topic ids.
pub fn place(partition: i32) -> RowPlace {
    RowPlace {
        source: PartitionId {
            topic: "orders".into(),
            partition,
        },
        topic_id: None,
    }
}

/// A lane of the target of that number.
pub fn lane(number: u8) -> LaneName {
    LaneName {
        target: Uuid::from_u128(number.into()),
        selection: [number; 16],
    }
}

/// A lane that has delivered so far and parks since.
pub fn row(delivered_through: i64) -> LaneRow {
    LaneRow {
        mode: Mode::Parking,
        reason: ParkReason::Failed,
        incarnation: Incarnation {
            epoch: epoch(1),
            counter: 1,
        },
        delivered_through,
        attempted: None,
        bucket: 0,
        resume_offset: 0,
        attempts: 1,
        not_before: NotBefore::Never,
        since: 0,
        oldest_parked_at: None,
        last_failure: None,
        parked: 0,
        parked_through: None,
        last_request: None,
        wants: Wants::Everything,
        absent_since: None,
    }
}

/// The record of a lane's row.
pub fn lane_entry(group: &str, place: &RowPlace, epoch: Epoch, lane: LaneName) -> Entry {
    Entry::Lane(scope_of(group, place, epoch), lane, Box::new(row(0)))
}
