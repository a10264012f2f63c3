//! A stand-in for the rules of the resource, for tests of the machinery around them.
//!
//! A manifest is good when `spec.url` is a text other than `bad`; `spec.url: panic` panics;
//! `spec.secret: name/key` must resolve, and its value becomes a signing key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parcelhook_crds::compiled::{self, CompiledTarget, Endpoint, Source};
use parcelhook_crds::secret::Secret;
use serde_json::Value;
use uuid::Uuid;

use super::compile::Compiler;
use super::{Lookup, Secrets};

/// A good manifest of the default group.
pub(super) fn manifest(name: &str, url: &str) -> String {
    format!("kind: DeliveryTarget\nmetadata:\n  name: {name}\nspec:\n  url: '{url}'\n")
}

/// A good manifest with a Secret.
pub(super) fn manifest_with_secret(name: &str, reference: &str) -> String {
    manifest(name, "u") + &format!("  secret: {reference}\n")
}

/// Counts how often it validates.
#[derive(Clone, Default)]
pub(super) struct FakeCompiler {
    pub(super) validations: Arc<AtomicUsize>,
}

impl Compiler for FakeCompiler {
    type Manifest = Value;

    fn validate(&self, document: Value) -> Result<Value, Vec<String>> {
        self.validations.fetch_add(1, Ordering::Relaxed);
        match document.pointer("/spec/url").and_then(Value::as_str) {
            Some("panic") => panic!("validation panics"),
            Some("bad") | None => Err(vec!["spec.url: must be good".to_owned()]),
            Some(_) => Ok(document),
        }
    }

    fn compile(&self, manifest: &Value, secrets: &Secrets) -> Result<CompiledTarget, Vec<String>> {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
        let mut target = target(
            text("/metadata/name").unwrap_or_default(),
            text("/spec/url").unwrap_or_default(),
        );
        if let Some((name, key)) = text("/spec/secret").and_then(|text| text.split_once('/')) {
            match secrets.get(name, key) {
                Lookup::Found(value) => target.signing_keys.push(value.clone()),
                Lookup::NoSecret | Lookup::NoKey => {
                    return Err(vec!["spec.secret: not found".to_owned()]);
                }
                Lookup::Unreadable(why) => return Err(vec![format!("spec.secret: {why}")]),
            }
        }
        Ok(target)
    }
}

fn target(name: &str, url: &str) -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        suspend: false,
        sources: vec![Source {
            topic: "t".to_owned(),
            class: compiled::SourceClass::default(),
            filter: None,
        }],
        start_from: compiled::StartFrom::default(),
        endpoint: Endpoint {
            url: Secret::new(url),
            shown_url: url.to_owned(),
            method: compiled::Method::default(),
            headers: Vec::new(),
            tls: compiled::Tls::default(),
        },
        authentication: None,
        signing_keys: Vec::new(),
        format: compiled::Format::default(),
        event_type: String::new(),
        transaction: compiled::TransactionLimits {
            max_events: 100,
            max_bytes: 1 << 20,
        },
        timeout: Duration::from_secs(15),
        retry: compiled::Retry {
            initial_backoff: Duration::from_secs(2),
            max_backoff: Duration::from_secs(512),
            max_age: Duration::from_secs(1),
            retry_after: compiled::RetryAfterPolicy::default(),
            reject_attempts: 3,
            status_overrides: Vec::new(),
        },
        on_reject: compiled::OnReject::default(),
        on_head_failing: compiled::OnHeadFailing::default(),
        dead_letter_topic: None,
        failure_threshold: 1,
    }
}
