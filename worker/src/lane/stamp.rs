//! What is the same in all transactions of a lane: how they are named and how they are written.
//! Prepared once, when the lane begins or its target changes. Lanes of one partition that write alike
//! share the encoding, so a lane costs little more than its place.

use std::rc::{Rc, Weak};

use parcelhook_crds::compiled::{CompiledTarget, Format, Source};

use uuid::Uuid;

use crate::source::{PartitionId, TopicId};
use crate::transaction::format::Encoding;
use crate::transaction::id::{SourcePartition, TransactionIds};
use crate::transaction::selection::Selection;

/// See the module.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Names the transactions.
    pub ids: TransactionIds,
    /// Writes their bodies.
    pub encoding: Rc<Encoding>,
}

/// The stamps of one partition's lanes, and the encodings that are in use.
#[derive(Debug, Default)]
pub struct Stamps {
    encodings: Vec<Shared>,
}

#[derive(Debug)]
struct Shared {
    format: Format,
    event_type: String,
    encoding: Weak<Encoding>,
}

impl Stamps {
    /// Of the lane of `target` on the partition, which belongs to one of its sources.
    pub fn of(
        &mut self,
        target: &CompiledTarget,
        source: &Source,
        partition: &PartitionId,
        topic_id: Option<TopicId>,
    ) -> Stamp {
        let place = SourcePartition {
            topic: &partition.topic,
            topic_id,
            partition: partition.partition,
        };
        let selection = Selection::new(&source.topic, source.filter.as_ref(), target.start_from);
        Stamp {
            ids: TransactionIds::new(target.uid, &selection, &place),
            encoding: self.encoding(target, &place),
        }
    }

    /// Of a lane that sends nothing before its target is known.
    pub fn blank(
        uid: Uuid,
        selection: &Selection,
        partition: &PartitionId,
        topic_id: Option<TopicId>,
    ) -> Stamp {
        let place = SourcePartition {
            topic: &partition.topic,
            topic_id,
            partition: partition.partition,
        };
        Stamp {
            ids: TransactionIds::new(uid, selection, &place),
            encoding: Rc::new(Encoding::new(Format::Json, "", &place)),
        }
    }

    fn encoding(&mut self, target: &CompiledTarget, place: &SourcePartition<'_>) -> Rc<Encoding> {
        let alike = |shared: &&Shared| {
            shared.format == target.format && shared.event_type == target.event_type
        };
        let known = self.encodings.iter().find(alike);
        if let Some(encoding) = known.and_then(|shared| shared.encoding.upgrade()) {
            return encoding;
        }
        let encoding = Rc::new(Encoding::new(target.format, &target.event_type, place));
        self.encodings
            .retain(|shared| shared.encoding.strong_count() > 0);
        self.encodings.push(Shared {
            format: target.format,
            event_type: target.event_type.clone(),
            encoding: Rc::downgrade(&encoding),
        });
        encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::sample;

    #[test]
    fn lanes_that_write_alike_share_what_writes_and_nothing_is_kept_for_lanes_that_are_gone() {
        let mut stamps = Stamps::default();
        let partition = PartitionId {
            topic: "orders".into(),
            partition: 0,
        };
        let target = sample::target();
        let mut stamp = |target: &CompiledTarget| {
            stamps.of(target, &sample::source("orders"), &partition, None)
        };
        let (one, other) = (stamp(&target), stamp(&target));
        assert!(Rc::ptr_eq(&one.encoding, &other.encoding));
        let typed = CompiledTarget {
            event_type: "another".to_owned(),
            ..target
        };
        drop((one, other));
        assert_eq!(Rc::strong_count(&stamp(&typed).encoding), 1);
        assert_eq!(stamps.encodings.len(), 1);
    }
}
