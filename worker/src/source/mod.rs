//! Where events come from: the consumer thread, rebalances, the offsets ledger, commits and the
//! byte budget.

mod inbox;
pub mod ledger;
pub mod record;
pub mod topics;
pub use inbox::{Assigned, PartitionId, Progress, Revoked, ShardMessage};

#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SourceError;
