//! What a person asks for with annotations of the manifest.
//!
//! Annotations are for what is asked once; what a target is stands in its spec. Those that do not begin
//! with our prefix are nobody's concern.

use std::collections::BTreeMap;

use super::CompileError;
use crate::compiled::Request;

/// Begins the annotations that are read.
const PREFIX: &str = "parcelhook.dev/";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The target ends at once.
    pub(super) deleted: bool,
    /// Of its lanes.
    pub(super) requests: Vec<Request>,
}

/// Reads the annotations. What cannot be read goes to `errors`.
pub(super) fn read(
    annotations: Option<&BTreeMap<String, String>>,
    errors: &mut Vec<CompileError>,
) -> Asked {
    let mut asked = Asked::default();
    for (key, value) in annotations.into_iter().flatten() {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        if let Err(message) = asked.take(name, value) {
            errors.push(CompileError::InvalidSpec {
                field: format!("metadata.annotations[{key}]"),
                message: message.to_owned(),
            });
        }
    }
    asked
}

impl Asked {
    fn take(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "delete" if value == "true" => self.deleted = true,
            "delete" => return Err("must be 'true', or be left out to keep the target"),
            Request::RETRY_AT => self.requests.push(
                Request::parse(name, value)
                    .ok_or("must be an RFC 3339 time, such as '2026-01-31T12:00:00Z'")?,
            ),
            Request::SKIP_TO => self.requests.push(
                Request::parse(name, value)
                    .ok_or("must be topic/partition/offset, such as 'orders/3/1041'")?,
            ),
            // Later versions have more, and tools add their own.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(key: &str, value: &str) -> (Asked, Vec<String>) {
        let annotations = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let mut errors = Vec::new();
        let asked = read(Some(&annotations), &mut errors);
        (asked, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let (asked, errors) = read_one("parcelhook.dev/delete", "true");
        assert!(asked.deleted && asked.requests.is_empty() && errors.is_empty());
        let (asked, _) = read_one("parcelhook.dev/retry-at", "2026-01-31T12:00:00Z");
        assert_eq!(
            asked.requests[0].to_string(),
            "retry-at=2026-01-31T12:00:00Z"
        );
        let (asked, _) = read_one("parcelhook.dev/skip-to", "orders/3/1041");
        assert_eq!(asked.requests[0].to_string(), "skip-to=orders/3/1041");
    }

    #[test]
    fn other_annotations_ask_for_nothing() {
        for key in ["delete", "example.org/delete", "parcelhook.dev/later"] {
            assert_eq!(read_one(key, "true"), (Asked::default(), Vec::new()));
        }
        assert_eq!(read(None, &mut Vec::new()), Asked::default());
    }

    #[test]
    fn what_cannot_be_read_names_the_annotation_and_the_fix() {
        for (key, value) in [
            ("delete", "yes"),
            ("retry-at", "now"),
            ("skip-to", "orders"),
            ("skip-to", "orders/-1/2"),
            ("skip-to", "orders/1/x"),
            ("skip-to", "/1/2"),
        ] {
            let (asked, errors) = read_one(&format!("parcelhook.dev/{key}"), value);
            assert_eq!(asked, Asked::default(), "{key} {value}");
            let begin = format!("metadata.annotations[parcelhook.dev/{key}]: must be ");
            assert!(errors[0].starts_with(&begin), "{errors:?}");
        }
    }
}
