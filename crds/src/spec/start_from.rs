//! Where delivery starts in a topic that the worker group has never read.
//!
//! On the wire it is one string, kept as it was written; a worker reads it as [`StartFrom`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// RFC 3339 with upper-case letters, from 1970 to 2099: what every parser takes.
pub(super) const RULE: &str = "self in ['Latest', 'Earliest'] || self.matches('^(19[7-9]|20[0-9])[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')";
pub(super) const MESSAGE: &str = "must be 'Latest', 'Earliest' or an RFC 3339 time of the years 1970 to 2099, such as '2026-01-31T12:00:00Z'";
/// The pattern lets a 31st of February pass; the calendar does not.
pub(super) const REAL_TIME_RULE: &str =
    "!self.matches('^[0-9-]{10}T') || timestamp(self) > timestamp('1969-01-01T00:00:00Z')";
pub(super) const REAL_TIME_MESSAGE: &str = "must be a date that exists";

/// Longest text: a time with nine decimals and an offset.
const MAX_CHARS: usize = 35;

/// Where the first delivery of a topic starts that the worker group has never read. A resource says it
/// as [`StartFromText`]; in this form workers remember it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartFrom {
    /// The end of the topic.
    #[default]
    Latest,
    /// Its beginning.
    Earliest,
    /// The first record at or after this time, milliseconds since the Unix epoch.
    Timestamp(i64),
}

/// `spec.startFrom` as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StartFromText {
    text: String,
    value: StartFrom,
}

/// The text names no start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MESSAGE}")]
pub struct InvalidStartFrom;

impl StartFromText {
    /// What a worker does with it.
    pub fn value(&self) -> StartFrom {
        self.value
    }

    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for StartFromText {
    fn default() -> Self {
        Self {
            text: "Latest".to_owned(),
            value: StartFrom::Latest,
        }
    }
}

impl TryFrom<String> for StartFromText {
    type Error = InvalidStartFrom;

    fn try_from(text: String) -> Result<Self, InvalidStartFrom> {
        let value = match text.as_str() {
            "Latest" => StartFrom::Latest,
            "Earliest" => StartFrom::Earliest,
            time => StartFrom::Timestamp(
                time.parse::<jiff::Timestamp>()
                    .map_err(|_| InvalidStartFrom)?
                    .as_millisecond(),
            ),
        };
        Ok(Self { text, value })
    }
}

impl From<StartFromText> for String {
    fn from(start: StartFromText) -> Self {
        start.text
    }
}

impl JsonSchema for StartFromText {
    fn schema_name() -> Cow<'static, str> {
        "StartFrom".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX_CHARS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_read_for_the_worker_and_written_back_unchanged() {
        for (text, value) in [
            ("Latest", StartFrom::Latest),
            ("Earliest", StartFrom::Earliest),
            ("1970-01-01T00:00:01Z", StartFrom::Timestamp(1_000)),
            ("1970-01-01T01:00:00.5+01:00", StartFrom::Timestamp(500)),
        ] {
            let start: StartFromText = serde_json::from_value(text.into()).unwrap();
            assert_eq!(start.value(), value);
            assert_eq!(serde_json::to_value(&start).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_start_is_refused() {
        for text in ["", "latest", "yesterday", "2026-02-30T00:00:00Z"] {
            assert_eq!(
                StartFromText::try_from(text.to_owned()),
                Err(InvalidStartFrom)
            );
        }
    }
}
