//! The effective configuration: what a target runs with, all defaults said, for people to read.
//!
//! It shows no secret: of authentication its type, of TLS and signing what there is of it, of the
//! URL what may be shown. The target's own headers are configuration and are shown.

use std::time::Duration;

use serde_json::{Value, json};

use crate::compiled::{Authentication, CompiledTarget, Endpoint, Retry, StartFrom, Tls};
use crate::duration::GepDuration;

impl CompiledTarget {
    /// The configuration as JSON, with the names of the manifest where it has them.
    pub fn effective(&self) -> Value {
        json!({
            "uid": self.uid.to_string(),
            "namespace": self.namespace,
            "name": self.name,
            "suspend": self.suspend,
            "sources": self.sources,
            "startFrom": start_from(self.start_from),
            "endpoint": endpoint(&self.endpoint),
            "authentication": self.authentication.as_ref().map(authentication),
            "signing": { "keys": self.signing_keys.len() },
            "format": self.format,
            "eventType": self.event_type,
            "transaction": {
                "maxEvents": self.transaction.max_events,
                "maxBytes": self.transaction.max_bytes,
            },
            "delivery": { "timeout": duration(self.timeout) },
            "retry": retry(&self.retry),
            "onReject": self.on_reject,
            "onHeadFailing": self.on_head_failing,
            "deadLetterTopic": self.dead_letter_topic,
            "health": { "failureThreshold": self.failure_threshold },
        })
    }
}

fn start_from(start: StartFrom) -> String {
    match start {
        StartFrom::Latest => "Latest".to_owned(),
        StartFrom::Earliest => "Earliest".to_owned(),
        StartFrom::Timestamp(millis) => jiff::Timestamp::from_millisecond(millis)
            .map_or_else(|_| format!("{millis} ms"), |time| time.to_string()),
    }
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let headers: Vec<Value> = endpoint
        .headers
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({
        "url": endpoint.shown_url,
        "method": endpoint.method,
        "headers": headers,
        "tls": tls(&endpoint.tls),
    })
}

fn tls(tls: &Tls) -> Value {
    json!({
        "ca": if tls.ca.is_some() { "Secret" } else { "System" },
        "clientCertificate": if tls.client_certificate.is_some() { "Secret" } else { "None" },
        "serverName": tls.server_name,
        "minVersion": tls.min_version,
    })
}

fn authentication(authentication: &Authentication) -> Value {
    let kind = match authentication {
        Authentication::Bearer(_) => "Bearer",
        Authentication::Basic { .. } => "Basic",
        Authentication::Header { .. } => "Header",
    };
    json!({ "type": kind })
}

fn retry(retry: &Retry) -> Value {
    json!({
        "initialBackoff": duration(retry.initial_backoff),
        "maxBackoff": duration(retry.max_backoff),
        "maxAge": duration(retry.max_age),
        "retryAfter": retry.retry_after,
        "rejectAttempts": retry.reject_attempts,
        "statusOverrides": retry.status_overrides,
    })
}

fn duration(duration: Duration) -> GepDuration {
    duration.into()
}
