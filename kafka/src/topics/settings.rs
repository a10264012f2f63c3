//! The table of Parcelhook's own topics, and what must hold for one that exists.
//!
//! Pure. A setting is there for one of two reasons: without it events would be lost (checked, and set
//! when a topic is created), or compaction would lag (only set).

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::Size;
use super::violation::Violation;

/// Partitions of the retry topic. A target's parked events are in one of them, and draining reads
/// past those of all other targets in it: more partitions, less to pass.
pub const RETRY_BUCKETS: i32 = 32;

/// Partitions of the lanes topic, which every worker reads as a whole. More spread the writes.
pub const LANES_PARTITIONS: i32 = 32;

pub(super) const RETENTION_MS: &str = "retention.ms";
pub(super) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const CLEANUP_POLICY: &str = "cleanup.policy";
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Settings that all of them have, and nothing else will do.
const EXACT: [(&str, &str, &str); 3] = [
    (
        "message.timestamp.type",
        "LogAppendTime",
        "else retention takes old events at once",
    ),
    (
        "retention.bytes",
        "-1",
        "else parked events go when there are many",
    ),
    (
        "unclean.leader.election.enable",
        "false",
        "else a replica that lags may take what was acknowledged with it",
    ),
];

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Small segments, closed soon: what is not the newest segment can be compacted.
const COMPACT_SOON: &[(&str, &str)] = &[
    ("segment.bytes", "16777216"),
    ("segment.ms", "600000"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// One of Parcelhook's own topics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic {
    /// Its name after the prefix and a dot.
    pub(super) suffix: &'static str,
    /// Partitions that it is created with.
    pub(super) partitions: i32,
    /// Whether it must have exactly those.
    fixed: bool,
    /// Its cleanup policies, in alphabetic order.
    policies: &'static [&'static str],
    /// Retention that it is created with, milliseconds.
    retention: i64,
    /// Retention that it must have at least, milliseconds.
    least_retention: i64,
    /// Further settings that it is created with.
    more: &'static [(&'static str, &'static str)],
}

/// The topics: retry, lanes, reports, dead letters.
pub(super) const TOPICS: [Topic; 4] = [
    Topic {
        suffix: "retry",
        partitions: RETRY_BUCKETS,
        fixed: false,
        policies: &["delete"],
        retention: 7 * DAY,
        // Events are dead-lettered a day before retention takes them; that leaves a day to wait.
        least_retention: 2 * DAY,
        more: &[("segment.ms", "86400000")],
    },
    Topic {
        suffix: "lanes",
        partitions: LANES_PARTITIONS,
        fixed: false,
        policies: &["compact", "delete"],
        retention: 30 * DAY,
        // Rows are written again once a day.
        least_retention: 7 * DAY,
        more: COMPACT_SOON,
    },
    Topic {
        suffix: "reports",
        partitions: 1,
        fixed: true,
        policies: &["compact", "delete"],
        // It holds the group's claim, which is as old as the group's first start.
        retention: 30 * DAY,
        least_retention: 7 * DAY,
        more: COMPACT_SOON,
    },
    Topic {
        suffix: "dead-letter",
        partitions: RETRY_BUCKETS,
        fixed: false,
        policies: &["delete"],
        retention: 90 * DAY,
        least_retention: DAY,
        more: &[],
    },
];

/// What depends on the cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) replicas: i32,
    pub(super) largest_record_bytes: usize,
}

impl Needs {
    /// Replicas that must have a write before it is acknowledged: two, where one may be away.
    fn in_sync(self) -> i32 {
        if self.replicas >= 3 { 2 } else { 1 }
    }
}

/// The settings that a topic has, by name.
pub(super) type Settings = BTreeMap<String, String>;

impl Topic {
    /// What the topic is created with.
    pub(super) fn settings(&self, needs: Needs) -> Vec<(&'static str, String)> {
        let mut settings: Vec<(&str, String)> = EXACT
            .iter()
            .map(|(name, value, _)| (*name, (*value).to_owned()))
            .collect();
        settings.extend([
            (CLEANUP_POLICY, self.policies.join(",")),
            (RETENTION_MS, self.retention.to_string()),
            (MAX_MESSAGE_BYTES, needs.largest_record_bytes.to_string()),
            (MIN_INSYNC_REPLICAS, needs.in_sync().to_string()),
        ]);
        let more = self.more.iter();
        settings.extend(more.map(|(name, value)| (*name, (*value).to_owned())));
        settings
    }

    /// Everything that is wrong with a topic. `settings` is none when they are not checked.
    pub(super) fn violations(
        &self,
        topic: &str,
        size: Option<Size>,
        settings: Option<&Settings>,
        needs: Needs,
    ) -> Vec<Violation> {
        let Some(size) = size else {
            return vec![self.missing(topic, needs)];
        };
        let mut all = Vec::new();
        // Where settings cannot be asked for, partitions are what the broker happens to make.
        let found = size.partitions;
        if settings.is_some() && self.fixed && found != self.partitions {
            all.push(Violation::Partitions {
                topic: topic.to_owned(),
                found,
                wanted: self.partitions,
            });
        }
        if let Some(settings) = settings {
            let mut needs = needs;
            if size.replicas < needs.in_sync() {
                all.push(Violation::Replicas {
                    topic: topic.to_owned(),
                    found: size.replicas,
                    wanted: needs.in_sync(),
                });
                // To ask for more in sync than there are would stop all writes.
                needs.replicas = size.replicas;
            }
            self.check(topic, settings, needs, &mut all);
        }
        all
    }

    fn missing(&self, topic: &str, needs: Needs) -> Violation {
        let settings = self.settings(needs);
        let settings: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Violation::Missing {
            topic: topic.to_owned(),
            settings: format!(
                "{} partitions, {} replicas, {}",
                self.partitions,
                needs.replicas,
                settings.join(" ")
            ),
        }
    }

    fn check(&self, topic: &str, settings: &Settings, needs: Needs, all: &mut Vec<Violation>) {
        let mut wrong = |name, wanted: String, set: String, reason| {
            all.push(Violation::Setting {
                topic: topic.to_owned(),
                name,
                found: settings.get(name).cloned().unwrap_or("not set".to_owned()),
                wanted,
                set,
                reason,
            });
        };
        let text = |name| settings.get(name).map_or("", String::as_str);
        let number = |name| text(name).parse::<i64>().ok();
        for (name, value, reason) in EXACT {
            if text(name) != value {
                wrong(name, value.to_owned(), value.to_owned(), reason);
            }
        }
        let mut policies: Vec<&str> = text(CLEANUP_POLICY).split(',').map(str::trim).collect();
        policies.sort_unstable();
        if policies != self.policies {
            // Brackets, since a comma would begin the next setting.
            let set = format!("[{}]", self.policies.join(","));
            let reason = "else records go that are needed, or none ever goes";
            wrong(CLEANUP_POLICY, self.policies.join(","), set, reason);
        }
        let least = self.least_retention;
        if number(RETENTION_MS).is_none_or(|found| (0..least).contains(&found) || found < -1) {
            let reason = "else it takes what is still needed";
            let set = self.retention.to_string();
            wrong(RETENTION_MS, format!("{least} or more"), set, reason);
        }
        for (name, least, reason) in [
            (
                MAX_MESSAGE_BYTES,
                i64::try_from(needs.largest_record_bytes).unwrap_or(i64::MAX),
                "else large events cannot be parked",
            ),
            (
                MIN_INSYNC_REPLICAS,
                i64::from(needs.in_sync()),
                "else what was acknowledged is lost with one disk",
            ),
        ] {
            if number(name).is_none_or(|found| found < least) {
                wrong(name, format!("{least} or more"), least.to_string(), reason);
            }
        }
    }
}

/// A retention in milliseconds as a time; none is for ever.
pub(super) fn retention(millis: Option<i64>) -> Option<Duration> {
    millis
        .and_then(|millis| u64::try_from(millis).ok())
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs {
        replicas: 3,
        largest_record_bytes: 1_000_000,
    };

    fn good(topic: &Topic) -> Settings {
        let settings = topic.settings(NEEDS);
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        settings.into_iter().map(owned).collect()
    }

    fn wrong(topic: &Topic, settings: &Settings) -> Vec<String> {
        let size = Size {
            partitions: topic.partitions,
            replicas: 3,
        };
        let all = topic.violations("t", Some(size), Some(settings), NEEDS);
        all.iter().map(Violation::to_string).collect()
    }

    #[test]
    fn a_topic_is_as_it_must_be_when_it_was_just_created() {
        for topic in TOPICS {
            assert_eq!(wrong(&topic, &good(&topic)), Vec::<String>::new());
        }
    }

    #[test]
    fn every_wrong_setting_is_named_with_a_value_to_set() {
        let [retry, lanes, ..] = TOPICS;
        for (topic, name, value, set) in [
            (
                retry,
                "message.timestamp.type",
                "CreateTime",
                "LogAppendTime",
            ),
            (retry, "retention.bytes", "1000000", "-1"),
            (retry, "unclean.leader.election.enable", "true", "false"),
            (retry, "cleanup.policy", "compact,delete", "[delete]"),
            (lanes, "cleanup.policy", "compact", "[compact,delete]"),
            (retry, "retention.ms", "3600000", "604800000"),
            (retry, "retention.ms", "-2", "604800000"),
            (retry, "max.message.bytes", "999999", "1000000"),
            (retry, "min.insync.replicas", "1", "2"),
        ] {
            let mut settings = good(&topic);
            settings.insert(name.to_owned(), value.to_owned());
            let wrong = wrong(&topic, &settings);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            let begin = format!("topic t: {name} is {value} and must be ");
            assert!(wrong[0].starts_with(&begin), "{wrong:?}");
            let end = format!("--topic t --add-config {name}={set}");
            assert!(wrong[0].ends_with(&end), "{wrong:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let [retry, ..] = TOPICS;
        assert_eq!(wrong(&retry, &Settings::new()).len(), 7);
    }

    #[test]
    fn more_than_is_needed_is_welcome() {
        let [_, lanes, ..] = TOPICS;
        let mut settings = good(&lanes);
        for (name, value) in [
            ("retention.ms", "-1"),
            ("cleanup.policy", "delete, compact"),
            ("max.message.bytes", "20000000"),
            ("min.insync.replicas", "3"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(wrong(&lanes, &settings), Vec::<String>::new());
    }

    #[test]
    fn a_missing_topic_says_how_to_make_it() {
        let [_, _, reports, _] = TOPICS;
        let missing = reports.violations("t", None, None, NEEDS)[0].to_string();
        assert!(missing.contains("1 partitions, 3 replicas"), "{missing}");
        assert!(missing.contains("retention.ms=2592000000"), "{missing}");
        // A broker that does not tell settings makes as many partitions as it likes.
        let size = Size {
            partitions: 2,
            replicas: 1,
        };
        assert!(reports.violations("t", Some(size), None, NEEDS).is_empty());
    }

    #[test]
    fn a_topic_with_one_replica_in_a_cluster_of_three_is_asked_for_replicas_first() {
        let [retry, ..] = TOPICS;
        let mut settings = good(&retry);
        settings.insert(MIN_INSYNC_REPLICAS.to_owned(), "1".to_owned());
        let size = Size {
            partitions: retry.partitions,
            replicas: 1,
        };
        let all = retry.violations("t", Some(size), Some(&settings), NEEDS);
        let [one] = all.as_slice() else {
            panic!("{all:?}");
        };
        let text = one.to_string();
        assert!(text.contains("1 replicas and must have 2"), "{text}");
    }

    #[test]
    fn one_replica_in_sync_is_enough_where_there_are_no_three() {
        let alone = Needs {
            replicas: 1,
            ..NEEDS
        };
        assert_eq!((alone.in_sync(), NEEDS.in_sync()), (1, 2));
    }
}
