//! Rows of the lanes topic: their values, and whole records.
//!
//! Values are JSON; fields that are not known are skipped, so an older reader understands a newer
//! writer.

use serde::{Deserialize, Serialize};

use super::Incarnation;
use super::key::{LaneName, RowKey, Scope};
use crate::spec::source::Filter;

/// Says that everything of its epoch that was written before the epoch counted is there, and how far
/// the partition was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminator {
    /// Offset that could be committed when it was written.
    pub frontier: i64,
}

/// What a lane that is not live does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Events are parked, and nothing is sent until the next attempt is due.
    Parking,
    /// Parked events are sent, oldest first; new ones are still parked.
    Draining,
}

/// Why a lane parks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParkReason {
    /// An attempt failed.
    Failed,
    /// The target refused the events themselves.
    Rejected,
    /// The target is too slow, or rate-limited.
    Overflow,
    /// The target is suspended.
    Suspended,
}

impl ParkReason {
    /// The word in headers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Rejected => "Rejected",
            Self::Overflow => "Overflow",
            Self::Suspended => "Suspended",
        }
    }
}

/// What a lane takes from its topic. A successor that does not know the target parks by this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wants {
    /// Every event.
    #[default]
    Everything,
    /// The events that match.
    Matching(Filter),
    /// None: the target no longer reads the topic.
    Nothing,
}

impl Wants {
    fn is_everything(&self) -> bool {
        *self == Self::Everything
    }
}

/// When the next attempt may be made: milliseconds since the Unix epoch, or not by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotBefore {
    /// Then.
    At(i64),
    /// When somebody changes the target or asks for it.
    Never,
}

/// A failed attempt, for people. Holds no body and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastFailure {
    /// When it failed, milliseconds since the Unix epoch.
    pub at: i64,
    /// Why: one CamelCase word of a closed set.
    pub reason: String,
    /// Status code, when there was a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// At most 1 KiB, control bytes stripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a successor must know of a lane that is not live. Offsets count in the source partition
/// unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneRow {
    /// What the lane does.
    pub mode: Mode,
    /// Why it parks.
    pub reason: ParkReason,
    /// The DOWN period; on every record that was parked in it.
    pub incarnation: Incarnation,
    /// Every event of the lane up to this offset was delivered or dead-lettered.
    pub delivered_through: i64,
    /// First and last offset of the transaction that was attempted and not delivered: it goes again
    /// as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted: Option<(i64, i64)>,
    /// Partition of the retry topic that holds the parked events.
    pub bucket: i32,
    /// Offset in the bucket below which nothing of the lane is needed.
    pub resume_offset: i64,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When the next attempt may be made.
    pub not_before: NotBefore,
    /// When the lane left live, milliseconds since the Unix epoch.
    pub since: i64,
    /// When the oldest parked event was parked, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_parked_at: Option<i64>,
    /// The last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// Events parked and not yet delivered, as the owner counted them.
    pub parked: u64,
    /// Highest offset that was ever parked in this incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked_through: Option<i64>,
    /// The last request ("retry now", "skip to") that the lane acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request: Option<String>,
    /// What the lane takes from its topic.
    #[serde(default, skip_serializing_if = "Wants::is_everything")]
    pub wants: Wants,
    /// Since when the target's manifest is missing, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<i64>,
}

/// A record of the lanes topic, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A lane that is not live.
    Lane(Scope, LaneName, Box<LaneRow>),
    /// The lane is live again.
    LaneEnded(Scope, LaneName),
    /// The epoch's terminator.
    Terminator(Scope, Terminator),
    /// The epoch has no terminator any more.
    TerminatorEnded(Scope),
}

/// A record of the lanes topic that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It has no key.
    #[error("the record has no key; only Parcelhook may write to this topic")]
    NoKey,
    /// The key.
    #[error("the key is not a lane's: {0}; only Parcelhook may write to this topic")]
    Key(serde_json::Error),
    /// The value.
    #[error(
        "the value is not a lane row: {0}; it was written by a later version or by somebody else"
    )]
    Value(serde_json::Error),
}

impl LaneRow {
    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Terminator {
    /// The terminator's bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Entry {
    /// Reads a record of the lanes topic.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not one of ours.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, DecodeError> {
        let RowKey { scope, lane } =
            serde_json::from_slice(key.ok_or(DecodeError::NoKey)?).map_err(DecodeError::Key)?;
        match (lane, value) {
            (Some(lane), Some(value)) => {
                let row = serde_json::from_slice(value).map_err(DecodeError::Value)?;
                Ok(Self::Lane(scope, lane, Box::new(row)))
            }
            (Some(lane), None) => Ok(Self::LaneEnded(scope, lane)),
            (None, Some(value)) => {
                let terminator = serde_json::from_slice(value).map_err(DecodeError::Value)?;
                Ok(Self::Terminator(scope, terminator))
            }
            (None, None) => Ok(Self::TerminatorEnded(scope)),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::lane::Epoch;

    fn scope() -> Scope {
        Scope {
            group: "parcelhook.main.default".to_owned(),
            topic_id: Some(Uuid::from_u128(0x1234)),
            topic: "orders".to_owned(),
            partition: 3,
            epoch: Epoch { n: 4, random: 0x1f },
        }
    }

    fn name() -> LaneName {
        LaneName {
            target: Uuid::from_u128(7),
            selection: [9; 16],
        }
    }

    fn row() -> LaneRow {
        LaneRow {
            mode: Mode::Parking,
            reason: ParkReason::Failed,
            incarnation: Incarnation {
                epoch: scope().epoch,
                counter: 2,
            },
            delivered_through: 41,
            attempted: Some((42, 45)),
            bucket: 5,
            resume_offset: 1_000,
            attempts: 3,
            not_before: NotBefore::At(1_700_000_008_000),
            since: 1_700_000_000_000,
            oldest_parked_at: Some(1_700_000_000_100),
            last_failure: Some(LastFailure {
                at: 1_700_000_000_000,
                reason: "HTTPStatus".to_owned(),
                status: Some(503),
                message: None,
            }),
            parked: 4,
            parked_through: Some(45),
            last_request: None,
            wants: Wants::Everything,
            absent_since: None,
        }
    }

    #[test]
    fn rows_are_the_same_bytes_in_every_release() {
        let lane = Some(name());
        let scope = scope();
        insta::assert_snapshot!(text(&RowKey { scope: scope.clone(), lane }.encode()), @r#"{"group":"parcelhook.main.default","topicId":"00000000-0000-0000-0000-000000001234","topic":"orders","partition":3,"epoch":"4.000000000000001f","lane":{"target":"00000000-0000-0000-0000-000000000007","selection":"CQkJCQkJCQkJCQkJCQkJCQ"}}"#);
        insta::assert_snapshot!(text(&RowKey { scope, lane: None }.encode()), @r#"{"group":"parcelhook.main.default","topicId":"00000000-0000-0000-0000-000000001234","topic":"orders","partition":3,"epoch":"4.000000000000001f"}"#);
        insta::assert_snapshot!(text(&row().encode()), @r#"{"mode":"Parking","reason":"Failed","incarnation":"4.000000000000001f.2","deliveredThrough":41,"attempted":[42,45],"bucket":5,"resumeOffset":1000,"attempts":3,"notBefore":{"at":1700000008000},"since":1700000000000,"oldestParkedAt":1700000000100,"lastFailure":{"at":1700000000000,"reason":"HTTPStatus","status":503},"parked":4,"parkedThrough":45}"#);
    }

    #[test]
    fn every_kind_of_record_comes_back() {
        let lane = RowKey {
            scope: scope(),
            lane: Some(name()),
        }
        .encode();
        let epoch = RowKey {
            scope: scope(),
            lane: None,
        }
        .encode();
        let terminator = Terminator { frontier: 40 };
        let rows = [
            (
                &lane,
                Some(row().encode()),
                Entry::Lane(scope(), name(), Box::new(row())),
            ),
            (&lane, None, Entry::LaneEnded(scope(), name())),
            (
                &epoch,
                Some(terminator.encode()),
                Entry::Terminator(scope(), terminator),
            ),
            (&epoch, None, Entry::TerminatorEnded(scope())),
        ];
        for (key, value, entry) in rows {
            assert_eq!(Entry::decode(Some(key), value.as_deref()).unwrap(), entry);
        }
    }

    #[test]
    fn foreign_records_are_refused_and_say_why() {
        let key = RowKey {
            scope: scope(),
            lane: Some(name()),
        }
        .encode();
        for (key, value) in [
            (None, None),
            (Some(&b"x"[..]), None),
            (Some(&key[..]), Some(&b"{}"[..])),
        ] {
            let error = Entry::decode(key, value).unwrap_err().to_string();
            assert!(
                error.contains("only Parcelhook") || error.contains("somebody else"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_skipped() {
        let mut value: serde_json::Value = serde_json::from_slice(&row().encode()).unwrap();
        value["later"] = 1.into();
        let key = RowKey {
            scope: scope(),
            lane: Some(name()),
        }
        .encode();
        let entry = Entry::decode(Some(&key), Some(&serde_json::to_vec(&value).unwrap())).unwrap();
        assert_eq!(entry, Entry::Lane(scope(), name(), Box::new(row())));
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}
