//! The generated definition: committed, and within the API conventions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use parcelhook_crds::crd::{crd, crd_yaml};
use serde_json::Value;

const GENERATED: &str = include_str!("../generated/deliverytargets.parcelhook.dev.yaml");

#[test]
fn the_committed_definition_is_the_generated_one() {
    assert!(
        GENERATED == crd_yaml().unwrap(),
        "run: cargo run -p parcelhook-crds --bin crdgen > crds/generated/deliverytargets.parcelhook.dev.yaml"
    );
}

#[test]
fn an_outdated_file_is_refused_with_the_command_that_renews_it() {
    let check = |file: &str| {
        Command::new(env!("CARGO_BIN_EXE_crdgen"))
            .args(["--check", &format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))])
            .output()
            .unwrap()
    };
    assert!(
        check("generated/deliverytargets.parcelhook.dev.yaml")
            .status
            .success()
    );
    let outdated = check("Cargo.toml");
    assert!(!outdated.status.success());
    let message = String::from_utf8(outdated.stderr).unwrap();
    assert!(
        message.contains("cargo run -p parcelhook-crds --bin crdgen > "),
        "{message}"
    );
}

#[test]
fn the_committed_yaml_reads_as_the_definition() {
    let committed: Value = serde_saphyr::from_str(GENERATED).unwrap();
    let definition = serde_json::from_value(committed).unwrap();
    assert_eq!(crd().unwrap(), definition);
}

/// Visits each schema with its path.
fn visit(schema: &Value, path: &str, check: &mut dyn FnMut(&Value, &str)) {
    check(schema, path);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(property, &format!("{path}.{name}"), check);
    }
    if let Some(items) = schema.get("items") {
        visit(items, &format!("{path}[]"), check);
    }
}

fn each_schema(check: &mut dyn FnMut(&Value, &str)) {
    let definition = serde_json::to_value(crd().unwrap()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    visit(schema, "", check);
}

/// The walks over schema and manifest know these, and no others.
#[test]
fn the_schema_uses_only_keywords_that_the_manifest_check_knows() {
    const KNOWN: [&str; 18] = [
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    ];
    each_schema(&mut |schema, path| {
        for keyword in schema.as_object().unwrap().keys() {
            assert!(KNOWN.contains(&keyword.as_str()), "{path}: {keyword}");
        }
    });
}

#[test]
fn every_text_list_and_number_is_bounded() {
    each_schema(&mut |schema, path| match schema["type"].as_str().unwrap() {
        "string" => assert!(
            schema.get("maxLength").is_some()
                || schema.get("enum").is_some()
                || schema["format"] == "date-time",
            "{path}"
        ),
        "array" => {
            let kind = schema["x-kubernetes-list-type"].as_str();
            assert!(matches!(kind, Some("map" | "set")), "{path}: {kind:?}");
            assert!(schema.get("maxItems").is_some(), "{path}");
        }
        "integer" => {
            let format = schema["format"].as_str();
            assert!(
                matches!(format, Some("int32" | "int64")),
                "{path}: {format:?}"
            );
            assert!(schema.get("minimum").is_some(), "{path}");
        }
        "boolean" | "object" => {}
        other => panic!("{path}: {other}"),
    });
}

#[test]
fn every_field_is_described_in_paragraphs_without_line_breaks() {
    each_schema(&mut |schema, path| {
        let is_item = path.ends_with("[]");
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(is_item || !description.is_empty(), "{path}");
        assert!(!description.replace("\n\n", "").contains('\n'), "{path}");
    });
}

#[test]
fn every_rule_says_what_is_wrong() {
    each_schema(&mut |schema, path| {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(rule["message"].is_string(), "{path}: {rule}");
        }
    });
}

#[test]
fn a_new_target_says_that_nothing_was_observed() {
    let definition = serde_json::to_value(crd().unwrap()).unwrap();
    let version = &definition["spec"]["versions"][0];
    let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
    assert_eq!(
        status["default"],
        serde_json::json!({"observedGeneration": -1})
    );
    assert_eq!(version["subresources"], serde_json::json!({"status": {}}));
}
