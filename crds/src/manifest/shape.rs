//! What the API server does with a manifest's shape beside its schema: unknown fields are refused
//! (strict field validation), explicit nulls are dropped so that defaults apply, and lists with
//! keys hold each key once.
//!
//! Every function walks schema and value together; what has another type than the schema says is
//! left to the structural check. The first [`VIOLATIONS_MAX`] of each kind are told.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{VIOLATIONS_MAX, Violation, path};

/// What every object has beside what its schema says.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fields that the schema does not know.
pub(super) fn unknown_fields(schema: &Value, manifest: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    walk(schema, manifest, "", &mut |schema, value, path| {
        let (Some(known), Some(fields)) = (properties(schema), value.as_object()) else {
            return;
        };
        let is_known = |name: &str| {
            known.contains_key(name) || path.is_empty() && OBJECT_FIELDS.contains(&name)
        };
        let room = VIOLATIONS_MAX.saturating_sub(violations.len());
        for name in fields.keys().filter(|name| !is_known(name)).take(room) {
            let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
            names.sort_unstable();
            violations.push(Violation::new(
                path::field(path, name),
                format!(
                    "unknown field: remove it, or use one of {}",
                    names.join(", ")
                ),
            ));
        }
    });
    violations
}

/// Drops nulls: no field may be null, so a null says nothing.
pub(super) fn prune_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let Some(known) = properties(schema) else {
                return;
            };
            fields.retain(|name, value| !(value.is_null() && known.contains_key(name)));
            for (name, value) in fields {
                if let Some(schema) = known.get(name) {
                    prune_nulls(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    prune_nulls(schema, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Items of a list that repeat the key of an earlier one.
pub(super) fn duplicates(schema: &Value, manifest: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    walk(schema, manifest, "", &mut |schema, value, path| {
        let (Some(keys), Some(items)) = (list_keys(schema), value.as_array()) else {
            return;
        };
        let key_of = |item: &Value| -> Vec<Option<Value>> {
            match keys.as_slice() {
                [] => vec![Some(item.clone())],
                keys => keys.iter().map(|key| item.get(key).cloned()).collect(),
            }
        };
        let mut first: HashMap<Vec<Option<Value>>, usize> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let earlier = *first.entry(key_of(item)).or_insert(index);
            if earlier != index && violations.len() < VIOLATIONS_MAX {
                let what = match keys.as_slice() {
                    [] => "value".to_owned(),
                    keys => keys.join(" and "),
                };
                violations.push(Violation::new(
                    path::item(path, index),
                    format!(
                        "Duplicate value: {} has the same {what}; remove one of them",
                        path::item(path, earlier)
                    ),
                ));
            }
        }
    });
    violations
}

/// The keys of a list-map, none for a set; `None` when the list may repeat items.
fn list_keys(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("x-kubernetes-list-type")?.as_str()? {
        "set" => Some(Vec::new()),
        "map" => {
            let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
            Some(keys.iter().filter_map(Value::as_str).collect())
        }
        _ => None,
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Visits each value that the schema describes, parents first.
fn walk(schema: &Value, value: &Value, path: &str, visit: &mut dyn FnMut(&Value, &Value, &str)) {
    visit(schema, value, path);
    for (schema, value, path) in children(schema, value, path) {
        walk(schema, value, &path, visit);
    }
}

/// The values right inside a value, each with its schema and path.
fn children<'a>(
    schema: &'a Value,
    value: &'a Value,
    path: &str,
) -> Vec<(&'a Value, &'a Value, String)> {
    if let (Some(known), Some(fields)) = (properties(schema), value.as_object()) {
        return fields
            .iter()
            .filter_map(|(name, value)| Some((known.get(name)?, value, path::field(path, name))))
            .collect();
    }
    if let (Some(schema), Some(items)) = (schema.get("items"), value.as_array()) {
        return items
            .iter()
            .enumerate()
            .map(|(index, item)| (schema, item, path::item(path, index)))
            .collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nulls_vanish_from_fields_and_stay_in_lists() {
        let schema = json!({"properties": {
            "a": {"type": "string"},
            "b": {"items": {"properties": {"c": {"type": "string"}}}},
        }});
        let mut value = json!({"a": null, "b": [null, {"c": null}], "other": null});
        prune_nulls(&schema, &mut value);
        assert_eq!(value, json!({"b": [null, {}], "other": null}));
    }
}
