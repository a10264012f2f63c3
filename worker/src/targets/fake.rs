//! A stand-in for the rules of the resource, for tests of the machinery around them.
//!
//! A manifest is good when `spec.url` is a text other than `bad`; `spec.url: panic` panics;
//! `spec.secret: name/key` must resolve, and its value becomes a signing key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parcelhook_crds::compiled::CompiledTarget;
use serde_json::Value;
use uuid::Uuid;

use super::compile::Compiler;
use super::sample;
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
        name: name.to_owned(),
        sources: vec![sample::source("t")],
        endpoint: sample::endpoint(url),
        ..sample::target()
    }
}
