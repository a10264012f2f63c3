//! Where compiled targets come from: a directory of manifests, later Kubernetes.
//!
//! Whatever the place, what leaves here is one complete [`Snapshot`] after another.

use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

/// Every target of the worker group at one moment. Complete: a target that is not in it has ended.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Rises with each change.
    pub revision: u64,
    /// The targets, ordered by namespace and name.
    pub targets: Vec<Arc<CompiledTarget>>,
    /// What could not be read, one entry a file and document, for people.
    pub problems: Vec<Problem>,
}

/// A manifest or Secret that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, as it was found below the targets directory.
    pub file: String,
    /// Document within the file, from 1.
    pub document: usize,
    /// What is wrong, naming the field and the fix; holds no secret.
    pub message: String,
    /// Whether an earlier good version of the target goes on.
    pub last_good_runs: bool,
}
