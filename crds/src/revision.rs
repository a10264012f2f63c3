//! The number of a configuration, which workers compare before they take each other's partitions over.
//!
//! Written `<lineage>:<number>` everywhere: in a worker's `revision` file, in the metadata of the group's
//! commits, in reports. The lineage is hexadecimal, the number decimal; so whoever writes both in
//! decimal finds them again as written, and in the same order.

use std::fmt;
use std::num::IntErrorKind;
use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
