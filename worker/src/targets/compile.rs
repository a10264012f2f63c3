//! The one place where directory mode meets the rules of the resource: what validates a manifest
//! and compiles it. Everything else here treats both as given, and is tested with a small stand-in.

use parcelhook_crds::compile::{self, CompileError, SecretLookupError, SecretSource};
use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::manifest::{self, Violation};
use parcelhook_crds::secret::Secret;
use parcelhook_crds::spec::{DeliveryTarget, DeliveryTargetSpec};
use parcelhook_crds::uid::directory_uid;
use serde_json::Value;

use super::scan::{Lookup, Secrets};
use crate::park::Names;

/// Validates manifests and compiles them. Pure: the same input has the same answer, so an answer
/// may be kept while its input stays the same.
pub trait Compiler: Send + 'static {
    /// A manifest that is valid, its defaults filled in.
    type Manifest: Send;

    /// Validates a document of kind `DeliveryTarget`.
    ///
    /// # Errors
    /// Every fault; each names its field and the fix, and holds no secret.
    fn validate(&self, document: Value) -> Result<Self::Manifest, Vec<String>>;

    /// Resolves the Secrets of a valid manifest.
    ///
    /// # Errors
    /// Every reference that cannot be resolved, and every value that cannot be used, in the same form.
    fn compile(
        &self,
        manifest: &Self::Manifest,
        secrets: &Secrets,
    ) -> Result<CompiledTarget, Vec<String>>;
}

/// The rules of the resource, the same as the API server's and the operator's, and one of this
/// worker's: its own topics are nobody's source and nobody's place for dead letters. The resource
/// knows only those of the usual prefix.
#[derive(Clone, Debug)]
pub struct Rules {
    own: Names,
}

impl Rules {
    /// `own` names the worker's own topics.
    pub fn new(own: Names) -> Self {
        Self { own }
    }

    /// The topics of a manifest that are the worker's own, with the field that names each.
    fn own_topics(&self, spec: &DeliveryTargetSpec) -> Vec<String> {
        let sources = spec.sources.iter().enumerate();
        let sources = sources.map(|(index, source)| {
            let field = format!("spec.sources[{index}].topic");
            (field, source.topic.as_str(), "name another topic")
        });
        let dead_letters = spec.dead_letter_topic.iter().map(|topic| {
            let fix = "name another topic, or leave it out for the worker group's own";
            ("spec.deadLetterTopic".to_owned(), topic.as_str(), fix)
        });
        let named = sources.chain(dead_letters);
        let own = named.filter(|(_, topic, _)| self.own.is_own(topic));
        own.map(|(field, topic, fix)| {
            format!("{field}: {topic} is among the worker's own topics, whose names begin with its prefix and a dot; {fix}")
        })
        .collect()
    }
}

impl Compiler for Rules {
    type Manifest = DeliveryTarget;

    fn validate(&self, document: Value) -> Result<DeliveryTarget, Vec<String>> {
        let manifest = manifest::check(document).map_err(|violations| {
            let violations = violations.iter();
            violations.map(Violation::to_string).collect::<Vec<_>>()
        })?;
        let own = self.own_topics(&manifest.spec);
        if own.is_empty() {
            Ok(manifest)
        } else {
            Err(own)
        }
    }

    fn compile(
        &self,
        manifest: &DeliveryTarget,
        secrets: &Secrets,
    ) -> Result<CompiledTarget, Vec<String>> {
        // The validation has seen to both.
        let namespace = manifest.metadata.namespace.as_deref().unwrap_or_default();
        let name = manifest.metadata.name.as_deref().unwrap_or_default();
        compile::compile(manifest, directory_uid(namespace, name), secrets)
            .map_err(|errors| errors.iter().map(CompileError::to_string).collect())
    }
}

impl SecretSource for Secrets {
    fn get(&self, name: &str, key: &str) -> Result<Option<Secret>, SecretLookupError> {
        match Self::get(self, name, key) {
            Lookup::Found(value) => Ok(Some(value.clone())),
            Lookup::NoKey => Ok(None),
            Lookup::NoSecret => Err(SecretLookupError::NotFound),
            Lookup::Unreadable(why) => Err(SecretLookupError::Unreadable(why.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        Rules::new(Names::new("parcelhook"))
    }

    fn document() -> Value {
        json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": {"name": "orders"},
            "spec": {
                "sources": [{"topic": "orders"}],
                "endpoint": {"url": "https://example.org/hook"},
                "authentication": {"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "hook", "key": "token"}}},
            },
        })
    }

    fn secrets(token: &str) -> Secrets {
        let keys = BTreeMap::from([("token".to_owned(), Ok(Secret::new(token)))]);
        Secrets {
            unreadable: None,
            values: BTreeMap::from([("hook".to_owned(), Ok(keys))]),
        }
    }

    #[test]
    fn a_good_manifest_becomes_a_target_with_its_secrets_and_a_lasting_uid() {
        let manifest = rules().validate(document()).unwrap();
        let target = rules().compile(&manifest, &secrets("hunter2\n")).unwrap();
        assert_eq!((&*target.namespace, &*target.name), ("default", "orders"));
        assert_eq!(target.uid, directory_uid("default", "orders"));
        let again = rules().compile(&manifest, &secrets("hunter2")).unwrap();
        assert_eq!(target, again);
        assert_ne!(
            rules().compile(&manifest, &secrets("hunter3")).unwrap(),
            target
        );
    }

    #[test]
    fn faults_name_their_field_and_no_secret() {
        let mut bad = document();
        bad["spec"]["endpoint"]["url"] = json!("ftp://example.org");
        let faults = rules().validate(bad).unwrap_err();
        assert!(faults[0].starts_with("spec.endpoint.url: "), "{faults:?}");
        let manifest = rules().validate(document()).unwrap();
        let unreadable = Secrets {
            unreadable: Some("/secrets cannot be read".to_owned()),
            values: BTreeMap::new(),
        };
        for (secrets, expected) in [
            (Secrets::default(), "there is no Secret"),
            (unreadable, "/secrets cannot be read"),
            (secrets("hunter\u{1}2"), "hook"),
        ] {
            let fault = rules().compile(&manifest, &secrets).unwrap_err().concat();
            assert!(
                fault.contains("spec.authentication") && fault.contains(expected),
                "{fault}"
            );
            assert!(!fault.contains("hunter"), "{fault}");
        }
    }

    #[test]
    fn the_workers_own_topics_are_nobodys_source_or_place_for_dead_letters() {
        let mut bad = document();
        bad["spec"]["sources"] = json!([{"topic": "orders"}, {"topic": "acme.retry"}]);
        bad["spec"]["deadLetterTopic"] = json!("acme.dead-letter");
        let faults = Rules::new(Names::new("acme")).validate(bad.clone());
        let faults = faults.unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        for (fault, begin) in faults.iter().zip([
            "spec.sources[1].topic: acme.retry is among the worker's own topics",
            "spec.deadLetterTopic: acme.dead-letter is among the worker's own topics",
        ]) {
            assert!(fault.starts_with(begin), "{fault}");
        }
        assert!(rules().validate(bad).is_ok(), "another prefix");
    }
}
