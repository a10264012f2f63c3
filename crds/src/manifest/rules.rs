//! The CEL rules of the schema.
//!
//! They run on values whose structure is sound, and only on those: a rule may assume what the
//! schema promises. Where some part is broken, the rules of the sound parts still run, and those
//! of the parts around it wait until it is repaired. A rule that cannot be evaluated is broken.

use std::collections::HashMap;

use kube::core::cel::{CompiledSchema, ErrorKind, ValidationErrors, Validator, compile_schema};
use serde_json::Value;

use super::{VIOLATIONS_MAX, Violation, path};

/// The schema's rules, compiled.
pub(super) struct Rules {
    compiled: CompiledSchema,
    validator: Validator,
    /// The message of each rule, for those that fail by an evaluation error.
    messages: HashMap<String, String>,
}

impl Rules {
    pub(super) fn new(schema: &Value) -> Self {
        let mut messages = HashMap::new();
        collect_messages(schema, &mut messages);
        Self {
            compiled: compile_schema(schema),
            validator: Validator::new(),
            messages,
        }
    }

    /// Rules that a value breaks, where nothing else is broken.
    pub(super) fn check(&self, value: &Value, broken: &[Violation]) -> Vec<Violation> {
        let mut violations = Vec::new();
        self.check_sound_parts(&self.compiled, value, "", broken, &mut violations);
        violations
    }

    fn check_sound_parts(
        &self,
        rules: &CompiledSchema,
        value: &Value,
        path: &str,
        broken: &[Violation],
        violations: &mut Vec<Violation>,
    ) {
        let is_sound = !broken
            .iter()
            .any(|violation| path::is_within(&violation.field, path));
        if is_sound {
            let verdict = self.validator.validate_compiled(rules, value, None);
            violations.extend(self.violations(path, verdict));
            return;
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(rules) = rules.properties.get(name) {
                let path = path::field(path, name);
                self.check_sound_parts(rules, value, &path, broken, violations);
            }
        }
        // No list may be that long, so a longer one is broken as a whole.
        let items = value.as_array().into_iter().flatten().take(VIOLATIONS_MAX);
        for (index, item) in items.enumerate() {
            if let Some(rules) = &rules.items {
                let path = path::item(path, index);
                self.check_sound_parts(rules, item, &path, broken, violations);
            }
        }
    }

    fn violations(&self, parent: &str, verdict: Result<(), ValidationErrors>) -> Vec<Violation> {
        let Err(errors) = verdict else {
            return Vec::new();
        };
        errors
            .into_iter()
            .map(|error| {
                let message = if error.kind == ErrorKind::ValidationFailure {
                    error.message
                } else {
                    self.messages
                        .get(&error.rule)
                        .cloned()
                        .unwrap_or_else(|| "a rule about it cannot be evaluated".to_owned())
                };
                let field = path::join(parent, &error.field_path);
                Violation::new(field, format!("Invalid value: {message}"))
            })
            .collect()
    }
}

fn collect_messages(schema: &Value, messages: &mut HashMap<String, String>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for rule in rules.into_iter().flatten() {
        if let (Some(text), Some(message)) = (rule["rule"].as_str(), rule["message"].as_str()) {
            messages.insert(text.to_owned(), message.to_owned());
        }
    }
    for (_, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_messages(property, messages);
    }
    if let Some(items) = schema.get("items") {
        collect_messages(items, messages);
    }
}
