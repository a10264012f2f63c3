//! The API server's verdict on a manifest, without an API server.
//!
//! Owns the order in which a manifest is judged, which is the API server's: unknown fields, nulls,
//! defaults, the structural schema, list keys, CEL rules. All rules come from the generated
//! definition, so there is no second list of them. Every violation that can be found is found, up to
//! a bound, and none shows a text from the manifest that might be a secret. Rules about changes (`oldSelf`) do
//! not apply: a manifest in a directory has no past.

mod metadata;
mod path;
mod rules;
mod shape;
mod structural;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::crd::{self, CrdError};
use crate::spec::DeliveryTarget;
use crate::{API_VERSION, KIND};
use rules::Rules;
use structural::Structural;

/// Violations of one manifest that are told. Beyond it something wrote nonsense, and judging on would
/// cost the square of its size.
const VIOLATIONS_MAX: usize = 100;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `spec.sources[0].topic`; empty for the whole manifest.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Violation {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// Judges one manifest. A good one comes back with its defaults filled in, `default` as its
/// namespace when it names none, and without what it says about its own status.
pub fn check(manifest: Value) -> Result<DeliveryTarget, Vec<Violation>> {
    match checker() {
        Ok(checker) => checker.check(manifest),
        Err(error) => Err(vec![Violation::new("", error.to_string())]),
    }
}

/// Judges a URL by the rules of `spec.endpoint.url`. The field of the violations is empty.
pub(crate) fn check_url(url: &str) -> Vec<Violation> {
    match checker() {
        Ok(checker) => checker.url.check(&Value::String(url.to_owned())),
        Err(error) => vec![Violation::new("", error.to_string())],
    }
}

/// Gives back what judging needs, some megabytes, until a manifest is judged again.
pub fn forget_rules() {
    *CHECKER.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Made when it is needed, and kept for the next manifest: it takes longer to make than to use.
static CHECKER: Mutex<Option<Arc<Checker>>> = Mutex::new(None);

fn checker() -> Result<Arc<Checker>, CheckerError> {
    let mut kept = CHECKER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(checker) = &*kept {
        return Ok(checker.clone());
    }
    let made = Arc::new(Checker::new()?);
    *kept = Some(made.clone());
    Ok(made)
}

/// The rules of this build cannot be used at all.
#[derive(Debug, thiserror::Error)]
enum CheckerError {
    #[error(transparent)]
    Crd(#[from] CrdError),
    #[error("the schema of DeliveryTarget is no JSON schema: {0}")]
    Schema(String),
}

/// Everything that judges, made once.
struct Checker {
    schema: Value,
    whole: Part,
    url: Part,
}

impl Checker {
    fn new() -> Result<Self, CheckerError> {
        const URL: &str = "/properties/spec/properties/endpoint/properties/url";
        let schema = crd::schema()?;
        let url = schema.pointer(URL).ok_or(CrdError::Missing(URL))?;
        Ok(Self {
            whole: Part::new(&schema)?,
            url: Part::new(url)?,
            schema,
        })
    }

    fn check(&self, mut manifest: Value) -> Result<DeliveryTarget, Vec<Violation>> {
        let mut violations = identity(&manifest)?;
        violations.extend(shape::unknown_fields(&self.schema, &manifest));

        crd::whole_numbers(&mut manifest);
        shape::prune_nulls(&self.schema, &mut manifest);
        if let Some(fields) = manifest.as_object_mut() {
            fields.remove("status");
        }
        let mut manifest = kube::core::cel::apply_defaults(&self.schema, &manifest);

        let mut broken = metadata::check(&mut manifest);
        broken.extend(self.whole.structural.check(&manifest));
        broken.extend(shape::duplicates(&self.schema, &manifest));
        // The rules look each part up among those that are broken.
        if broken.len() < VIOLATIONS_MAX {
            violations.extend(self.whole.rules.check(&manifest, &broken));
        }
        violations.extend(broken);
        if !violations.is_empty() {
            violations.sort_by(|one, other| one.field.cmp(&other.field));
            violations.truncate(VIOLATIONS_MAX);
            return Err(violations);
        }
        serde_json::from_value(manifest)
            .map_err(|error| vec![Violation::new("", format!("cannot be read: {error}"))])
    }
}

/// Structure and rules of the schema or a part of it.
struct Part {
    structural: Structural,
    rules: Rules,
}

impl Part {
    fn new(schema: &Value) -> Result<Self, CheckerError> {
        Ok(Self {
            structural: Structural::new(schema)?,
            rules: Rules::new(schema),
        })
    }

    fn check(&self, value: &Value) -> Vec<Violation> {
        let mut violations = self.structural.check(value);
        violations.extend(self.rules.check(value, &violations));
        violations
    }
}

/// Whether this is a `DeliveryTarget` at all; `Err` when it is not even a mapping.
fn identity(manifest: &Value) -> Result<Vec<Violation>, Vec<Violation>> {
    let Some(fields) = manifest.as_object() else {
        return Err(vec![Violation::new(
            "",
            "must be a mapping with `apiVersion`, `kind`, `metadata` and `spec`",
        )]);
    };
    let wrong = |field: &str, expected: &str| {
        let message = match fields.get(field) {
            Some(Value::String(value)) if value == expected => return None,
            Some(Value::String(_)) => format!("Unsupported value: must be \"{expected}\""),
            Some(_) => format!("Invalid value: must be the string \"{expected}\""),
            None => format!("Required value: must be \"{expected}\""),
        };
        Some(Violation::new(field, message))
    };
    Ok([wrong("apiVersion", API_VERSION), wrong("kind", KIND)]
        .into_iter()
        .flatten()
        .collect())
}
