//! Which partition of which source topic: how rows, reports and people name it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A partition of a source topic. Cloning copies no name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The id that a topic has from its creation to its deletion (KIP-516). A topic that is deleted and
/// made again under the same name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// From the two halves that librdkafka gives; none when all is zero: the cluster knows no id.
    pub fn from_halves(high: i64, low: i64) -> Option<Self> {
        let id = Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned());
        (!id.is_nil()).then_some(Self(id))
    }
}

/// As Kafka shows it: 22 characters of base64url. librdkafka's own text form has `+` and `/`, which
/// would cut an event id in two.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// A source partition, as rows name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowPlace {
    /// Topic and partition.
    pub source: PartitionId,
    /// The topic's id, when the cluster tells one.
    pub topic_id: Option<TopicId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_is_shown_as_kafka_shows_it() {
        let id = TopicId::from_halves(-1, -2).unwrap();
        assert_eq!(id.to_string(), "_____________________g");
    }

    #[test]
    fn an_id_of_zeros_is_the_id_of_no_topic() {
        assert_eq!(TopicId::from_halves(0, 0), None);
    }
}
