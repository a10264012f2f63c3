//! What a record's content type says about its value.
//!
//! A content type comes from a producer and goes to a target, so it is believed only when it is
//! written as RFC 9110, section 8.3 has it: `type/subtype`, then parameters, printable ASCII.

use crate::source::record::Record;

/// Name of the record header that declares the content type (any case).
pub(super) const CONTENT_TYPE: &str = "content-type";

/// Longest media type that is believed; RFC 6838 allows 127 characters for type and subtype each.
const MAX_LENGTH_BYTES: usize = 512;

/// A media type, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MediaType<'a> {
    text: &'a str,
    kind: &'a str,
    subtype: &'a str,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// What the record's first `content-type` header declares; none when it is absent or no media type.
    pub(super) fn declared(record: &'a Record) -> Option<Self> {
        let (_, value) = record
            .headers()
            .find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE))?;
        Self::parse(value?)
    }

    /// Reads a media type.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.len() > MAX_LENGTH_BYTES || !printable {
            return None;
        }
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, subtype) = essence.trim_end_matches(' ').split_once('/')?;
        (is_token(kind) && is_token(subtype)).then_some(Self {
            text,
            kind,
            subtype,
            parameters,
        })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether a value of this type is a JSON text.
    pub(super) fn is_json(&self) -> bool {
        self.subtype.eq_ignore_ascii_case("json") || self.has_suffix("+json")
    }

    /// Whether a value of this type is text, in UTF-8 as far as it says.
    pub(super) fn is_text(&self) -> bool {
        let text = self.kind.eq_ignore_ascii_case("text")
            || self.subtype.eq_ignore_ascii_case("xml")
            || self.has_suffix("+xml");
        text && self.is_utf8()
    }

    /// Whether the value is one whole CloudEvent as JSON.
    pub(super) fn is_structured_cloudevent(&self) -> bool {
        self.kind.eq_ignore_ascii_case("application")
            && self.subtype.eq_ignore_ascii_case("cloudevents+json")
    }

    fn has_suffix(&self, suffix: &str) -> bool {
        let start = self.subtype.len().saturating_sub(suffix.len());
        let end = self.subtype.get(start..).unwrap_or_default();
        end.eq_ignore_ascii_case(suffix)
    }

    fn is_utf8(&self) -> bool {
        self.parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .all(|(_, value)| {
                let charset = value.trim().trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
            })
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_says_how_a_value_may_be_read() {
        for (text, json, is_text, structured) in [
            ("application/json", true, false, false),
            ("Application/JSON; charset=utf-8", true, false, false),
            ("application/problem+json", true, false, false),
            ("application/cloudevents+json", true, false, true),
            (
                "application/CloudEvents+JSON ; charset=UTF-8",
                true,
                false,
                true,
            ),
            ("application/cloudevents-batch+json", true, false, false),
            ("application/cloudevents+avro", false, false, false),
            ("text/plain", false, true, false),
            (
                "text/csv; header=present; charset=\"UTF-8\"",
                false,
                true,
                false,
            ),
            ("text/plain; charset=iso-8859-1", false, false, false),
            ("application/xml", false, true, false),
            ("application/soap+xml", false, true, false),
            ("application/octet-stream", false, false, false),
            ("application/jsonl", false, false, false),
        ] {
            let media_type = MediaType::parse(text.as_bytes()).expect(text);
            let read = (
                media_type.is_json(),
                media_type.is_text(),
                media_type.is_structured_cloudevent(),
            );
            assert_eq!(read, (json, is_text, structured), "{text}");
            assert_eq!(media_type.as_str(), text);
        }
    }

    #[test]
    fn what_is_no_media_type_is_not_believed() {
        let long = format!("text/{}", "x".repeat(MAX_LENGTH_BYTES));
        for value in [
            &b""[..],
            b"json",
            b"/json",
            b"text/",
            b"text/plain\r\nx-evil: 1",
            b"te xt/plain",
            b"text/plain; name=\xc3\xbc",
            b"text/\xff",
            b" text/plain",
            long.as_bytes(),
        ] {
            assert_eq!(
                MediaType::parse(value),
                None,
                "{}",
                String::from_utf8_lossy(value)
            );
        }
    }
}
