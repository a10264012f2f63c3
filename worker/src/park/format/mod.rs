//! What a record of the retry topic looks like, both ways.
//!
//! ```text
//!   headers   parcelhook-target … parcelhook-body     ours, always first, `parcelhook-body` last
//!             the event's own headers                 only with `parcelhook-body: event`
//!   body      event       key, value and headers are the event's, byte for byte
//!             run         value = all events in one binary form; see [`binary`]
//!             reference   no key, no value: one event that does not fit, still in its source topic
//! ```
//!
//! Because ours come first and end with `parcelhook-body`, an event's own headers of such names come
//! back like all others. Unknown headers among ours are skipped: an older reader understands a newer
//! writer. Payloads are never looked at.
//!
//! This file owns the names. `encode` and `decode` know no Kafka client: they speak of slices.

pub mod binary;
pub(super) mod block;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

use parcelhook_crds::lane::LaneName;

pub use binary::BinaryError;
pub use block::{LaneOf, lane_of};
pub use decode::{Message, decode};
pub use encode::{Encoded, encode, reference};

use super::ParkedRun;
use crate::source::{PartitionId, TopicId};

/// Bytes of events ([`crate::source::record::Record::size`]) at which a run should be cut, so that it
/// stays below the limit of 1 MiB that brokers have by default, with all that is written around it. A
/// larger event goes alone.
pub const RUN_BYTES: usize = 512 * 1024;

/// The target's uid. The first of our headers.
pub const TARGET: &str = "parcelhook-target";
/// What the lane selects from its topic, 22 characters of base64url.
pub const SELECTION: &str = "parcelhook-selection";
/// `topic/partition` that the event came from.
pub const SOURCE: &str = "parcelhook-source";
/// Id of that topic, a UUID; absent when the cluster tells none.
pub const TOPIC_ID: &str = "parcelhook-topic-id";
/// Offset of the first event in its partition.
pub const FIRST: &str = "parcelhook-first";
/// Offset of the last event in its partition.
pub const LAST: &str = "parcelhook-last";
/// Last offset that was parked before it in its incarnation by its owner.
pub const PREV: &str = "parcelhook-prev";
/// The DOWN period: `<n>.<16 hex digits>.<counter>`.
pub const INCARNATION: &str = "parcelhook-incarnation";
/// Why the events wait.
pub const REASON: &str = "parcelhook-reason";
/// Failed attempts in a row, when they were parked.
pub const ATTEMPTS: &str = "parcelhook-attempts";
/// When the lane's first attempt failed, milliseconds since the Unix epoch.
pub const FIRST_FAILED_AT: &str = "parcelhook-first-failed-at";
/// When the next attempt may be made, milliseconds since the Unix epoch, or `never`.
pub const NOT_BEFORE: &str = "parcelhook-not-before";
/// The last failure, for people.
pub const LAST_ERROR: &str = "parcelhook-last-error";
/// The event's own timestamp: `missing`, `created <ms>` or `appended <ms>`.
pub const TIMESTAMP: &str = "parcelhook-timestamp";
/// What the record holds: `event`, `run` or `reference`. The last of our headers.
pub const BODY: &str = "parcelhook-body";

/// A header: its name, and its value unless it is null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A record of the retry topic, read back: whose it is, and what it holds.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Target and selection.
    pub name: LaneName,
    /// The partition that the events came from.
    pub source: PartitionId,
    /// The id of its topic, when the cluster told one.
    pub topic_id: Option<TopicId>,
    /// The events.
    pub run: ParkedRun,
}

/// A record of the retry topic that cannot be read. Holds nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It does not begin as ours do.
    #[error(
        "the first header is not {TARGET}, or {BODY} does not follow; only Parcelhook may write to this topic"
    )]
    Foreign,
    /// One of our headers is not there, or not what it should be.
    #[error(
        "header {0} is missing or is not what it should be; the record was written by a later version or by somebody else"
    )]
    Header(&'static str),
    /// The events are not in the form that the headers promise.
    #[error("the events cannot be read: {0}")]
    Events(#[from] BinaryError),
    /// The events are not those that the headers name.
    #[error("the record holds offsets {found:?} and its headers say {said:?}")]
    Offsets {
        /// First and last, in the headers.
        said: (i64, i64),
        /// First and last, in the body.
        found: (i64, i64),
    },
}
