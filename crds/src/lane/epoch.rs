//! Epochs and incarnations: who owned a partition, and which DOWN period of a lane is meant.
//!
//! An epoch is unique without a claim: its number rises from owner to owner, and 64 random bits tell
//! two owners apart that took the same number. Text form `<n>.<16 hex digits>`; an incarnation adds
//! `.<counter>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number for one ownership of one source partition. Compares by `n` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch {
    /// One more than the highest number known when the partition was taken over; from 1.
    pub n: u32,
    /// Random bits.
    pub random: u64,
}

/// One DOWN period of a lane: the epoch in which it began, and the how-manieth it was of that owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation {
    /// The owner that opened it.
    pub epoch: Epoch,
    /// Counts the incarnations of one epoch, from 1.
    pub counter: u32,
}

/// A text that is no epoch or incarnation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form <number>.<16 hex digits>, with .<counter> for an incarnation")]
pub struct ParseEpochError(String);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}", self.n, self.random)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

impl FromStr for Epoch {
    type Err = ParseEpochError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (n, random) = text.split_once('.')?;
            let random = (random.len() == 16).then_some(random)?;
            Some(Self {
                n: n.parse().ok()?,
                random: u64::from_str_radix(random, 16).ok()?,
            })
        };
        parse().ok_or_else(|| ParseEpochError(text.to_owned()))
    }
}

impl FromStr for Incarnation {
    type Err = ParseEpochError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (epoch, counter) = text.rsplit_once('.')?;
            Some(Self {
                epoch: epoch.parse().ok()?,
                counter: counter.parse().ok()?,
            })
        };
        parse().ok_or_else(|| ParseEpochError(text.to_owned()))
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Epoch);
as_text!(Incarnation);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn epochs_and_incarnations_come_back_from_their_text(n: u32, random: u64, counter: u32) {
            let epoch = Epoch { n, random };
            let incarnation = Incarnation { epoch, counter };
            prop_assert_eq!(epoch.to_string().parse(), Ok(epoch));
            prop_assert_eq!(incarnation.to_string().parse(), Ok(incarnation));
            let json = serde_json::to_string(&incarnation).unwrap();
            prop_assert_eq!(serde_json::from_str::<Incarnation>(&json).unwrap(), incarnation);
        }
    }

    #[test]
    fn what_is_no_epoch_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            "1.ff",
            ".0000000000000001",
            "x.0000000000000001",
            "-1.0000000000000001",
        ] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
        assert!("1.0000000000000001".parse::<Incarnation>().is_err());
    }

    #[test]
    fn a_later_owner_has_the_greater_epoch_whatever_the_random_bits() {
        let older = Epoch {
            n: 1,
            random: u64::MAX,
        };
        let newer = Epoch { n: 2, random: 0 };
        assert!(older < newer);
    }
}
