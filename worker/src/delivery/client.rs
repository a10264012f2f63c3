//! Makes attempts with reqwest.
//!
//! One deadline covers connecting, writing, the response head and the body. The outcome stands with the
//! head: a 2xx is delivered whatever its body does afterwards. Of a body at most [`MAX_BODY_BYTES`] are
//! read, and that only so that the connection can be used again, or to have a few words for people.
//!
//! One request an attempt. Below it, a request that provably never reached the server (an idle connection
//! that was closed before anything was written, a stream refused by HTTP/2) is sent on another
//! connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::compiled::CompiledTarget;
use tokio::time::timeout;

use super::connections::Pools;
use super::detail::MAX_RAW_BYTES;
use super::egress::Policy;
use super::outcome::{self, Fault, Outcome};
use super::prepared::Prepared;
use super::reason::Reason;
use super::{Attempt, Deliver, PrepareError, Request, fault};
use crate::clock;

/// Bytes of a response body that are read. A connection with more to come is closed.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long an attempt whose outcome stands waits for the rest of the body.
#[derive(Clone, Copy, Debug)]
struct BodyWaits {
    /// For the sake of the connection, which is closed otherwise. Nearly always the body has come with the
    /// head; a receiver that writes it separately may be held up by a delayed acknowledgement (40 ms).
    delivered: Duration,
    /// For the words that say why.
    failed: Duration,
}

const BODY_WAITS: BodyWaits = BodyWaits {
    delivered: Duration::from_millis(100),
    failed: Duration::from_secs(1),
};

/// An HTTP client for many targets. Its connections belong to the runtime that makes the attempts, so
/// each shard has a client of its own.
pub struct Client {
    policy: Arc<Policy>,
    pools: Pools,
    body_waits: BodyWaits,
}

impl Client {
    /// A client under an egress policy, which holds for its life.
    pub fn new(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        let pools = Pools::new(Arc::clone(&policy));
        Self {
            policy,
            pools,
            body_waits: BODY_WAITS,
        }
    }

    /// The same, with time for every body: for tests that count connections on a machine that may stall.
    #[cfg(test)]
    pub(super) fn patient(mut self, wait: Duration) -> Self {
        self.body_waits = BodyWaits {
            delivered: wait,
            failed: wait,
        };
        self
    }

    async fn answered(
        &self,
        started: Instant,
        target: &Prepared,
        response: reqwest::Response,
    ) -> Attempt {
        let status = response.status();
        let retry_after = response.headers().get(http::header::RETRY_AFTER);
        let (outcome, reason) = target.classify(status, retry_after);
        let duration = clock::now().saturating_duration_since(started);
        let left = target.timeout().saturating_sub(duration);
        let detail = if outcome == Outcome::Delivered {
            read(response, left.min(self.body_waits.delivered), 0).await;
            None
        } else {
            let raw = read(response, left.min(self.body_waits.failed), MAX_RAW_BYTES).await;
            target.redactor().clean(&raw)
        };
        attempt((outcome, reason), Some(status.as_u16()), duration, detail)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Deliver for Client {
    type Prepared = Prepared;

    fn prepare(&self, target: &Arc<CompiledTarget>) -> Result<Prepared, PrepareError> {
        Prepared::new(target, &self.pools, &self.policy)
    }

    async fn attempt(&self, target: &Prepared, request: Request) -> Attempt {
        let started = clock::now();
        if let Some(denied) = target.denied() {
            return unanswered(started, target, Fault::EgressDenied, &denied.to_string());
        }
        match timeout(target.timeout(), target.send(request)).await {
            Ok(Ok(response)) => self.answered(started, target, response).await,
            Ok(Err(error)) => {
                let (fault, line) = fault::read(&error, target.is_encrypted());
                unanswered(started, target, fault, &line)
            }
            Err(_elapsed) => {
                let line = format!("no answer within {:?}", target.timeout());
                unanswered(started, target, Fault::Timeout, &line)
            }
        }
    }
}

fn unanswered(started: Instant, target: &Prepared, fault: Fault, line: &str) -> Attempt {
    let duration = clock::now().saturating_duration_since(started);
    // The peer may have had a word in the line, too: HTTP/2 says goodbye with a text.
    let detail = target.redactor().clean(line.as_bytes());
    attempt(outcome::of_fault(fault), None, duration, detail)
}

fn attempt(
    (outcome, reason): (Outcome, Reason),
    status: Option<u16>,
    duration: Duration,
    detail: Option<String>,
) -> Attempt {
    Attempt {
        outcome,
        reason,
        status,
        duration,
        detail,
    }
}

/// Reads the body until it ends, fails, is too long, or `wait` is over. Returns its first `keep` bytes.
async fn read(mut response: reqwest::Response, wait: Duration, keep: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let too_long = |bytes: u64| bytes > MAX_BODY_BYTES as u64;
    if keep == 0 && response.content_length().is_some_and(too_long) {
        return kept;
    }
    let reading = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = keep - kept.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            bytes += chunk.len();
            if bytes > MAX_BODY_BYTES {
                break;
            }
        }
    };
    // Whatever stopped it, what was read is what there is.
    let _stopped = timeout(wait, reading).await;
    kept
}
