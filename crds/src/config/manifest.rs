//! The manifest: which shards make a revision, which targets have ended, and what is asked of lanes.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::zip;
use super::{Revision, ShardName};
use crate::compiled::Request;

/// How long a uid stays on the list of deleted targets, and how long a request is handed on.
pub const KEPT: Duration = Duration::from_secs(48 * 60 * 60);

/// One revision of a worker group's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Which revision. A worker never goes back within a lineage.
    pub revision: Revision,
    /// What the shards of the lineage are salted with.
    pub salt: Uuid,
    /// When it was published, milliseconds since the Unix epoch. Workers change what they subscribe to
    /// a second later, so that a group rejoins once.
    pub published_at: i64,
    /// The shards by number: as many as targets are spread over. None has no target.
    pub shards: Vec<Option<ShardName>>,
    /// Targets that have ended, sorted by uid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<Deleted>,
    /// What people ask of lanes, sorted by uid and text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Asked>,
}

/// A target that has ended: what waits of it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deleted {
    /// The target.
    pub uid: Uuid,
    /// When it was found to be gone, milliseconds since the Unix epoch.
    pub at: i64,
}

/// What a person asks of a target's lanes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    /// The target.
    pub uid: Uuid,
    /// The text form of a [`Request`].
    pub request: String,
    /// When it was first seen, milliseconds since the Unix epoch. Workers act within [`KEPT`].
    pub since: i64,
}

/// Why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not packed as it should be.
    #[error("the manifest cannot be unpacked: {0}")]
    Packed(#[from] io::Error),
    /// It has another form.
    #[error("the manifest has a form that this version does not know: {0}")]
    Form(#[from] serde_json::Error),
}

impl Manifest {
    /// The manifest's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and fixed fields only: nothing in it can fail.
        zip::pack(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        Ok(serde_json::from_slice(&zip::unpack(bytes)?)?)
    }

    /// The shards that a revision is complete with, each once.
    pub fn named(&self) -> impl Iterator<Item = &ShardName> {
        self.shards.iter().flatten()
    }

    /// What is asked of a target's lanes now. Requests of a later version are skipped.
    pub fn requests_of(&self, uid: Uuid, unix_millis: i64) -> Vec<Request> {
        let first = self.requests.partition_point(|asked| asked.uid < uid);
        let mine = self.requests[first..].iter();
        mine.take_while(|asked| asked.uid == uid)
            .filter(|asked| is_young(asked.since, unix_millis))
            .filter_map(|asked| {
                let (kind, value) = asked.request.split_once('=')?;
                Request::parse(kind, value)
            })
            .collect()
    }
}

/// Whether something that came up at `since` is still handed on.
pub(super) fn is_young(since: i64, unix_millis: i64) -> bool {
    let age = unix_millis.saturating_sub(since);
    u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) < KEPT) || age < 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::SkipTo;

    fn asked(uid: u128, request: &str, since: i64) -> Asked {
        Asked {
            uid: Uuid::from_u128(uid),
            request: request.to_owned(),
            since,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            revision: Revision {
                lineage: 0xab,
                number: 3,
            },
            salt: Uuid::from_u128(1),
            published_at: 1_000,
            shards: vec![None; 16],
            deleted: vec![Deleted {
                uid: Uuid::from_u128(9),
                at: 5,
            }],
            requests: vec![
                asked(1, "retry-at=2026-01-31T12:00:00Z", 0),
                asked(2, "later=x", 0),
                asked(2, "retry-at=2026-01-31T12:00:00Z", 0),
                asked(2, "skip-to=orders/3/1041", 1_000),
                asked(3, "skip-to=orders/0/1", 0),
            ],
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        assert!(Manifest::decode(b"x").is_err());
        assert!(Manifest::decode(&zip::pack(b"{}")).is_err());
    }

    #[test]
    fn a_manifest_is_the_same_text_in_every_release() {
        let mut small = manifest();
        small.shards.truncate(1);
        small.requests.truncate(1);
        let text = String::from_utf8(zip::unpack(&small.encode()).unwrap()).unwrap();
        insta::assert_snapshot!(text, @r#"{"revision":"ab:3","salt":"00000000-0000-0000-0000-000000000001","publishedAt":1000,"shards":[null],"deleted":[{"uid":"00000000-0000-0000-0000-000000000009","at":5}],"requests":[{"uid":"00000000-0000-0000-0000-000000000001","request":"retry-at=2026-01-31T12:00:00Z","since":0}]}"#);
    }

    #[test]
    fn a_request_is_handed_on_for_two_days_and_only_to_its_target() {
        let of = |uid, now| manifest().requests_of(Uuid::from_u128(uid), now);
        let retry = Request::RetryAt("2026-01-31T12:00:00Z".to_owned());
        let skip = Request::SkipTo(SkipTo {
            topic: "orders".to_owned(),
            partition: 3,
            offset: 1_041,
        });
        assert_eq!(of(2, 0), [retry, skip.clone()]);
        let kept = i64::try_from(KEPT.as_millis()).unwrap();
        assert_eq!(of(2, kept), [skip]);
        assert_eq!(of(2, kept + 1_000), []);
        assert_eq!(of(7, 0), []);
    }

    #[test]
    fn ten_thousand_deletions_and_requests_fit_a_secret() {
        let mut large = manifest();
        let random = |number: u128| {
            Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        };
        large.deleted = (0..10_000)
            .map(|number| Deleted {
                uid: random(number),
                at: 1_769_860_800_000,
            })
            .collect();
        large.requests = (0..10_000)
            .map(|number| Asked {
                uid: random(number),
                ..asked(0, "retry-at=2026-01-31T12:00:00Z", 1_769_860_800_000)
            })
            .collect();
        let bytes = large.encode().len();
        assert!(bytes < 768 * 1024, "{bytes}");
    }
}
