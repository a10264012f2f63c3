//! `DeliveryTarget` and its spec, one file a topic.
//!
//! These types are the wire form: what the API server stores and what a manifest holds. All rules
//! stand beside the fields they are about, as OpenAPI bounds and CEL, and the CRD is generated from
//! here. Nothing here resolves a Secret or speaks to Kubernetes.

#![expect(
    unreachable_pub,
    reason = "the KubeSchema derive makes a public twin of each type"
)]

pub mod authentication;
pub mod delivery;
pub mod endpoint;
pub mod format;
pub mod health;
pub(crate) mod pattern;
pub mod retry;
pub mod secret_ref;
pub mod signing;
pub mod source;
pub mod start_from;
pub mod transaction;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::status::DeliveryTargetStatus;
use authentication::Authentication;
use delivery::Delivery;
use endpoint::Endpoint;
use format::Format;
use health::Health;
use retry::{OnHeadFailing, OnReject, Retry};
use signing::Signing;
use source::Source;
use start_from::StartFromText;
use transaction::Transaction;

/// The worker's own topics: they begin with this and belong to no target.
const NOT_INTERNAL: &str = "!self.startsWith('parcelhook.')";
const NOT_INTERNAL_MESSAGE: &str =
    "must not begin with 'parcelhook.'; those topics belong to Parcelhook itself";
const NOT_DOTS: &str = "self != '.' && self != '..'";
const NOT_DOTS_MESSAGE: &str = "must not be '.' or '..'; Kafka has no such topics";

/// What a user asks for: which events go to which webhook, and how.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "parcelhook.dev",
    version = "v1alpha1",
    kind = "DeliveryTarget",
    plural = "deliverytargets",
    singular = "deliverytarget",
    shortname = "dt",
    category = "parcelhook",
    namespaced,
    status = "DeliveryTargetStatus",
    derive = "PartialEq",
    doc = "DeliveryTarget is a webhook and the Kafka events that are delivered to it, in order.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name must be no more than 63 characters"),
    selectable = ".spec.workerGroup",
    selectable = ".status.state",
    printcolumn(
        name = "State", type_ = "string", json_path = ".status.state",
        description = "UP, DOWN, SUSPENDED, BLOCKED or UNKNOWN"
    ),
    printcolumn(
        name = "Reason", type_ = "string", json_path = ".status.reason",
        description = "Why State has its value"
    ),
    printcolumn(
        name = "Parked", type_ = "integer", json_path = ".status.parked",
        description = "Events that wait for the webhook"
    ),
    printcolumn(
        name = "Since", type_ = "date", json_path = ".status.since",
        description = "How long State has had its value"
    ),
    printcolumn(
        name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the workers run this target"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Topics", type_ = "string", json_path = ".spec.sources[*].topic", priority = 1,
        description = "The first of the Kafka topics that are read"
    ),
    printcolumn(
        name = "URL", type_ = "string", json_path = ".spec.endpoint.url", priority = 1,
        description = "The webhook, unless its URL is in a Secret"
    ),
    printcolumn(
        name = "Group", type_ = "string", json_path = ".spec.workerGroup", priority = 1,
        description = "The worker group that delivers"
    ),
    printcolumn(
        // No date column: that renders a time to come as `<invalid>`.
        name = "Next-Attempt", type_ = "string", json_path = ".status.nextAttempt", priority = 1,
        description = "When the webhook is tried again"
    ),
    printcolumn(
        name = "Last-Code", type_ = "integer", json_path = ".status.lastFailure.statusCode", priority = 1,
        description = "The status code of the last failed attempt"
    ),
    printcolumn(
        name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Available\")].message", priority = 1,
        description = "What State and Reason mean, in words"
    ),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.authentication) || !has(self.authentication.header) || !has(self.endpoint.headers) || !self.endpoint.headers.exists(h, h.name == self.authentication.header.name)")
        .message("must not contain the header that `authentication.header` sets; remove one of the two")
        .field_path(".endpoint.headers"),
    validation = Rule::new("!has(self.deadLetterTopic) || !self.sources.exists(s, s.topic == self.deadLetterTopic)")
        .message("must not be one of the topics in `sources`; dead letters would be delivered again")
        .field_path(".deadLetterTopic"),
)]
pub struct DeliveryTargetSpec {
    /// workerGroup names the workers that deliver to this target. It is immutable: another group
    /// has other offsets.
    #[serde(default = "default_worker_group")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::DNS_LABEL))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("must not be changed; create another DeliveryTarget for another worker group"))]
    pub worker_group: String,

    /// suspend parks events instead of sending them while it is true. No event is lost.
    #[serde(default)]
    pub suspend: bool,

    /// sources are the Kafka topics to read, and which of their events are wanted.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topic".into()]))]
    pub sources: Vec<Source>,

    /// startFrom is where delivery starts in a topic that the worker group has never read: at the
    /// topic's end (Latest), at its beginning (Earliest), or at the first event at or after an RFC
    /// 3339 time such as 2026-01-31T12:00:00Z.
    #[serde(default)]
    #[x_kube(
        validation = Rule::new(start_from::RULE).message(start_from::MESSAGE),
        validation = Rule::new(start_from::REAL_TIME_RULE).message(start_from::REAL_TIME_MESSAGE),
    )]
    pub start_from: StartFromText,

    /// endpoint is where requests are sent, and how.
    pub endpoint: Endpoint,

    /// authentication adds credentials to each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,

    /// signing adds a Standard Webhooks signature to each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,

    /// format is how events become a request body.
    #[serde(default)]
    pub format: Format,

    /// eventType is the CloudEvents type of events that are not CloudEvents already.
    #[serde(default = "default_event_type")]
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::WORD))]
    pub event_type: String,

    /// transaction bounds the events that are sent as one request.
    #[serde(default)]
    pub transaction: Transaction,

    /// delivery bounds one attempt.
    #[serde(default)]
    pub delivery: Delivery,

    /// retry is what follows a failed attempt.
    #[serde(default)]
    pub retry: Retry,

    /// onReject is what happens to an event that the webhook rejects by itself.
    #[serde(default)]
    pub on_reject: OnReject,

    /// onHeadFailing is what happens when the first event of a partition keeps failing while the
    /// webhook takes events of others.
    #[serde(default)]
    pub on_head_failing: OnHeadFailing,

    /// deadLetterTopic is the Kafka topic for events that are given up. When it is left out, the
    /// worker group's own is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = pattern::TOPIC))]
    #[x_kube(
        validation = Rule::new(NOT_INTERNAL).message(NOT_INTERNAL_MESSAGE),
        validation = Rule::new(NOT_DOTS).message(NOT_DOTS_MESSAGE),
    )]
    pub dead_letter_topic: Option<String>,

    /// health is when the webhook is shown as DOWN.
    #[serde(default)]
    pub health: Health,
}

fn default_worker_group() -> String {
    "default".to_owned()
}

fn default_event_type() -> String {
    "dev.parcelhook.event".to_owned()
}
