//! One attempt: an HTTP request for a transaction, and what it came to.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

mod client;
mod connections;
mod detail;
mod fault;
mod headers;
pub mod outcome;
mod prepared;
pub mod reason;
mod resolver;
mod retry_after;
mod signature;
mod tls;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use outcome::Outcome;
pub use parcelhook_crds::egress;
pub use prepared::Prepared;
pub use reason::Reason;

/// Makes attempts. Behind a trait because the bench compares HTTP clients.
pub trait Deliver {
    /// A target made ready for requests: parsed URL, prepared headers, signing keys, TLS identity.
    type Prepared;

    /// Prepares a target once, when its configuration arrives.
    ///
    /// # Errors
    /// When the URL, a header, a certificate or a key cannot be used; the message names the field.
    fn prepare(
        &self,
        target: &Arc<parcelhook_crds::compiled::CompiledTarget>,
    ) -> Result<Self::Prepared, PrepareError>;

    /// Makes one attempt. Never fails: a failure is an [`Outcome`].
    fn attempt(&self, target: &Self::Prepared, request: Request) -> impl Future<Output = Attempt>;
}

/// A target that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PrepareError {
    /// Field of the resource, such as `spec.endpoint.tls.caSecretRef`.
    pub field: &'static str,
    /// What is wrong and how to mend it; holds no secret.
    pub message: String,
}

/// One request: the transaction's bytes and what changes from attempt to attempt.
#[derive(Clone, Debug)]
pub struct Request {
    /// Transaction id, the same on every attempt: `webhook-id` and `idempotency-key`.
    pub id: HeaderValue,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Media type of the body; none when the body has none (a tombstone).
    pub content_type: Option<HeaderValue>,
    /// The body: the same bytes on every attempt.
    pub body: Bytes,
    /// Headers that the format adds (such as `parcelhook-tombstone`).
    pub format_headers: Vec<(http::HeaderName, HeaderValue)>,
    /// W3C trace context of this attempt, already validated.
    pub traceparent: Option<HeaderValue>,
}

/// What one attempt came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The classification; the only part that decides what follows.
    pub outcome: Outcome,
    /// Why, in one word for people and labels.
    pub reason: Reason,
    /// Status code, when a response head arrived.
    pub status: Option<u16>,
    /// Time from the start of the attempt to its outcome.
    pub duration: Duration,
    /// At most 1 KiB of the response or of the error, control bytes stripped, without secrets.
    pub detail: Option<String>,
}
