//! A duration as the Gateway API writes it (GEP-2257): one to four components of a whole number
//! of up to five digits and a unit, such as `15s` or `1h30m`.
//!
//! Owns text and value together: what a user wrote is kept and written back unchanged. Any input
//! is either such a duration or an error, never a panic: four components of `99999h` are the most
//! that can be said, and they fit.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The pattern of GEP-2257.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Four components of five digits and two letters.
const MAX_CHARS: usize = 28;
const MAX_COMPONENTS: usize = 4;
const MAX_DIGITS: usize = 5;
const MAX_NUMBER: u64 = 99_999;

/// Units and their milliseconds, longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration of GEP-2257, with the text it came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GepDuration {
    text: String,
    value: Duration,
}

/// The text is no GEP-2257 duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration of up to four numbers with the units h, m, s or ms, such as '1h30m'")]
pub struct InvalidDuration;

impl GepDuration {
    /// The duration itself.
    pub fn value(&self) -> Duration {
        self.value
    }

    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for GepDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let value = parse(text).ok_or(InvalidDuration)?;
        Ok(Self {
            text: text.to_owned(),
            value,
        })
    }
}

impl TryFrom<String> for GepDuration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        let value = parse(&text).ok_or(InvalidDuration)?;
        Ok(Self { text, value })
    }
}

impl From<GepDuration> for String {
    fn from(duration: GepDuration) -> Self {
        duration.text
    }
}

/// Writes a duration in one unit where that is exact, else in several. Milliseconds are the finest
/// unit and `99999h` is the longest duration: what is finer is cut, what is longer becomes that.
impl From<Duration> for GepDuration {
    fn from(duration: Duration) -> Self {
        let longest = MAX_NUMBER * UNITS[0].1;
        let millis = u64::try_from(duration.as_millis()).map_or(longest, |ms| ms.min(longest));
        Self {
            text: format(millis),
            value: Duration::from_millis(millis),
        }
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > MAX_CHARS {
        return None;
    }
    let mut millis = 0;
    let mut rest = text;
    for _ in 0..MAX_COMPONENTS {
        if rest.is_empty() {
            break;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > MAX_DIGITS {
            return None;
        }
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        // "ms" begins with "m", so the longer unit is looked for first.
        let (unit, after) = UNITS
            .iter()
            .rev()
            .find_map(|(name, unit)| Some((unit, after.strip_prefix(name)?)))?;
        millis += number * unit;
        rest = after;
    }
    rest.is_empty().then(|| Duration::from_millis(millis))
}

fn format(millis: u64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let exact = UNITS
        .iter()
        .find(|(_, unit)| millis.is_multiple_of(*unit) && millis / unit <= MAX_NUMBER);
    if let Some((name, unit)) = exact {
        return format!("{}{name}", millis / unit);
    }
    let mut rest = millis;
    let mut text = String::new();
    for (name, unit) in UNITS {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text
}

/// The rule of a field from `shortest` to `longest`. It is silent about a text that is no duration:
/// the pattern has spoken, and an error of evaluation explains nothing.
pub(crate) fn within(shortest: &str, longest: &str) -> Rule {
    Rule::new(format!(
        "!self.matches('{PATTERN}') || duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"
    ))
    .message(&*format!("must be from '{shortest}' to '{longest}'"))
}

/// The rule of a structure whose duration `field` may not exceed its duration `bound`; as silent.
pub(crate) fn no_longer_than(field: &str, bound: &str) -> Rule {
    Rule::new(format!(
        "!self.{field}.matches('{PATTERN}') || !self.{bound}.matches('{PATTERN}') || duration(self.{field}) <= duration(self.{bound})"
    ))
    .message(&*format!("must be no longer than `{bound}`"))
    .field_path(format!(".{field}"))
}

impl JsonSchema for GepDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
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
    fn durations_are_read_in_every_unit_and_kept_as_they_were_written() {
        for (text, millis) in [
            ("15s", 15_000),
            ("0s", 0),
            ("00015s", 15_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("1s1s", 2_000),
            ("99999h99999h99999h99999h", 4 * 99_999 * 3_600_000),
        ] {
            let duration: GepDuration = text.parse().unwrap();
            assert_eq!(duration.value(), Duration::from_millis(millis), "{text}");
            assert_eq!(
                serde_json::to_string(&duration).unwrap(),
                format!("\"{text}\"")
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "15",
            "15 s",
            "-1s",
            "1.5s",
            "1d",
            "100000s",
            "1h1h1h1h1h",
            "1sm",
            "1S",
            "١s",
            "1µs",
            "1s\n",
        ] {
            assert_eq!(text.parse::<GepDuration>(), Err(InvalidDuration), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_in_one_unit_where_that_is_exact() {
        for (millis, text) in [
            (0, "0s"),
            (15_000, "15s"),
            (512_000, "512s"),
            (144 * 3_600_000, "144h"),
            (1_500, "1500ms"),
            (100_500, "1m40s500ms"),
            (u64::MAX, "99999h"),
        ] {
            let written = GepDuration::from(Duration::from_millis(millis));
            assert_eq!(written.as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_exactly_when_the_pattern_says_so(text in "([0-9]{0,6}(h|m|s|ms|x)?){0,5}") {
            let schema = serde_json::json!({"type": "string", "pattern": PATTERN});
            prop_assert_eq!(
                text.parse::<GepDuration>().is_ok(),
                jsonschema::is_valid(&schema, &serde_json::json!(text))
            );
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<GepDuration>();
        }

        #[test]
        fn what_is_written_is_read_back(millis in any::<u64>()) {
            let written = GepDuration::from(Duration::from_millis(millis));
            let read = written.as_str().parse::<GepDuration>();
            prop_assert_eq!(read, Ok(written));
        }
    }
}
