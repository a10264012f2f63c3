//! The example that users copy from is good, and complete.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use parcelhook_crds::crd::crd;
use parcelhook_crds::manifest;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../docs/examples/target.yaml");

fn documents() -> Vec<Value> {
    serde_saphyr::from_multiple(EXAMPLE).unwrap()
}

#[test]
fn every_target_of_the_example_is_accepted() {
    assert_eq!(documents().len(), 2);
    for document in documents() {
        let verdict = manifest::check(document);
        assert!(verdict.is_ok(), "{verdict:#?}");
    }
}

/// Names of all properties inside a schema.
fn properties(schema: &Value, names: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        names.push(name.clone());
        properties(property, names);
    }
    if let Some(items) = schema.get("items") {
        properties(items, names);
    }
}

#[test]
fn the_example_shows_every_option() {
    let definition = serde_json::to_value(crd().unwrap()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut names = Vec::new();
    properties(&schema["properties"]["spec"], &mut names);
    for name in names {
        assert!(EXAMPLE.contains(&format!("{name}:")), "{name}");
    }
}

/// The comments call the values defaults, unless they say "No default".
#[test]
fn the_defaults_of_the_example_are_the_defaults() {
    const WITHOUT_DEFAULT: [&str; 5] = [
        "sources",
        "endpoint",
        "authentication",
        "signing",
        "deadLetterTopic",
    ];
    let specs: Vec<Value> = documents()
        .into_iter()
        .map(|document| {
            let target = manifest::check(document).unwrap();
            let mut spec = serde_json::to_value(target.spec).unwrap();
            for field in WITHOUT_DEFAULT {
                spec.as_object_mut().unwrap().remove(field);
            }
            spec["retry"]["statusOverrides"] = json!(null);
            spec
        })
        .collect();
    assert_eq!(specs[0], specs[1]);
}
