//! When a webhook is shown as DOWN. Nothing here changes when events are parked.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// When the webhook is shown as DOWN. It changes nothing else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// failureThreshold is the number of failed attempts in a row after which STATE is DOWN.
    #[serde(default = "default_failure_threshold")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: u16,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            failure_threshold: default_failure_threshold(),
        }
    }
}

fn default_failure_threshold() -> u16 {
    1
}
