//! What is the same in all transactions of a lane: how they are named and how they are written.
//! Prepared once, when the lane begins or its target changes.

use parcelhook_crds::compiled::{CompiledTarget, Source, TransactionLimits};

use crate::source::PartitionId;
use crate::source::topics::TopicId;
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
        let topic_id = topic_id.and_then(|TopicId(id)| {
            let (high, low) = id.as_u64_pair();
            crate::transaction::id::TopicId::from_halves(high as i64, low as i64)
        });
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
