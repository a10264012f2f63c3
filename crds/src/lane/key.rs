//! Keys of the lanes topic: which lane of which partition, under which ownership.
//!
//! Compact JSON with a fixed order of fields, so that the same lane always has the same key bytes and
//! compaction works.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::Epoch;

/// The source partition and the owner that a row belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The consumer group.
    pub group: String,
    /// Id of the source topic, when the cluster tells one.
    #[serde(rename = "topicId")]
    pub topic_id: Option<Uuid>,
    /// Name of the source topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// The ownership under which the row was written.
    pub epoch: Epoch,
}

/// Which lane of a partition: the target and what it selects from the topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaneName {
    /// The target's uid.
    pub target: Uuid,
    /// Digest of topic, filter and start.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub selection: [u8; 16],
}

impl std::fmt::Debug for LaneName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let selection = URL_SAFE_NO_PAD.encode(self.selection);
        write!(f, "LaneName({} {selection})", self.target)
    }
}

/// Key of a record of the lanes topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Partition and owner.
    #[serde(flatten)]
    pub scope: Scope,
    /// The lane; none is the terminator of the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneName>,
}

impl RowKey {
    /// The key's bytes: the same for the same lane, always.
    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and fixed fields only: nothing in it can fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn to_base64<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(text.as_bytes())
        .map_err(serde::de::Error::custom)?;
    <[u8; 16]>::try_from(bytes).map_err(|_| serde::de::Error::custom("a selection has 16 bytes"))
}
