//! The effective configuration of a target, as people may see it: every default filled in, no secret.

use parcelhook_crds::compiled::{Authentication, CompiledTarget};
use serde_json::{Value, json};

/// Shows a target. Of secrets it says only that they are there.
pub(super) fn effective(target: &CompiledTarget) -> Value {
    let authentication = target.authentication.as_ref().map(|one| match one {
        Authentication::Bearer(_) => "Bearer",
        Authentication::Basic { .. } => "Basic",
        Authentication::Header { .. } => "Header",
        Authentication::OAuth2 { .. } => "OAuth2",
    });
    let topics: Vec<_> = target.sources.iter().map(|source| &source.topic).collect();
    let headers: Vec<_> = target
        .endpoint
        .headers
        .iter()
        .map(|(name, _)| name)
        .collect();
    json!({
        "uid": target.uid.to_string(),
        "suspend": target.suspend,
        "topics": topics,
        "url": target.endpoint.shown_url,
        "method": format!("{:?}", target.endpoint.method).to_uppercase(),
        "headers": headers,
        "authentication": authentication,
        "signingKeys": target.signing_keys.len(),
        "format": format!("{:?}", target.format),
        "eventType": target.event_type,
        "maxEvents": target.transaction.max_events,
        "maxBytes": target.transaction.max_bytes,
        "timeoutMs": target.timeout.as_millis() as u64,
        "initialBackoffMs": target.retry.initial_backoff.as_millis() as u64,
        "maxBackoffMs": target.retry.max_backoff.as_millis() as u64,
        "failureThreshold": target.failure_threshold,
    })
}
