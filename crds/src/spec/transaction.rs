//! Bounds of one transaction: the events that go as one request.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::byte_size::{self, ByteSize};

/// Most events of one transaction.
const MAX_EVENTS: u16 = 100;

/// Bounds of the events that are sent as one request.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// maxEvents is the most events in one request.
    #[serde(default = "default_max_events")]
    #[schemars(range(min = 1, max = MAX_EVENTS))]
    pub max_events: u16,

    /// maxBytes is the most bytes of keys, values and headers in one request, as a number of bytes
    /// with or without the unit Ki or Mi. An event over it goes alone.
    #[serde(default = "default_max_bytes")]
    #[x_kube(validation = byte_size::within("1Ki", "16Mi"))]
    pub max_bytes: ByteSize,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            max_events: default_max_events(),
            max_bytes: default_max_bytes(),
        }
    }
}

fn default_max_events() -> u16 {
    MAX_EVENTS
}

fn default_max_bytes() -> ByteSize {
    ByteSize::mebibytes(1)
}
