//! The compiled target: a `DeliveryTarget` with its Secrets resolved and its defaults filled in,
//! as a worker reads it.
//!
//! Every field is in the unit the worker uses; nothing here needs to be parsed or checked again.
//! `Debug` shows no secret. Two compiled targets are equal when a worker would treat them alike.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::secret::Secret;
pub use crate::spec::{
    endpoint::{Method, TlsVersion},
    format::Format,
    retry::{OnHeadFailing, OnReject, OverrideOutcome, RetryAfterPolicy, StatusOverride},
    source::{Filter, HeaderMatch, KeyMatch, Source, SourceClass, StartFrom},
};

/// A target as a worker runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledTarget {
    /// Identity of the resource; in directory mode derived from group, namespace and name.
    pub uid: Uuid,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// When true, events are kept and nothing is sent.
    pub suspend: bool,
    /// The topics to read, each with its filter. At least one; no topic twice.
    pub sources: Vec<Source>,
    /// Where the first delivery of a topic starts that the worker group has never read.
    pub start_from: StartFrom,
    /// Where and how requests are sent.
    pub endpoint: Endpoint,
    /// Credentials that are added to each request.
    pub authentication: Option<Authentication>,
    /// Keys of Standard Webhooks signatures, raw bytes, newest first. Empty: unsigned. At most 4.
    pub signing_keys: Vec<Secret>,
    /// How events become a request body.
    pub format: Format,
    /// The CloudEvents type of events that are not CloudEvents already.
    pub event_type: String,
    /// Bounds of one transaction.
    pub transaction: TransactionLimits,
    /// Deadline of one attempt, from connecting to the last byte of the response.
    pub timeout: Duration,
    /// What follows a failed attempt.
    pub retry: Retry,
    /// What happens to an event that is rejected by itself.
    pub on_reject: OnReject,
    /// What happens to a lane whose head keeps failing while the target takes other events.
    pub on_head_failing: OnHeadFailing,
    /// Topic for dead letters; none is the worker group's own.
    pub dead_letter_topic: Option<String>,
    /// Failed attempts in a row before STATE shows DOWN.
    pub failure_threshold: u32,
    /// A person has ended the target: nothing goes to it any more, and what waits is given up.
    pub deleted: bool,
    /// What a person asks of its lanes.
    pub requests: Vec<Request>,
}

/// What a person asks of a target's lanes. A lane acts once on each value. The text form is
/// `<kind>=<value>`, without a semicolon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What waits for its next attempt is due now. Holds the text by which one request is told from
    /// the next: an RFC 3339 time.
    RetryAt(String),
    /// A lane that has stopped goes on behind an offset.
    SkipTo(SkipTo),
}

/// Where a stopped lane goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipTo {
    /// The source topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// What is up to here, this offset included, is given up.
    pub offset: i64,
}

impl Request {
    /// Kind of [`Self::RetryAt`].
    pub const RETRY_AT: &'static str = "retry-at";
    /// Kind of [`Self::SkipTo`].
    pub const SKIP_TO: &'static str = "skip-to";

    /// The kind, as the annotation names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RetryAt(_) => Self::RETRY_AT,
            Self::SkipTo(_) => Self::SKIP_TO,
        }
    }

    /// Reads a value of a kind. None for a value that is none, and for a kind of a later version.
    pub fn parse(kind: &str, value: &str) -> Option<Self> {
        match kind {
            Self::RETRY_AT => {
                let is_time = value.parse::<jiff::Timestamp>().is_ok();
                is_time.then(|| Self::RetryAt(value.to_owned()))
            }
            Self::SKIP_TO => skip_to(value).map(Self::SkipTo),
            _ => None,
        }
    }
}

fn skip_to(value: &str) -> Option<SkipTo> {
    let (rest, offset) = value.rsplit_once('/')?;
    let (topic, partition) = rest.split_once('/')?;
    let partition = partition.parse().ok().filter(|number: &i32| *number >= 0)?;
    let offset = offset.parse().ok().filter(|offset: &i64| *offset >= 0)?;
    (!topic.is_empty()).then(|| SkipTo {
        topic: topic.to_owned(),
        partition,
        offset,
    })
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.kind())?;
        match self {
            Self::RetryAt(time) => f.write_str(time),
            Self::SkipTo(SkipTo {
                topic,
                partition,
                offset,
            }) => write!(f, "{topic}/{partition}/{offset}"),
        }
    }
}

/// Where and how requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The absolute URL as it is requested. A secret when it came from one, so always kept as one.
    pub url: Secret,
    /// The URL as it may be shown: without query; the scheme and a placeholder when it came from a
    /// Secret.
    pub shown_url: String,
    /// HTTP method.
    pub method: Method,
    /// The target's own headers, checked against the reserved names.
    pub headers: Vec<(String, String)>,
    /// How the server's certificate is verified and which certificate is offered.
    pub tls: Tls,
}

/// TLS of an endpoint. The default trusts the system's authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM bundle of the authorities to trust instead of the system's.
    pub ca: Option<Secret>,
    /// Certificate chain and private key, both PEM.
    pub client_certificate: Option<ClientCertificate>,
    /// The name to verify and to send as SNI instead of the URL's host.
    pub server_name: Option<String>,
    /// Lowest version that is accepted.
    pub min_version: TlsVersion,
}

/// A certificate that the worker offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Certificate chain, PEM.
    pub chain: Secret,
    /// Private key, PEM.
    pub key: Secret,
}

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Authentication {
    /// `Authorization: Bearer <token>`.
    Bearer(Secret),
    /// `Authorization: Basic <base64(user:password)>`.
    Basic {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// A header of a chosen name.
    Header {
        /// Lower-case name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// Bounds of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Events, 1 to 100.
    pub max_events: usize,
    /// Bytes of the events' keys, values and headers. It cuts, it does not refuse: an event over it goes alone.
    pub max_bytes: usize,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Wait before the second attempt; doubles with each attempt.
    pub initial_backoff: Duration,
    /// Longest wait between attempts.
    pub max_backoff: Duration,
    /// How long a parked event is kept before it becomes a dead letter.
    pub max_age: Duration,
    /// Whether a Retry-After header is honoured.
    pub retry_after: RetryAfterPolicy,
    /// Attempts of a single rejected event before `on_reject` applies.
    pub reject_attempts: u32,
    /// Status codes that this target moves to another outcome.
    pub status_overrides: Vec<StatusOverride>,
}
