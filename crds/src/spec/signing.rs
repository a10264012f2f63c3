//! Signatures of requests, as Standard Webhooks defines them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::secret_ref::SecretKeyRef;

/// Signs requests as Standard Webhooks defines it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signing {
    /// keySecretRefs are keys of Secrets that hold signing keys (base64, with or without whsec_ in
    /// front), newest first. A request carries one signature for each, so a key is rotated by
    /// adding the new one, waiting for the receiver, and removing the old one.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into(), "key".into()]))]
    pub key_secret_refs: Vec<SecretKeyRef>,
}
