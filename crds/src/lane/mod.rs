//! What is written about a lane that is not live: rows of the lanes topic and the words they use.
//!
//! ```text
//!   key    (group, topic id, topic, partition, epoch, target, selection)   value   LaneRow
//!   key    the same without target and selection                          value   Terminator
//! ```
//!
//! A tombstone says that the lane is live again. The owner of a partition writes these, its successor
//! and the operator read them. No I/O.

mod epoch;
mod key;
mod place;
mod row;
pub mod table;

pub use epoch::{Epoch, Incarnation, ParseEpochError};
pub use key::{LaneName, RowKey, Scope};
pub use place::{PartitionId, RowPlace, TopicId};
pub use row::{
    DecodeError, Entry, LaneRow, LastFailure, Mode, NotBefore, ParkReason, Terminator, Wants,
};
