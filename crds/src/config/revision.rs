//! The number of a configuration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Low bits of a lineage that are random; above them stand milliseconds since the Unix epoch, which
/// fit until the year 2527.
const RANDOM_BITS: u32 = 20;

/// Which configuration is meant. Of two lineages the greater is the newer; within one, the number
/// tells. Text form `<16 hex digits>:<number>`, in JSON too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    /// Who numbers the revisions: when the lineage began, and some random bits. A cluster that was
    /// restored from nothing begins another.
    pub lineage: u64,
    /// Rises within the lineage, from 1.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.lineage, self.number)
    }
}

/// A text that is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form <16 hex digits>:<number>")]
pub struct ParseRevisionError(String);

impl FromStr for Revision {
    type Err = ParseRevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (lineage, number) = text.split_once(':')?;
            let lineage = (lineage.len() == 16).then_some(lineage)?;
            Some(Self {
                lineage: u64::from_str_radix(lineage, 16).ok()?,
                number: number.parse().ok()?,
            })
        };
        parse().ok_or_else(|| ParseRevisionError(text.to_owned()))
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
    fn a_newer_lineage_is_newer_whatever_its_number() {
        let revision = |lineage, number| Revision { lineage, number };
        assert!(revision(2, 1) > revision(1, 9));
        assert!(revision(1, 9) > revision(1, 8));
    }

    #[test]
    fn a_lineage_that_begins_later_is_newer_whatever_its_random_bits() {
        let now = 1_769_860_800_000;
        let older = Revision::first(now, u64::MAX);
        assert!(Revision::first(now + 1, 0) > older.next());
        assert!(older.next() > older);
        assert_ne!(Revision::first(now, 1), Revision::first(now, 2));
    }
}
