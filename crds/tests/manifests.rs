//! The table of good and bad manifests in `manifests/`, judged in-process.
//!
//! A bad manifest begins with the field and a part of the message that it must be refused with:
//!
//! ```yaml
//! # field: spec.endpoint.url
//! # message: must not contain a fragment
//! ```
//!
//! `# api-server: other` marks those that an API server refuses too, but in other words, because
//! it does not get as far as the resource's own rules.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use parcelhook_crds::manifest::{self, Violation};
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../docs/examples/target.yaml");

fn manifests(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/manifests")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn check(text: &str) -> Result<parcelhook_crds::spec::DeliveryTarget, Vec<Violation>> {
    manifest::check(serde_saphyr::from_str::<Value>(text).unwrap())
}

/// The value of a `# name: value` line at the head of a file.
fn heading<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(&format!("# {name}: ")))
        .unwrap()
}

#[test]
fn good_manifests_are_accepted() {
    let files = manifests("good");
    assert!(files.len() >= 20, "{} files", files.len());
    for file in files {
        let verdict = check(&fs::read_to_string(&file).unwrap());
        assert!(verdict.is_ok(), "{}: {verdict:?}", file.display());
    }
}

#[test]
fn bad_manifests_are_refused_with_the_field_and_the_reason() {
    let files = manifests("bad");
    assert!(files.len() >= 60, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (field, message) = (heading(&text, "field"), heading(&text, "message"));
        let violations = check(&text).expect_err(&file.display().to_string());
        let expected = violations
            .iter()
            .any(|violation| violation.field == field && violation.message.contains(message));
        assert!(expected, "{}: {violations:#?}", file.display());
        assert_eq!(violations.len(), 1, "{}: {violations:#?}", file.display());
    }
}

#[test]
fn an_accepted_manifest_is_accepted_again_as_it_comes_back() {
    for file in manifests("good") {
        let target = check(&fs::read_to_string(&file).unwrap()).unwrap();
        let again = manifest::check(serde_json::to_value(&target).unwrap()).unwrap();
        assert_eq!(target, again, "{}", file.display());
    }
}

/// What an editor or a script may produce by mistake: the work and the answer stay small, and this test
/// ends.
#[test]
fn a_manifest_with_very_many_faults_is_refused_with_the_first_hundred() {
    let sources: [fn(usize) -> Value; 4] = [
        |n| json!({"topic": format!("t{n}")}),
        |_| json!({"topic": "orders"}),
        |_| json!({"topic": 7}),
        |_| json!({"topic": "orders", "topik": "orders"}),
    ];
    for source in sources {
        let sources: Value = (0..30_000).map(source).collect();
        let manifest = json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": {"name": "orders"},
            "spec": {"sources": sources, "endpoint": {"url": "https://example.org/hook"}},
        });
        let violations = manifest::check(manifest).unwrap_err();
        assert!(violations.len() <= 100, "{}", violations.len());
        let told = violations
            .iter()
            .any(|violation| violation.field.starts_with("spec.sources"));
        assert!(told, "{violations:#?}");
    }
}

/// JSON pointers of every value inside a value.
fn pointers(value: &Value, parent: &str, found: &mut Vec<String>) {
    found.push(parent.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, &format!("{parent}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{parent}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

#[test]
fn no_value_in_any_place_panics_or_is_repeated_in_a_message() {
    let good: Vec<Value> = serde_saphyr::from_multiple(EXAMPLE).unwrap();
    let mut places = Vec::new();
    pointers(&good[1], "", &mut places);
    assert!(places.len() > 50, "{} places", places.len());
    for place in places {
        for hostile in [
            json!(null),
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
            json!(""),
            json!(SECRET),
            json!("99999h99999h99999h99999h"),
            json!("9999999999Mi"),
            json!("http://[:]"),
            json!([[]]),
            json!({ "": {} }),
        ] {
            let mut manifest = good[1].clone();
            *manifest.pointer_mut(&place).unwrap() = hostile;
            for violation in manifest::check(manifest).err().unwrap_or_default() {
                let printed = violation.to_string();
                assert!(!violation.message.is_empty(), "{place}");
                assert!(!printed.contains(SECRET), "{place}: {printed}");
            }
        }
    }
}

#[test]
fn all_violations_of_a_manifest_are_told_at_once() {
    let violations = check(
        "apiVersion: parcelhook.dev/v1alpha1
kind: DeliveryTarget
metadata:
  name: Orders
spec:
  source: {}
  endpoint:
    url: ftp://user@example.com/#top
    tls: {minVersion: TLS1.1}
  transaction: {maxEvents: 500}
  retry: {initialBackoff: 1m, maxBackoff: 30s}
",
    )
    .unwrap_err();
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
