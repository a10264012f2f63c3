//! From what was compiled to what workers read: entries, shards, revisions.
//!
//! ```text
//!   Verdict ──▶ book ──▶ packer ──▶ shards that must be written
//!                 │          └────▶ names ──▶ revision ──▶ manifest, or nothing to say
//!                 └──────▶ crds::config::is_mass_loss (a second look before many targets end)
//!   garbage: which shards nobody needs any more
//! ```
//!
//! Pure. Level-triggered: each step computes what should be there from what is known now, so an event
//! that was missed, a crash between two writes, or a second operator at the same time lead to the same.

mod book;
mod garbage;
mod packer;
mod revision;

pub use book::{Applied, Book};
pub use garbage::{Found, History, collectable};
pub use packer::{Packed, Packer, SHARD_MAX_BYTES, SHARDS_MAX, SHARDS_MIN};
pub use revision::{Wish, first, revise};
