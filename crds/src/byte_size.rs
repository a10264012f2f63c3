//! A number of bytes as a manifest writes it: plain (`65536`) or with a binary unit (`512Ki`,
//! `1Mi`).
//!
//! Owns text and value together: what a user wrote is kept and written back unchanged. Ten digits
//! and a unit are the most that can be said, and they fit. The range is the field's own.

use std::borrow::Cow;
use std::str::FromStr;

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The pattern of a byte size.
pub const PATTERN: &str = "^[1-9][0-9]{0,9}(Ki|Mi)?$";

const MAX_DIGITS: usize = 10;
/// Ten digits and two letters.
const MAX_CHARS: usize = 12;
const KI: u64 = 1 << 10;
const MI: u64 = 1 << 20;

/// A number of bytes, with the text it came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize {
    text: String,
    bytes: u64,
}

/// The text is no byte size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of bytes, alone or with the unit Ki or Mi, such as '512Ki'")]
pub struct InvalidByteSize;

impl ByteSize {
    /// The number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// That many times 1024 × 1024 bytes.
    pub fn mebibytes(count: u16) -> Self {
        Self {
            text: format!("{count}Mi"),
            bytes: u64::from(count) * MI,
        }
    }
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidByteSize;

    fn try_from(text: String) -> Result<Self, InvalidByteSize> {
        let bytes = parse(&text).ok_or(InvalidByteSize)?;
        Ok(Self { text, bytes })
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.text
    }
}

fn parse(text: &str) -> Option<u64> {
    let (digits, unit) = if let Some(digits) = text.strip_suffix("Ki") {
        (digits, KI)
    } else if let Some(digits) = text.strip_suffix("Mi") {
        (digits, MI)
    } else {
        (text, 1)
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if !plain || digits.len() > MAX_DIGITS {
        return None;
    }
    Some(digits.parse::<u64>().ok()? * unit)
}

/// The rule of a field from `smallest` to `largest`. It is silent about a text that is no number of
/// bytes: the pattern has spoken, and an error of evaluation explains nothing.
pub(crate) fn within(smallest: &str, largest: &str) -> Rule {
    Rule::new(format!(
        "!self.matches('{PATTERN}') || quantity(self).compareTo(quantity('{smallest}')) >= 0 && quantity(self).compareTo(quantity('{largest}')) <= 0"
    ))
    .message(&*format!("must be from '{smallest}' to '{largest}'"))
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHARS,
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn byte_sizes_are_read_with_and_without_a_unit_and_kept_as_they_were_written() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("512Ki", 524_288),
            ("1Mi", 1_048_576),
            ("9999999999Mi", 9_999_999_999 << 20),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.as_str()), (bytes, text));
        }
        assert_eq!(ByteSize::mebibytes(1), "1Mi".parse().unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_a_byte_size_exactly_when_the_pattern_says_so(text in "[0-9]{0,11}(Ki|Mi|Gi|K| )?") {
            let schema = serde_json::json!({"type": "string", "pattern": PATTERN});
            prop_assert_eq!(
                text.parse::<ByteSize>().is_ok(),
                jsonschema::is_valid(&schema, &serde_json::json!(text))
            );
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
