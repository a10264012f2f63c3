//! What the API server asks of an object's metadata before it looks at the object.
//!
//! Only what a user writes in a manifest is checked; what a server adds (uid, managedFields …) is
//! let through, so that an exported manifest can be used as it is.

use serde_json::{Map, Value};

use super::{Violation, path};

const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Longest name: it becomes a label's value elsewhere.
const NAME_MAX_BYTES: usize = 63;
/// Longest label of a DNS name, name of a label, and value of a label.
const LABEL_MAX_BYTES: usize = 63;
/// Longest DNS name.
const SUBDOMAIN_MAX_BYTES: usize = 253;
/// All annotations of an object together.
const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;

/// Checks `metadata` and fills in the namespace when there is none.
pub(super) fn check(manifest: &mut Value) -> Vec<Violation> {
    let metadata = match manifest.get_mut("metadata") {
        Some(Value::Object(metadata)) => metadata,
        Some(Value::Null) | None => {
            return vec![Violation::new("metadata.name", "Required value")];
        }
        Some(_) => {
            return vec![Violation::new(
                "metadata",
                "Invalid value: must be of type object",
            )];
        }
    };
    metadata.retain(|_, value| !value.is_null());
    metadata
        .entry("namespace")
        .or_insert_with(|| Value::String("default".to_owned()));

    let mut violations = unknown(metadata);
    violations.extend(name(metadata));
    violations.extend(namespace(metadata));
    violations.extend(labels(metadata));
    violations.extend(annotations(metadata));
    violations
}

fn unknown(metadata: &Map<String, Value>) -> Vec<Violation> {
    metadata
        .keys()
        .filter(|field| !FIELDS.contains(&field.as_str()))
        .map(|field| {
            Violation::new(
                path::field("metadata", field),
                format!(
                    "unknown field: remove it, or use one of {}",
                    FIELDS.join(", ")
                ),
            )
        })
        .collect()
}

fn name(metadata: &Map<String, Value>) -> Option<Violation> {
    let message = match metadata.get("name") {
        None => "Required value".to_owned(),
        Some(Value::String(name)) if name.is_empty() => "Required value".to_owned(),
        Some(Value::String(name)) if name.len() > NAME_MAX_BYTES => {
            format!("Invalid value: must be no more than {NAME_MAX_BYTES} characters")
        }
        Some(Value::String(name)) if !is_subdomain(name) => "Invalid value: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character".to_owned(),
        Some(Value::String(_)) => return None,
        Some(_) => "Invalid value: must be of type string; put it in quotes".to_owned(),
    };
    Some(Violation::new("metadata.name", message))
}

fn namespace(metadata: &Map<String, Value>) -> Option<Violation> {
    let is_good = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .is_some_and(is_label);
    (!is_good).then(|| {
        Violation::new(
            "metadata.namespace",
            format!("Invalid value: a namespace is a lowercase RFC 1123 label of at most {LABEL_MAX_BYTES} characters: lower case alphanumeric characters or '-', alphanumeric at both ends"),
        )
    })
}

fn labels(metadata: &Map<String, Value>) -> Vec<Violation> {
    let (labels, mut violations) = strings(metadata, "labels");
    for (key, value) in labels {
        if !is_qualified_name(key) {
            violations.push(bad_key("metadata.labels"));
        }
        if !value.is_empty() && !is_name(value) {
            violations.push(Violation::new(
                "metadata.labels",
                "Invalid value: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', at most 63, alphanumeric at both ends",
            ));
        }
    }
    violations
}

fn annotations(metadata: &Map<String, Value>) -> Vec<Violation> {
    let (annotations, mut violations) = strings(metadata, "annotations");
    for (key, _) in &annotations {
        if !is_qualified_name(&key.to_ascii_lowercase()) {
            violations.push(bad_key("metadata.annotations"));
        }
    }
    let bytes: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > ANNOTATIONS_MAX_BYTES {
        violations.push(Violation::new(
            "metadata.annotations",
            format!("Too long: may not be more than {ANNOTATIONS_MAX_BYTES} bytes"),
        ));
    }
    violations
}

fn bad_key(field: &str) -> Violation {
    Violation::new(
        field,
        "Invalid value: a key's name part must consist of alphanumeric characters, '-', '_' or '.', at most 63, alphanumeric at both ends, with an optional DNS subdomain prefix and '/'",
    )
}

/// The entries of a map of strings, and a violation for each that is none.
fn strings<'a>(
    metadata: &'a Map<String, Value>,
    name: &str,
) -> (Vec<(&'a str, &'a str)>, Vec<Violation>) {
    let field = path::field("metadata", name);
    let entries = match metadata.get(name) {
        None => return (Vec::new(), Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(_) => {
            let violation = Violation::new(field, "Invalid value: must be of type object");
            return (Vec::new(), vec![violation]);
        }
    };
    let mut good = Vec::new();
    let mut violations = Vec::new();
    for (key, value) in entries {
        match value.as_str() {
            Some(value) => good.push((key.as_str(), value)),
            None => violations.push(Violation::new(
                path::field(&field, key),
                "Invalid value: must be of type string; put it in quotes",
            )),
        }
    }
    (good, violations)
}

/// A DNS label of RFC 1123 in lower case.
fn is_label(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=LABEL_MAX_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| is_alphanumeric(byte) || byte == b'-')
        && text.bytes().next().is_some_and(is_alphanumeric)
        && text.bytes().last().is_some_and(is_alphanumeric)
}

/// DNS labels with dots between them.
fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX_BYTES && text.split('.').all(is_label)
}

/// The name of a label, and its value when it is not empty.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LABEL_MAX_BYTES).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with(['-', '_', '.'])
        && !text.ends_with(['-', '_', '.'])
}

/// A name with an optional DNS prefix: `app`, `example.com/app`.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kubernetes_does() {
        for (name, good) in [
            ("orders", true),
            ("orders.eu-1", true),
            ("1orders", true),
            ("", false),
            ("Orders", false),
            ("-orders", false),
            ("orders-", false),
            ("orders..eu", false),
            ("orders_eu", false),
            ("../orders", false),
        ] {
            assert_eq!(is_subdomain(name), good, "{name}");
        }
    }

    #[test]
    fn keys_of_labels_are_judged_as_kubernetes_does() {
        for (key, good) in [
            ("app", true),
            ("app.kubernetes.io/name", true),
            ("App_1.x", true),
            ("a/b/c", false),
            ("/app", false),
            ("app/", false),
            ("Example.com/app", false),
            ("_app", false),
        ] {
            assert_eq!(is_qualified_name(key), good, "{key}");
        }
    }
}
