//! References to Secrets. They are always local to the target's namespace.
//!
//! Names and keys are held to what Kubernetes allows, so in directory mode a reference cannot
//! leave the Secrets' directory.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::pattern;

/// One key of a Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// name is the Secret's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = pattern::OBJECT_NAME)
    )]
    pub name: String,

    /// key is the key in the Secret's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SECRET_KEY))]
    #[x_kube(validation = Rule::new("self != '.' && !self.startsWith('..')").message("must not be '.' or begin with '..'"))]
    pub key: String,
}

/// A Secret in the same namespace, whose type says which keys it has.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// name is the Secret's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = pattern::OBJECT_NAME)
    )]
    pub name: String,
}
