//! Where compiled targets come from: a directory of manifests, or the Secrets of a Kubernetes namespace.
//!
//! Whatever the place, what leaves here is one complete [`Snapshot`] after another.
//!
//! ```text
//! directory ── polls ──▶ read ── Scan ──▶ catalog ── Snapshot ──▶ watch::Sender
//!  (shell)              (files)           (pure: release, document, compile, claims)  ▲
//! kubernetes ── watches, gets ── manifest, shards ──▶ assembly ── Snapshot ───────────┘
//!  (shell)                                            (pure, with shrink)
//! ```

use std::fmt;
use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::report::Rejected;
use parcelhook_crds::revision::Revision;
use uuid::Uuid;

mod catalog;
mod check;
mod claims;
pub mod compile;
mod directory;
mod document;
#[cfg(test)]
mod fake;
mod kubernetes;
mod read;
mod release;
#[cfg(test)]
pub(crate) mod sample;
mod scan;
mod signature;

pub use check::check;
pub use directory::{Directory, OpenError, POLL_INTERVAL, Place};
pub use kubernetes::{ConnectError, Kubernetes};
pub use scan::{Lookup, Secrets};

/// Every target of the worker group at one moment. Complete: a target that is not in it is missing.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Rises with each change that this worker has seen; 0 before the targets were loaded once.
    pub changes: u64,
    /// How whoever keeps the directories of several workers numbers their states; none when nobody
    /// does. Never falls from one snapshot to the next.
    pub revision: Option<Revision>,
    /// The targets, ordered by namespace and name. One that did not change is the same `Arc` as in
    /// the snapshot before.
    pub targets: Vec<Arc<CompiledTarget>>,
    /// Targets that were deleted lately, beside those that say so themselves.
    pub ended: Vec<Uuid>,
    /// What could not be read, at most one entry a file and document, for people.
    pub problems: Vec<Problem>,
    /// Targets that this worker cannot run as they are, for whoever has compiled them.
    pub rejected: Vec<Rejected>,
    /// How many manifests belong to other worker groups.
    pub of_other_groups: usize,
}

/// A manifest or Secret that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, as it was found below the targets directory; `.` is the directory itself. Or the name of
    /// a Secret.
    pub file: String,
    /// Document within the file, from 1; 0 when the whole file is meant.
    pub document: usize,
    /// What is wrong, naming the field and the fix; holds no secret.
    pub message: String,
    /// Whether an earlier good version of the target goes on.
    pub last_good_runs: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.document > 0 {
            write!(f, ", document {}", self.document)?;
        }
        write!(f, ": {}", self.message)?;
        if self.last_good_runs {
            f.write_str(" (the last good version goes on)")?;
        }
        Ok(())
    }
}

/// Tells a change once, and each problem when it comes.
fn log(known: &[Problem], snapshot: &Snapshot) {
    tracing::info!(
        revision = snapshot.revision.map(tracing::field::display),
        targets = snapshot.targets.len(),
        problems = snapshot.problems.len(),
        "targets changed"
    );
    for problem in &snapshot.problems {
        if !known.contains(problem) {
            tracing::warn!(%problem, "a target cannot be used as it is written");
        }
    }
}
