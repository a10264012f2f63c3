//! The second phase: whether the operator's configuration allows the target.
//!
//! What the resource's own rules demand, the API server has checked.

use super::{Dereferenced, Refused};
use crate::policy::Policy;

/// A target that is allowed.
#[derive(Clone, Debug)]
pub struct Validated(pub(super) Dereferenced);

impl Dereferenced {
    /// Judges topics, and the URL when the spec shows it.
    ///
    /// # Errors
    /// The first thing that is not allowed.
    pub fn validate(self, policy: &Policy) -> Result<Validated, Refused> {
        let object = &self.target.object;
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let spec = &object.spec;
        let topics = policy.judge_topics(namespace, spec);
        let egress = || {
            let url = spec.endpoint.url.as_deref()?;
            policy.judge_url("spec.endpoint.url", url)
        };
        match topics.or_else(egress) {
            None => Ok(Validated(self)),
            accepted @ Some(_) => Err(Refused {
                accepted,
                references: None,
            }),
        }
    }
}
