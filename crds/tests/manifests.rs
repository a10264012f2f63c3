//! The table of good and bad manifests, judged in-process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod table;

use parcelhook_crds::manifest::{self, Violation};
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../docs/examples/target.yaml");

fn check(text: &str) -> Result<parcelhook_crds::spec::DeliveryTarget, Vec<Violation>> {
    manifest::check(serde_saphyr::from_str::<Value>(text).unwrap())
}

#[test]
fn good_manifests_are_accepted() {
    for entry in table::good() {
        let verdict = check(&entry.text);
        assert!(verdict.is_ok(), "{}: {verdict:?}", entry.file.display());
    }
}

#[test]
fn bad_manifests_are_refused_with_the_field_and_the_reason() {
    for entry in table::bad() {
        let violations = check(&entry.text).expect_err(&entry.file.display().to_string());
        let [violation] = violations.as_slice() else {
            panic!("{}: {violations:#?}", entry.file.display());
        };
        let is_expected =
            violation.field == entry.field() && violation.message.contains(entry.message());
        assert!(is_expected, "{}: {violation:#?}", entry.file.display());
    }
}

#[test]
fn an_accepted_manifest_is_accepted_again_as_it_comes_back() {
    for entry in table::good() {
        let target = check(&entry.text).unwrap();
        let again = manifest::check(serde_json::to_value(&target).unwrap()).unwrap();
        assert_eq!(target, again, "{}", entry.file.display());
    }
}

#[test]
fn rules_that_were_forgotten_are_made_again() {
    let verdicts = || {
        let all = table::good().into_iter().chain(table::bad());
        all.map(|entry| check(&entry.text).is_ok())
            .collect::<Vec<_>>()
    };
    let before = verdicts();
    manifest::forget_rules();
    assert_eq!(verdicts(), before);
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
