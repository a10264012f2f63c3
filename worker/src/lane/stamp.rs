//! What is the same in all transactions of a lane: how they are named and how they are written.
//! Prepared once, when the lane begins or its target changes.

use parcelhook_crds::compiled::{CompiledTarget, Source, TransactionLimits};

use crate::source::{PartitionId, TopicId};
use crate::transaction::format::Encoding;
use crate::transaction::id::{SourcePartition, TransactionIds};
use crate::transaction::selection::Selection;

/// See the module.
#[derive(Debug)]
pub struct Stamp {
    /// Names the transactions.
    pub ids: TransactionIds,
    /// Writes their bodies.
    pub encoding: Encoding,
    /// Bounds them.
    pub limits: TransactionLimits,
}

impl Stamp {
    /// Of the lane of `target` on a partition of one of its sources.
    pub fn new(
        target: &CompiledTarget,
        source: &Source,
        partition: &PartitionId,
        topic_id: Option<TopicId>,
    ) -> Self {
        let place = SourcePartition {
            topic: &partition.topic,
            topic_id,
            partition: partition.partition,
        };
        let selection = Selection::new(&source.topic, source.filter.as_ref(), target.start_from);
        let encoding = Encoding::new(target.format, &target.event_type, &place);
        Self {
            ids: TransactionIds::new(target.uid, &selection, &place),
            limits: encoding.limits(target.transaction),
            encoding,
        }
    }
}
