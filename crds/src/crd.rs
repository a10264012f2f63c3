//! The CustomResourceDefinition, generated from the types and polished where the derive falls
//! short of the API conventions.
//!
//! The polish: no `nullable` (an explicit null would defeat a default), no title, only formats that
//! Kubernetes knows, descriptions without the line breaks of source code and with the defaults that
//! `kubectl explain` leaves out, bounded conditions, and a status that says it has observed nothing
//! yet.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::spec::DeliveryTarget;

/// The derived definition does not have the shape that is polished here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrdError {
    /// It could not be turned into JSON or back.
    #[error("the definition of DeliveryTarget is no valid CustomResourceDefinition: {0}")]
    Json(#[from] serde_json::Error),
    /// It could not be written as YAML.
    #[error("the definition of DeliveryTarget could not be written as YAML: {0}")]
    Yaml(String),
    /// It lacks a part.
    #[error("the definition of DeliveryTarget has nothing at {0}")]
    Missing(&'static str),
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";
const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
const CONDITION: &str = "/properties/conditions/items/properties";

/// The definition as it is installed.
pub fn crd() -> Result<CustomResourceDefinition, CrdError> {
    Ok(serde_json::from_value(polished()?)?)
}

/// The definition as YAML, as it is committed.
pub fn crd_yaml() -> Result<String, CrdError> {
    serde_saphyr::to_string(&installed()?).map_err(|error| CrdError::Yaml(error.to_string()))
}

/// The structural schema of a whole `DeliveryTarget`.
pub(crate) fn schema() -> Result<Value, CrdError> {
    installed()?
        .pointer_mut(SCHEMA)
        .map(Value::take)
        .ok_or(CrdError::Missing(SCHEMA))
}

/// The typed definition as JSON, so that this is exactly what the API server gets.
fn installed() -> Result<Value, CrdError> {
    let mut definition = serde_json::to_value(crd()?)?;
    whole_numbers(&mut definition);
    Ok(definition)
}

/// Writes whole floats as integers. The typed definition holds bounds as floats, and YAML lets
/// people write `1.0` where an integer is asked for.
pub(crate) fn whole_numbers(value: &mut Value) {
    /// Beyond this a float no longer tells integers apart (2 to the power of 53).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn polished() -> Result<Value, CrdError> {
    let mut definition = serde_json::to_value(DeliveryTarget::crd())?;
    let schema = definition
        .pointer_mut(SCHEMA)
        .ok_or(CrdError::Missing(SCHEMA))?;
    polish(schema);
    let status = definition
        .pointer_mut(STATUS)
        .ok_or(CrdError::Missing(STATUS))?;
    status["default"] = json!({ "observedGeneration": -1 });
    let condition = status
        .pointer_mut(CONDITION)
        .ok_or(CrdError::Missing(CONDITION))?;
    bound_condition(condition);
    Ok(definition)
}

/// Walks every schema. A property may be named like a keyword, so keywords are only looked for
/// where a schema stands, never among the names of `properties`.
fn polish(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else {
        return;
    };
    keywords.remove("nullable");
    keywords.remove("title");
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        *description = join_lines(description);
    }
    let facts = facts(keywords);
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        description.push_str(&facts);
    }
    if let Some(Value::String(format)) = keywords.get_mut("format")
        && format.starts_with("uint")
    {
        *format = "int32".to_owned();
    }
    if let Some(Value::Object(properties)) = keywords.get_mut("properties") {
        properties.values_mut().for_each(polish);
    }
    if let Some(items) = keywords.get_mut("items") {
        polish(items);
    }
}

/// Lines of one paragraph become one line; paragraphs stay apart.
fn join_lines(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    paragraphs.join("\n\n")
}

/// What the schema says of a value and `kubectl explain` does not show: its default, and the choices
/// when there are many.
fn facts(keywords: &Map<String, Value>) -> String {
    /// It shows as many choices (kubectl's template `plaintext.tmpl`).
    const SHOWN: usize = 4;
    let mut facts = String::new();
    let choices = keywords.get("enum").and_then(Value::as_array);
    if let Some(choices) = choices.filter(|choices| choices.len() > SHOWN) {
        let names: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        facts += &format!(" One of {}.", names.join(", "));
    }
    match keywords.get("default") {
        Some(Value::String(text)) => facts += &format!(" Defaults to '{text}'."),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => {
            facts += &format!(" Defaults to {value}.");
        }
        // A structure's defaults are told of its fields.
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {}
    }
    facts
}

/// The bounds of `metav1.Condition`, which its generated schema leaves out.
fn bound_condition(properties: &mut Value) {
    let bounds = json!({
        "type": { "minLength": 1, "maxLength": 316 },
        "status": { "enum": ["True", "False", "Unknown"] },
        "observedGeneration": { "minimum": 0 },
        "reason": {
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "message": { "maxLength": 32768 },
    });
    let Value::Object(bounds) = bounds else {
        return;
    };
    for (property, keywords) in bounds {
        if let (Some(target), Value::Object(keywords)) =
            (properties[&property].as_object_mut(), keywords)
        {
            target.extend(keywords);
        }
    }
}
