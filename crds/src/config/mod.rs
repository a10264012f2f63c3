//! Compiled targets on their way to the workers: immutable shards, and a manifest that names them.
//!
//! ```text
//!   manifest  (revision, names of shards, deleted uids, requests)    replaced with each revision
//!      └──▶ shard  (entries, sorted by uid)                          named by its content, never changed
//! ```
//!
//! The operator writes both as Secrets, a worker reads them. A worker applies a revision when it has
//! every shard that its manifest names, and never one that is older. What stands in a shard that a
//! worker cannot read is told apart entry by entry, so one target of a later version does not take the
//! others with it. No I/O.

mod guard;
mod manifest;
mod shard;
mod target;
mod zip;

pub use crate::revision::{ParseRevisionError, Revision};
pub use guard::is_mass_loss;
pub use manifest::{Asked, Deleted, KEPT, Manifest, ManifestError};
pub use shard::{Encoded, Entry, Shard, ShardError, ShardName, Unreadable, shard_of};

/// Label of every Secret of this kind: the worker group whose it is.
pub const LABEL_GROUP: &str = "parcelhook.dev/worker-group";

/// Label of every Secret of this kind: [`MANIFEST`] or [`SHARD`].
pub const LABEL_PART: &str = "parcelhook.dev/config";

/// Value of [`LABEL_PART`] on the manifest.
pub const MANIFEST: &str = "manifest";

/// Value of [`LABEL_PART`] on a shard.
pub const SHARD: &str = "shard";

/// The key of the Secret under which the bytes stand.
pub const DATA_KEY: &str = "config.json.gz";

/// Name of the Secret of a worker group's manifest. A group is a DNS label, so the name is one, too
/// (RFC 1123 subdomains have up to 253 characters).
pub fn manifest_secret(group: &str) -> String {
    format!("parcelhook-{group}-manifest")
}

/// Name of the Secret of one of a worker group's shards.
pub fn shard_secret(group: &str, shard: &ShardName) -> String {
    format!("parcelhook-{group}-shard-{shard}")
}
