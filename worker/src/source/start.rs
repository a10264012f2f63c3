//! Where reading a partition starts: the one decision behind every assignment.
//!
//! Pure. Owns the rules for new topics, added partitions, commits that the log has left behind and
//! topics that were made anew. Does not ask the broker: `resolve` does.

use std::collections::BTreeMap;

use parcelhook_crds::compiled::StartFrom;
use uuid::Uuid;

use super::note::CommitNote;
use super::topics::TopicId;

/// What the targets of one topic want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicDemand {
    /// Targets that read the topic, by uid, with where each wants to begin when the topic is new.
    pub starts: BTreeMap<Uuid, StartFrom>,
}

/// What the cluster says about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The group's commit, if there is one.
    pub(super) commit: Option<(i64, CommitNote)>,
    /// What the group's commits for other partitions of the topic say.
    pub(super) siblings: Siblings,
    /// First offset of the log.
    pub(super) log_start: i64,
    /// Offset after the last record that may be read.
    pub(super) log_end: i64,
    /// The topic's id now, when the cluster tells it.
    pub(super) topic_id: Option<TopicId>,
    /// For each timestamp that a target starts from, the first offset at or after it.
    pub(super) at_times: BTreeMap<i64, i64>,
}

/// What the group's commits for a topic's other partitions say about a partition without a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Siblings {
    /// There are none: the group has never read the topic.
    None,
    /// There are some. The lowest number of partitions the topic had when one of them was first read;
    /// none when a commit does not say (it is not ours, or from a tool).
    Committed {
        /// Partitions at the first sight of the topic.
        first_count: Option<i32>,
    },
}

/// What decided where a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartedBy {
    /// The group's commit.
    Commit,
    /// The group has none: the targets' `startFrom`, or that nothing of an added partition is skipped.
    StartFrom,
    /// As `StartFrom`, but the frontier that an earlier owner left beside its lanes' rows has been
    /// considered ([`super::Progress::begin_at`]).
    Terminator,
}

/// Where to start, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// First offset to read.
    pub(super) offset: i64,
    /// Targets that begin later than `offset`.
    pub(super) lane_starts: Vec<(Uuid, i64)>,
    /// Events that are gone without having been read.
    pub(super) lost: Option<Loss>,
}

/// Events that are gone without having been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// Why.
    pub(super) cause: LossCause,
    /// How many offsets it spans.
    pub(super) offsets: u64,
}

/// Why events are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossCause {
    /// The topic's retention deleted them first.
    Retention,
    /// The log ends below what was read: it was truncated.
    Truncation,
}

impl LossCause {
    /// The metric label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Truncation => "truncation",
        }
    }
}

/// Decides where a partition starts.
///
/// A commit is followed as far as the log still has it. A partition without one belongs to a topic
/// that is new to the group, and then the targets say where, or it was added to a topic the group
/// already reads, and then nothing of it is skipped. `partition` tells the two apart: it was added
/// when its number is not below the count of partitions at the first sight of the topic.
pub(super) fn decide(partition: i32, known: &Known, demand: Option<&TopicDemand>) -> Start {
    match &known.commit {
        Some((committed, note)) if same_topic(note.topic_id, known.topic_id) => {
            follow(*committed, (known.log_start, known.log_end))
        }
        // Another topic under the same name: all of it is new, whatever the old commit says.
        Some(_) => Start::at(known.log_start),
        None => match known.siblings {
            Siblings::None => begin(known, demand),
            Siblings::Committed {
                first_count: Some(count),
            } if partition < count => begin(known, demand),
            Siblings::Committed { .. } => follow(0, (known.log_start, known.log_end)),
        },
    }
}

impl Start {
    fn at(offset: i64) -> Self {
        Self {
            offset,
            lane_starts: Vec::new(),
            lost: None,
        }
    }
}

/// An id that is not known proves nothing.
fn same_topic(then: Option<TopicId>, now: Option<TopicId>) -> bool {
    match (then, now) {
        (Some(then), Some(now)) => then == now,
        (None, _) | (_, None) => true,
    }
}

/// Goes on at an offset, or where the log begins or ends if it does not have it.
pub(super) fn follow(offset: i64, (log_start, log_end): (i64, i64)) -> Start {
    let (moved_to, cause) = if offset < log_start {
        (log_start, LossCause::Retention)
    } else if offset > log_end {
        (log_end, LossCause::Truncation)
    } else {
        return Start::at(offset);
    };
    Start {
        offset: moved_to,
        lane_starts: Vec::new(),
        lost: Some(Loss {
            cause,
            offsets: moved_to.abs_diff(offset),
        }),
    }
}

/// The first sight of a topic: the partition starts where the earliest of its targets wants it.
fn begin(known: &Known, demand: Option<&TopicDemand>) -> Start {
    let wanted: Vec<(Uuid, i64)> = demand
        .into_iter()
        .flat_map(|demand| &demand.starts)
        .map(|(uid, from)| (*uid, offset_of(*from, known)))
        .collect();
    let offset = wanted
        .iter()
        .map(|(_, offset)| *offset)
        .min()
        .unwrap_or(known.log_end);
    Start {
        offset,
        lane_starts: wanted
            .into_iter()
            .filter(|(_, wanted)| *wanted > offset)
            .collect(),
        lost: None,
    }
}

fn offset_of(from: StartFrom, known: &Known) -> i64 {
    match from {
        StartFrom::Latest => known.log_end,
        StartFrom::Earliest => known.log_start,
        // A time after the last record is the end.
        StartFrom::Timestamp(millis) => known
            .at_times
            .get(&millis)
            .copied()
            .unwrap_or(known.log_end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: TopicId = TopicId(Uuid::from_u128(1));
    const NEW: TopicId = TopicId(Uuid::from_u128(2));
    const A: Uuid = Uuid::from_u128(10);
    const B: Uuid = Uuid::from_u128(11);

    fn known() -> Known {
        Known {
            commit: None,
            siblings: Siblings::None,
            log_start: 100,
            log_end: 200,
            topic_id: Some(OLD),
            at_times: BTreeMap::from([(1_000, 150), (9_000, 200)]),
        }
    }

    fn committed(offset: i64, topic_id: Option<TopicId>) -> Known {
        Known {
            commit: Some((
                offset,
                CommitNote {
                    topic_id,
                    ..CommitNote::default()
                },
            )),
            ..known()
        }
    }

    fn demand(starts: &[(Uuid, StartFrom)]) -> TopicDemand {
        TopicDemand {
            starts: starts.iter().copied().collect(),
        }
    }

    #[test]
    fn every_start_position_follows_its_rule() {
        let lost = |cause, offsets| Some(Loss { cause, offsets });
        let added = |first_count| Known {
            siblings: Siblings::Committed { first_count },
            ..known()
        };
        let latest = demand(&[(A, StartFrom::Latest)]);
        let earliest = demand(&[(A, StartFrom::Earliest)]);
        let time = |millis| demand(&[(A, StartFrom::Timestamp(millis))]);
        let from_zero = |known: Known| Known {
            log_start: 0,
            ..known
        };
        use LossCause::{Retention, Truncation};
        let rows = [
            ("new topic, latest", known(), &latest, 200, None),
            ("new topic, earliest", known(), &earliest, 100, None),
            ("new topic, a time", known(), &time(1_000), 150, None),
            (
                "new topic, a time after the end",
                known(),
                &time(9_000),
                200,
                None,
            ),
            (
                "new topic, a time not answered",
                known(),
                &time(5),
                200,
                None,
            ),
            (
                "new topic, no target any more",
                known(),
                &demand(&[]),
                200,
                None,
            ),
            (
                "new topic of which a sibling is committed",
                added(Some(4)),
                &latest,
                200,
                None,
            ),
            (
                "added partition",
                from_zero(added(Some(3))),
                &latest,
                0,
                None,
            ),
            (
                "added, first count unknown",
                from_zero(added(None)),
                &latest,
                0,
                None,
            ),
            (
                "added, its beginning gone",
                added(Some(3)),
                &latest,
                100,
                lost(Retention, 100),
            ),
            ("committed", committed(150, Some(OLD)), &latest, 150, None),
            (
                "committed by a tool",
                committed(150, None),
                &latest,
                150,
                None,
            ),
            (
                "committed at the start",
                committed(100, Some(OLD)),
                &latest,
                100,
                None,
            ),
            (
                "committed at the end",
                committed(200, Some(OLD)),
                &earliest,
                200,
                None,
            ),
            (
                "below the start",
                committed(40, Some(OLD)),
                &latest,
                100,
                lost(Retention, 60),
            ),
            (
                "above the end",
                committed(230, Some(OLD)),
                &latest,
                200,
                lost(Truncation, 30),
            ),
            (
                "made anew, in range",
                from_zero(committed(150, Some(NEW))),
                &latest,
                0,
                None,
            ),
            (
                "made anew, above the end",
                committed(230, Some(NEW)),
                &latest,
                100,
                None,
            ),
        ];
        for (name, known, demand, offset, lost) in rows {
            let start = decide(3, &known, Some(demand));
            assert_eq!((start.offset, start.lost), (offset, lost), "{name}");
            assert_eq!(start.lane_starts, [], "{name}");
        }
    }

    #[test]
    fn a_cluster_without_topic_ids_keeps_its_commits() {
        let known = Known {
            topic_id: None,
            ..committed(150, Some(OLD))
        };
        assert_eq!(decide(0, &known, None), Start::at(150));
    }

    #[test]
    fn targets_that_start_later_than_the_partition_are_named() {
        let demand = demand(&[(A, StartFrom::Latest), (B, StartFrom::Timestamp(1_000))]);
        let start = decide(0, &known(), Some(&demand));
        assert_eq!(start.offset, 150);
        assert_eq!(start.lane_starts, [(A, 200)]);
    }

    #[test]
    fn a_partition_with_a_commit_ignores_what_targets_want() {
        let demand = demand(&[(A, StartFrom::Earliest), (B, StartFrom::Latest)]);
        let start = decide(0, &committed(120, Some(OLD)), Some(&demand));
        assert_eq!(start, Start::at(120));
    }
}
