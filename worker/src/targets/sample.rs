//! A target for tests: every default, one topic, a webhook that nobody has.

use std::time::Duration;

use parcelhook_crds::compiled::{
    CompiledTarget, Endpoint, Format, Method, OnHeadFailing, OnReject, Retry, RetryAfterPolicy,
    Source, SourceClass, StartFrom, Tls, TransactionLimits,
};
use parcelhook_crds::secret::Secret;
use uuid::Uuid;

/// See the module. Tests change what they are about.
pub(crate) fn target() -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::from_u128(1),
        namespace: "default".to_owned(),
        name: "orders".to_owned(),
        suspend: false,
        sources: vec![source("orders")],
        start_from: StartFrom::Latest,
        endpoint: endpoint("http://127.0.0.1/"),
        authentication: None,
        signing_keys: Vec::new(),
        format: Format::Json,
        event_type: "test".to_owned(),
        transaction: TransactionLimits {
            max_events: 100,
            max_bytes: 1 << 20,
        },
        timeout: Duration::from_secs(15),
        retry: retry(),
        on_reject: OnReject::DeadLetter,
        on_head_failing: OnHeadFailing::Wait,
        dead_letter_topic: None,
        failure_threshold: 1,
        deleted: false,
        requests: Vec::new(),
    }
}

/// A topic of which everything is wanted.
pub(crate) fn source(topic: &str) -> Source {
    Source {
        topic: topic.to_owned(),
        class: SourceClass::Persistent,
        filter: None,
    }
}

/// A webhook without anything special.
pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: Secret::new(url),
        shown_url: url.to_owned(),
        method: Method::Post,
        headers: Vec::new(),
        tls: Tls::default(),
    }
}

/// The defaults of `spec.retry`.
pub(crate) fn retry() -> Retry {
    Retry {
        initial_backoff: Duration::from_secs(2),
        max_backoff: Duration::from_secs(512),
        max_age: Duration::from_secs(144 * 3600),
        retry_after: RetryAfterPolicy::Honor,
        reject_attempts: 3,
        status_overrides: Vec::new(),
    }
}
