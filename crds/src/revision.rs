//! The number of a configuration, which workers compare before they take each other's partitions over.
//!
//! Written `<lineage>:<number>` everywhere: in a worker's `revision` file, in the metadata of the group's
//! commits, in reports. The lineage is hexadecimal, the number decimal; so whoever writes both in
//! decimal finds them again as written, and in the same order.

use std::fmt;
use std::num::IntErrorKind;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Low bits of a lineage of the operator's that are random; above them stand milliseconds since the
/// Unix epoch, which fit until the year 2527.
const RANDOM_BITS: u32 = 20;

/// Which configuration something was done under. Of two lineages the greater is the newer, whatever
/// the numbers; within one, the number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    /// Who numbers the revisions. Whoever begins to count anew takes a greater one.
    pub lineage: u64,
    /// Rises within the lineage.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{}", self.lineage, self.number)
    }
}

/// A text that is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRevisionError {
    /// It has another form.
    #[error("is not of the form <lineage>:<number>, such as 1:42")]
    Form,
    /// The lineage is none.
    #[error("has no lineage of 1 to 16 hexadecimal digits before the colon, such as 1:42 has")]
    Lineage,
    /// The number is none.
    #[error("has no whole number behind the colon, such as 1:42 has")]
    Number,
    /// The number is too large.
    #[error(
        "has a number that is larger than {}; begin anew with a greater lineage",
        u64::MAX
    )]
    TooLarge,
}

impl FromStr for Revision {
    type Err = ParseRevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (lineage, number) = text.split_once(':').ok_or(ParseRevisionError::Form)?;
        // The standard parsers take a sign.
        let is_hex = (1..=16).contains(&lineage.len())
            && lineage.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_decimal = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let lineage = is_hex.then(|| u64::from_str_radix(lineage, 16).ok());
        Ok(Self {
            lineage: lineage.flatten().ok_or(ParseRevisionError::Lineage)?,
            number: match number.parse::<u64>() {
                Ok(number) if is_decimal => number,
                Err(error) if is_decimal && *error.kind() == IntErrorKind::PosOverflow => {
                    return Err(ParseRevisionError::TooLarge);
                }
                Ok(_) | Err(_) => return Err(ParseRevisionError::Number),
            },
        })
    }
}

impl Revision {
    /// The first revision of a new lineage. `random` tells apart two lineages that began in the same
    /// millisecond; only its low bits are used.
    pub fn first(unix_millis: i64, random: u64) -> Self {
        let millis = u64::try_from(unix_millis).unwrap_or(0);
        let mask = (1 << RANDOM_BITS) - 1;
        Self {
            lineage: (millis << RANDOM_BITS) | (random & mask),
            number: 1,
        }
    }

    /// The revision that follows.
    pub fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..self
        }
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_revision_comes_back_from_its_text(lineage: u64, number: u64) {
            let revision = Revision { lineage, number };
            prop_assert_eq!(revision.to_string().parse(), Ok(revision));
            let json = serde_json::to_string(&revision).unwrap();
            prop_assert_eq!(serde_json::from_str::<Revision>(&json).unwrap(), revision);
        }
    }

    #[test]
    fn a_lineage_that_begins_later_is_newer_whatever_its_random_bits() {
        let now = 1_769_860_800_000;
        let older = Revision::first(now, u64::MAX);
        assert!(Revision::first(now + 1, 0) > older.next());
        assert!(older.next() > older);
        assert_ne!(Revision::first(now, 1), Revision::first(now, 2));
    }

    fn revision(lineage: u64, number: u64) -> Revision {
        Revision { lineage, number }
    }

    #[test]
    fn a_newer_lineage_is_newer_whatever_its_number() {
        assert!(revision(2, 1) > revision(1, 9));
        assert!(revision(1, 9) > revision(1, 8));
    }

    #[test]
    fn a_revision_is_shown_as_it_was_written_and_in_the_order_of_the_numbers() {
        let texts = [
            "1:0",
            "1:42",
            "9:7",
            "10:1",
            "20260301:5",
            "ffffffffffffffff:18446744073709551615",
        ];
        let revisions = texts.map(|text| text.parse::<Revision>().unwrap());
        assert_eq!(revisions.map(|revision| revision.to_string()), texts);
        assert!(revisions.is_sorted());
    }

    #[test]
    fn what_is_no_revision_says_what_is_missing() {
        use ParseRevisionError::{Form, Lineage, Number, TooLarge};
        for (text, expected) in [
            ("", Form),
            ("42", Form),
            (":42", Lineage),
            ("x:42", Lineage),
            ("+1:42", Lineage),
            ("00000000000000001:42", Lineage),
            ("1:", Number),
            ("1:+42", Number),
            ("1:-1", Number),
            ("1:4 2", Number),
            ("1:4:2", Number),
            ("1:18446744073709551616", TooLarge),
        ] {
            assert_eq!(text.parse::<Revision>(), Err(expected), "{text:?}");
        }
    }
}
