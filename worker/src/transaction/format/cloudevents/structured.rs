//! Whether a JSON text is one whole CloudEvent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members that decide. Everything else is skipped, nothing is built; a member that appears
/// twice is an error, so no receiver can read another event than the one that was checked.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
}

/// Whether the text is a JSON object with the attributes that CloudEvents 1.0 requires, none of them
/// empty, and at most one kind of data. `json` must be a valid JSON text.
pub(super) fn is_cloudevent(json: &str) -> bool {
    // Serde would take an array of the members' values as well.
    if !json.trim_ascii_start().starts_with('{') {
        return false;
    }
    serde_json::from_str::<Event<'_>>(json).is_ok_and(|event| {
        let required = [&event.id, &event.source, &event.kind];
        event.specversion == "1.0"
            && required.iter().all(|attribute| !attribute.is_empty())
            && (event.data.is_none() || event.data_base64.is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_an_object_with_the_required_attributes() {
        for (json, whole, what) in [
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
                true,
                "the least",
            ),
            (
                r#" { "type":"t","x":{"id":2},"specversion":"1.0","id":"\u0031","source":"/s","data":[]}"#,
                true,
                "any order",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AA=="}"#,
                true,
                "binary data",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":null}"#,
                true,
                "null data",
            ),
            (
                r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
                false,
                "an older version",
            ),
            (
                r#"{"specversion":"1.0","source":"/s","type":"t"}"#,
                false,
                "no id",
            ),
            (
                r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
                false,
                "an empty id",
            ),
            (
                r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#,
                false,
                "an id that is no string",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#,
                false,
                "a null type",
            ),
            (
                r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#,
                false,
                "two ids",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data":2}"#,
                false,
                "two data",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":""}"#,
                false,
                "both kinds of data",
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":[]}"#,
                false,
                "base64 that is no string",
            ),
            (r#"["1.0","1","/s","t",null,null]"#, false, "an array"),
            ("1", false, "a number"),
        ] {
            assert_eq!(is_cloudevent(json), whole, "{what}: {json}");
        }
    }
}
