//! The first phase: the Secrets that a target refers to.
//!
//! References are local to the target's namespace. Owns the values for as long as the target is judged.

use std::collections::{BTreeMap, BTreeSet};

use parcelhook_crds::compile::{SecretLookupError, SecretSource};
use parcelhook_crds::secret::Secret;
use parcelhook_crds::spec::DeliveryTargetSpec;

use super::Observed;

/// The names of the Secrets that a spec refers to.
pub fn references(spec: &DeliveryTargetSpec) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: &String| {
        names.insert(name.clone());
    };
    let endpoint = &spec.endpoint;
    endpoint
        .url_secret_ref
        .iter()
        .for_each(|key| add(&key.name));
    if let Some(tls) = &endpoint.tls {
        tls.ca_secret_ref.iter().for_each(|key| add(&key.name));
        let certificate = tls.client_certificate_secret_ref.iter();
        certificate.for_each(|secret| add(&secret.name));
    }
    if let Some(wanted) = &spec.authentication {
        let bearer = wanted.bearer.iter();
        bearer.for_each(|bearer| add(&bearer.token_secret_ref.name));
        wanted
            .basic
            .iter()
            .for_each(|basic| add(&basic.secret_ref.name));
        let header = wanted.header.iter();
        header.for_each(|header| add(&header.value_secret_ref.name));
    }
    if let Some(signing) = &spec.signing {
        signing
            .key_secret_refs
            .iter()
            .for_each(|key| add(&key.name));
    }
    names
}

/// One Secret as it was fetched: its keys, or why they are not known.
pub type Fetched = Result<BTreeMap<String, Secret>, SecretLookupError>;

/// The Secrets of one target, by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Fetched>);

impl Secrets {
    /// Adds one.
    pub fn add(&mut self, name: impl Into<String>, fetched: Fetched) {
        self.0.insert(name.into(), fetched);
    }
}

impl SecretSource for Secrets {
    fn get(&self, name: &str, key: &str) -> Result<Option<Secret>, SecretLookupError> {
        match self.0.get(name) {
            Some(Ok(keys)) => Ok(keys.get(key).cloned()),
            Some(Err(error)) => Err(error.clone()),
            None => Err(SecretLookupError::NotFound),
        }
    }
}

/// A target with its Secrets.
#[derive(Clone, Debug)]
pub struct Dereferenced {
    pub(super) target: Observed,
    pub(super) secrets: Secrets,
}

impl Observed {
    /// Ends the phase. `secrets` are those that [`references`] names.
    pub fn dereferenced(self, secrets: Secrets) -> Dereferenced {
        Dereferenced {
            target: self,
            secrets,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::target::sample;

    #[test]
    fn every_secret_that_compiling_asks_for_is_fetched() {
        let specs = [
            json!({ "endpoint": {
                "urlSecretRef": { "name": "url", "key": "k" },
                "tls": {
                    "caSecretRef": { "name": "ca", "key": "k" },
                    "clientCertificateSecretRef": { "name": "client" },
                },
            } }),
            json!({ "authentication": { "type": "Bearer", "bearer": { "tokenSecretRef": { "name": "token", "key": "k" } } } }),
            json!({ "authentication": { "type": "Basic", "basic": { "secretRef": { "name": "login" } } } }),
            json!({ "authentication": { "type": "Header", "header": { "name": "x-key", "valueSecretRef": { "name": "value", "key": "k" } } } }),
            json!({ "signing": { "keySecretRefs": [{ "name": "new", "key": "k" }, { "name": "old", "key": "k" }] } }),
        ];
        let mut all = Vec::new();
        for spec in specs {
            let target = sample::target_with("orders", spec);
            let wanted = Asked::default();
            // Compiling fails for each Secret that is missing, so it asks for all.
            let _ = parcelhook_crds::compile::compile(&target, uuid::Uuid::nil(), &wanted);
            let fetched = references(&target.spec);
            assert_eq!(fetched, wanted.0.take());
            all.extend(fetched);
        }
        assert_eq!(all.len(), 8);
    }

    /// Remembers what was asked for.
    #[derive(Default)]
    struct Asked(std::cell::RefCell<BTreeSet<String>>);

    impl SecretSource for Asked {
        fn get(&self, name: &str, _: &str) -> Result<Option<Secret>, SecretLookupError> {
            self.0.borrow_mut().insert(name.to_owned());
            Err(SecretLookupError::NotFound)
        }
    }
}
