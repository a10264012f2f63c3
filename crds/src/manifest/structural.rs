//! The structural schema: types, required fields, bounds, patterns.
//!
//! Owns the translation of JSON Schema's errors into the API server's words. A text from the
//! manifest is never repeated, it may be a secret; numbers and the choices of an enum are.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::{CheckerError, VIOLATIONS_MAX, Violation, path};
use crate::spec::pattern;

/// The schema, compiled.
pub(super) struct Structural(Validator);

impl Structural {
    pub(super) fn new(schema: &Value) -> Result<Self, CheckerError> {
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| CheckerError::Schema(error.to_string()))
    }

    /// The first [`VIOLATIONS_MAX`].
    pub(super) fn check(&self, value: &Value) -> Vec<Violation> {
        self.0
            .iter_errors(value)
            .take(VIOLATIONS_MAX)
            .map(|error| violation(&error))
            .collect()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the schema uses these keywords and no others, which a test of it pins"
)]
fn violation(error: &ValidationError<'_>) -> Violation {
    let field = field_of(error.instance_path());
    let value = error.instance().as_ref();
    let message = match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            return Violation::new(path::field(&field, name), "Required value");
        }
        ValidationErrorKind::Type { kind } => wrong_type(kind, value),
        ValidationErrorKind::Enum { options } => unsupported(options, value),
        ValidationErrorKind::Minimum { limit } => {
            format!("Invalid value: {value}: should be greater than or equal to {limit}")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("Invalid value: {value}: should be less than or equal to {limit}")
        }
        ValidationErrorKind::MinLength { limit } => {
            format!("Invalid value: should be at least {limit} chars long")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("Too long: may not be more than {limit} bytes")
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("Invalid value: should have at least {limit} items")
        }
        ValidationErrorKind::MaxItems { limit } => {
            let count = value.as_array().map_or(0, Vec::len);
            format!("Too many: {count}: must have at most {limit} items")
        }
        ValidationErrorKind::Pattern { pattern } => match pattern::explain(pattern) {
            Some(words) => format!("Invalid value: should match '{pattern}': {words}"),
            None => format!("Invalid value: should match '{pattern}'"),
        },
        _ => format!("Invalid value: {}", error.masked()),
    };
    Violation::new(field, message)
}

fn field_of(location: &Location) -> String {
    location
        .into_iter()
        .fold(String::new(), |parent, segment| match segment {
            LocationSegment::Property(name) => path::field(&parent, &name),
            LocationSegment::Index(index) => path::item(&parent, index),
        })
}

fn wrong_type(expected: &TypeKind, value: &Value) -> String {
    let expected = match expected {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => format!("{kinds:?}"),
    };
    let (actual, is_plain) = match value {
        Value::Null => ("null", false),
        Value::Bool(_) => ("boolean", true),
        Value::Number(number) if number.is_f64() => ("number", true),
        Value::Number(_) => ("integer", true),
        Value::String(_) => ("string", false),
        Value::Array(_) => ("array", false),
        Value::Object(_) => ("object", false),
    };
    let fix = if expected == "string" && is_plain {
        "; put it in quotes"
    } else {
        ""
    };
    format!("Invalid value: must be of type {expected}: \"{actual}\"{fix}")
}

fn unsupported(options: &Value, value: &Value) -> String {
    /// Longest choice that is shown; what is longer is no misspelled one.
    const SHOWN_CHARS: usize = 32;
    let shown = match value.as_str() {
        Some(text) if text.chars().count() <= SHOWN_CHARS => format!(" {value}:"),
        Some(_) | None => String::new(),
    };
    let options: Vec<String> = options
        .as_array()
        .map(|options| options.iter().map(Value::to_string).collect())
        .unwrap_or_default();
    format!(
        "Unsupported value:{shown} supported values: {}",
        options.join(", ")
    )
}
