//! Bounds of one attempt.

use std::time::Duration;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{self, GepDuration};

/// Bounds of one attempt.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// timeout is the most time an attempt may take, from connecting to the last byte of the
    /// response.
    #[serde(default = "default_timeout")]
    #[x_kube(validation = duration::within("1s", "60s"))]
    pub timeout: GepDuration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            timeout: default_timeout(),
        }
    }
}

fn default_timeout() -> GepDuration {
    Duration::from_secs(15).into()
}
