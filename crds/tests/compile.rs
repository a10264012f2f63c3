//! Compiling targets: Secrets resolved, errors collected, nothing secret shown.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use parcelhook_crds::compile::{CompileError, SecretLookupError, SecretSource, compile, reason};
use parcelhook_crds::compiled::{Authentication, CompiledTarget, Format, StartFrom};
use parcelhook_crds::manifest;
use parcelhook_crds::secret::Secret;
use parcelhook_crds::uid::directory_uid;
use serde_json::{Value, json};

/// Secrets by name and key.
#[derive(Default)]
struct Secrets(BTreeMap<&'static str, BTreeMap<&'static str, Vec<u8>>>);

impl Secrets {
    fn with(mut self, name: &'static str, key: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.0.entry(name).or_default().insert(key, value.into());
        self
    }
}

impl SecretSource for Secrets {
    fn get(&self, name: &str, key: &str) -> Result<Option<Secret>, SecretLookupError> {
        if name == "locked" {
            return Err(SecretLookupError::Unreadable(
                "permission denied".to_owned(),
            ));
        }
        let keys = self.0.get(name).ok_or(SecretLookupError::NotFound)?;
        Ok(keys.get(key).map(|value| Secret::new(value.clone())))
    }
}

fn run(spec: Value, secrets: &Secrets) -> Result<CompiledTarget, Vec<CompileError>> {
    let mut manifest = json!({
        "apiVersion": "parcelhook.dev/v1alpha1",
        "kind": "DeliveryTarget",
        "metadata": { "name": "orders", "namespace": "shop" },
        "spec": {
            "sources": [{ "topic": "orders" }],
            "endpoint": { "url": "https://example.com/hook?token=abc" },
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        manifest["spec"][field] = value.clone();
    }
    let target = manifest::check(manifest).unwrap();
    compile(&target, directory_uid("shop", "orders"), secrets)
}

fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
}

/// A spec that uses every kind of Secret but two ways to authenticate.
fn every_secret() -> Value {
    json!({
        "endpoint": {
            "urlSecretRef": { "name": "hook", "key": "url" },
            "headers": [{ "name": "x-team", "value": "shop" }],
            "tls": {
                "caSecretRef": { "name": "hook", "key": "ca.crt" },
                "clientCertificateSecretRef": { "name": "client" },
            },
        },
        "authentication": {
            "type": "Basic",
            "basic": { "secretRef": { "name": "login" } },
        },
        "signing": { "keySecretRefs": [
            { "name": "hook", "key": "new" },
            { "name": "hook", "key": "old" },
        ] },
    })
}

/// Good values for `every_secret`, each with `hunter2` in it where that is possible.
fn good_secrets() -> Secrets {
    let key = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
    Secrets::default()
        .with("hook", "url", "https://hunter2.example.com/hunter2\n")
        .with("hook", "ca.crt", pem("CERTIFICATE"))
        .with("hook", "new", format!("{key}\r\n"))
        .with("hook", "old", key)
        .with("client", "tls.crt", pem("CERTIFICATE"))
        .with("client", "tls.key", pem("PRIVATE KEY"))
        .with("login", "username", "hunter2-user\n")
        .with("login", "password", "hunter2-password\n")
}

#[test]
fn a_minimal_target_runs_with_every_default() {
    let target = run(json!({}), &Secrets::default()).unwrap();
    assert_eq!(target.uid, directory_uid("shop", "orders"));
    assert_eq!(
        (target.namespace.as_str(), target.name.as_str()),
        ("shop", "orders")
    );
    assert!(!target.suspend);
    assert_eq!(target.start_from, StartFrom::Latest);
    assert_eq!(
        target.endpoint.url.expose(),
        b"https://example.com/hook?token=abc"
    );
    assert_eq!(target.format, Format::CloudEventsBatch);
    assert_eq!(target.event_type, "dev.parcelhook.event");
    assert_eq!(target.transaction.max_events, 100);
    assert_eq!(target.transaction.max_bytes, 1 << 20);
    assert_eq!(target.timeout, Duration::from_secs(15));
    assert_eq!(target.retry.initial_backoff, Duration::from_secs(2));
    assert_eq!(target.retry.max_backoff, Duration::from_secs(512));
    assert_eq!(target.retry.max_age, Duration::from_secs(6 * 24 * 60 * 60));
    assert_eq!(target.retry.reject_attempts, 3);
    assert_eq!(target.failure_threshold, 1);
}

#[test]
fn secrets_are_resolved_without_their_trailing_line_break() {
    let target = run(every_secret(), &good_secrets()).unwrap();
    assert_eq!(
        target.endpoint.url.expose(),
        b"https://hunter2.example.com/hunter2"
    );
    let keys: Vec<&[u8]> = target.signing_keys.iter().map(Secret::expose).collect();
    assert_eq!(keys, [b"hunter2hunter2hunter2hunter2"; 2]);
    assert_eq!(
        target.authentication,
        Some(Authentication::Basic {
            username: Secret::new("hunter2-user"),
            password: Secret::new("hunter2-password"),
        })
    );
    let client = target.endpoint.tls.client_certificate.unwrap();
    assert_eq!(client.chain.expose(), pem("CERTIFICATE").as_bytes());
    assert_eq!(client.key.expose(), pem("PRIVATE KEY").as_bytes());
}

#[test]
fn what_is_shown_of_a_url_has_no_query_and_nothing_of_a_secret() {
    let target = run(json!({}), &Secrets::default()).unwrap();
    assert_eq!(target.endpoint.shown_url, "https://example.com/hook");
    let target = run(every_secret(), &good_secrets()).unwrap();
    assert_eq!(target.endpoint.shown_url, "https://[from Secret hook/url]");
}

#[test]
fn nothing_that_can_be_printed_holds_a_secret() {
    let target = run(every_secret(), &good_secrets()).unwrap();
    let bytes = format!("{:?}", b"hunter2");
    for printed in [
        format!("{target:?}"),
        format!("{target:#?}"),
        target.effective().to_string(),
    ] {
        for secret in [
            "hunter2",
            "aHVudGVy",
            "BEGIN",
            "104, 117",
            bytes.trim_matches(['[', ']']),
        ] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}

#[test]
fn errors_hold_nothing_of_a_bad_value() {
    let bad = Secrets::default()
        .with("hook", "url", "https://user:hunter2@example.com/#hunter2")
        .with("hook", "ca.crt", "hunter2")
        .with("hook", "new", "whsec_hunter2")
        .with("hook", "old", "hunter2\n\n")
        .with("client", "tls.crt", "hunter2")
        .with(
            "client",
            "tls.key",
            pem("ENCRYPTED PRIVATE KEY").replace("AAAA", "hunter2"),
        )
        .with("login", "username", "hunter2:user")
        .with("login", "password", "hunter2\0");
    let errors = run(every_secret(), &bad).unwrap_err();
    assert_eq!(errors.len(), 9, "{errors:#?}");
    for error in errors {
        assert_eq!(error.reason(), reason::INVALID_SECRET_VALUE);
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("spec."), "{printed}");
    }
}

#[test]
fn every_missing_secret_and_key_is_named_at_once() {
    let secrets = Secrets::default()
        .with("hook", "url", "https://example.com/")
        .with("client", "tls.crt", pem("CERTIFICATE"));
    let errors = run(every_secret(), &secrets).unwrap_err();
    let lines: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {error}", error.reason()))
        .collect();
    assert_eq!(
        lines,
        [
            "SecretKeyNotFound spec.endpoint.tls.caSecretRef: the Secret `hook` has no key `ca.crt`; add it or change the reference",
            "SecretKeyNotFound spec.endpoint.tls.clientCertificateSecretRef: the Secret `client` has no key `tls.key`; add it or change the reference",
            "SecretNotFound spec.authentication.basic.secretRef: there is no Secret `login`; create it or change the reference",
            "SecretKeyNotFound spec.signing.keySecretRefs[0]: the Secret `hook` has no key `new`; add it or change the reference",
            "SecretKeyNotFound spec.signing.keySecretRefs[1]: the Secret `hook` has no key `old`; add it or change the reference",
        ]
    );
}

#[test]
fn a_secret_that_cannot_be_read_is_not_called_missing() {
    let spec = json!({ "authentication": {
        "type": "Bearer",
        "bearer": { "tokenSecretRef": { "name": "locked", "key": "token" } },
    } });
    let errors = run(spec, &Secrets::default()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].reason(), reason::SECRET_UNREADABLE);
    assert!(errors[0].to_string().contains("permission denied"));
}

#[test]
fn a_url_from_a_secret_obeys_the_rules_of_a_url_in_the_spec() {
    let endpoint = json!({ "endpoint": { "urlSecretRef": { "name": "hook", "key": "url" } } });
    for (url, good) in [
        ("https://example.com/hook?x=1", true),
        ("http://localhost:8080\n", true),
        ("ftp://example.com/", false),
        ("https://user@example.com/", false),
        ("https://example.com/#top", false),
        ("https://example.com/a b", false),
        ("http://0x7f.1/", false),
        ("/hook", false),
        ("", false),
    ] {
        let secrets = Secrets::default().with("hook", "url", url);
        assert_eq!(run(endpoint.clone(), &secrets).is_ok(), good, "{url}");
    }
}

#[test]
fn tls_is_refused_for_an_http_url_from_a_secret() {
    let secrets = good_secrets().with("hook", "url", "http://example.com/");
    let errors = run(every_secret(), &secrets).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("`tls` may not be set"));
}

#[test]
fn the_effective_configuration_says_everything_but_secrets() {
    let mut spec = every_secret();
    spec["startFrom"] = json!("2026-01-31T12:00:00+01:00");
    spec["sources"] = json!([{
        "topic": "orders",
        "filter": { "keys": [{ "type": "Prefix", "value": "eu-" }] },
    }]);
    spec["retry"] = json!({ "statusOverrides": [{ "code": 404, "outcome": "Gone" }] });
    let target = run(spec, &good_secrets()).unwrap();
    let shown = serde_json::to_string_pretty(&target.effective()).unwrap();
    insta::assert_snapshot!(shown);
}
