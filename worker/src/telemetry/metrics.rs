//! Every metric: name, type, labels and help. The one place where a metric gets a name.
//!
//! Names are an interface: dashboards and alerts are written against them. The list in
//! `docs/admin.md` is compared with this file by a test. Labels are `namespace` and `target`, `topic`
//! and `partition` of what this worker owns, and closed sets; never a URL, an id or an error's text.

use prometheus_client::metrics::MetricType;

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name as it is queried; a counter's with its suffix `_total`.
    pub name: &'static str,
    /// Counter, gauge, histogram or info.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by upper bound.
    Histogram,
    /// Always 1; the labels are what it says.
    Info,
}

impl Kind {
    /// The word in documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// The type in the exposition format.
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
            Self::Info => MetricType::Info,
        }
    }

    /// The suffix that the exposition format adds to the name by itself.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &$labels,
                help: $help,
            };
        )*

        /// Every metric.
        pub const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    TARGET_UP = Gauge "parcelhook_target_up" ["namespace", "target"]
        "1 unless the target is DOWN.";
    TARGET_STATE = Gauge "parcelhook_target_state" ["namespace", "target", "state"]
        "1 for the target's state, 0 for the others.";
    TARGET_STATE_SINCE = Gauge "parcelhook_target_state_since_timestamp_seconds" ["namespace", "target"]
        "When the target's state last changed, Unix time.";
    TARGET_NEXT_ATTEMPT = Gauge "parcelhook_target_next_attempt_timestamp_seconds" ["namespace", "target"]
        "When the next attempt of a waiting lane is due, Unix time; absent when none waits.";
    TARGET_PENDING_EVENTS = Gauge "parcelhook_target_pending_events" ["namespace", "target"]
        "Events that were read and are not yet delivered, parked ones included.";
    TARGET_PARKED_EVENTS = Gauge "parcelhook_target_parked_events" ["namespace", "target"]
        "Events that are parked in the retry topic and not yet delivered.";
    TARGET_OLDEST_PARKED = Gauge "parcelhook_target_oldest_parked_age_seconds" ["namespace", "target"]
        "For how long the oldest parked event has been parked; absent when none is.";
    TARGET_FAILED_IN_A_ROW = Gauge "parcelhook_target_failed_attempts_in_a_row" ["namespace", "target"]
        "Failed attempts in a row of the parked lane that has most: the wait doubles with each.";
    TARGET_LANES = Gauge "parcelhook_target_lanes" ["namespace", "target", "mode"]
        "Lanes of the target on this worker by mode: live, draining, parking, stopped.";
    TARGET_DATA_AT_RISK = Gauge "parcelhook_target_data_at_risk" ["namespace", "target"]
        "1 while some parked event has waited for half the time that it is kept.";
    TARGET_SUCCESSES = Counter "parcelhook_target_successes_total" ["namespace", "target"]
        "Attempts that were delivered.";
    TARGET_FAILURES = Counter "parcelhook_target_failures_total" ["namespace", "target"]
        "Attempts that were answered with a bad status.";
    TARGET_ERRORS = Counter "parcelhook_target_errors_total" ["namespace", "target"]
        "Attempts without a response.";
    TARGET_ATTEMPTS = Counter "parcelhook_target_attempts_total" ["namespace", "target", "outcome"]
        "Attempts by what they came to.";
    TARGET_REASONS = Counter "parcelhook_target_failed_attempts_total" ["namespace", "target", "reason"]
        "Failed attempts by reason.";
    TARGET_RESPONSES = Counter "parcelhook_target_responses_total" ["namespace", "target", "code"]
        "Responses by status code.";
    TARGET_EVENTS_DELIVERED = Counter "parcelhook_target_events_delivered_total" ["namespace", "target"]
        "Events delivered.";
    TARGET_EVENTS_PARKED = Counter "parcelhook_target_events_parked_total" ["namespace", "target"]
        "Events parked in the retry topic.";
    TARGET_EVENTS_DRAINED = Counter "parcelhook_target_events_drained_total" ["namespace", "target"]
        "Events delivered from the retry topic; they count as delivered, too.";
    TARGET_EVENTS_DEAD_LETTERED = Counter "parcelhook_target_events_dead_lettered_total" ["namespace", "target", "reason"]
        "Events that were given up and written to a dead-letter topic, by reason: Expired, SourceGone.";
    TARGET_EVENTS_LOST = Counter "parcelhook_target_events_lost_total" ["namespace", "target", "cause"]
        "Parked events that Kafka deleted before they were delivered: retention (at most), source-gone.";
    TARGET_BYTES_DELIVERED = Counter "parcelhook_target_bytes_delivered_total" ["namespace", "target"]
        "Body bytes delivered.";
    TARGET_EVENTS_DROPPED = Counter "parcelhook_target_events_dropped_total" ["namespace", "target", "class"]
        "Events that were dropped because they are of a class that is not kept.";
    TARGET_ATTEMPT_DURATION = Histogram "parcelhook_target_attempt_duration_seconds" ["namespace", "target"]
        "Time from the start of an attempt to its outcome.";
    TARGET_TRANSACTION_EVENTS = Histogram "parcelhook_target_transaction_events" ["namespace", "target"]
        "Events per attempt.";
    BUILD = Info "parcelhook_worker_build_info" ["version"]
        "The worker's version.";
    JOINED = Gauge "parcelhook_worker_joined" []
        "1 when the consumer group has answered with an assignment.";
    TARGETS = Gauge "parcelhook_worker_targets" []
        "Targets that this worker runs.";
    PROBLEMS = Gauge "parcelhook_worker_configuration_problems" []
        "Manifests and Secrets that cannot be used.";
    BEHIND = Gauge "parcelhook_worker_behind" []
        "1 while the worker has left the group until it has a newer configuration.";
    MISSING_TOPICS = Gauge "parcelhook_worker_missing_topics" []
        "Topics that targets name and the Kafka cluster does not have.";
    RECORDS_READ = Counter "parcelhook_worker_records_read_total" []
        "Kafka records read.";
    BYTES_READ = Counter "parcelhook_worker_bytes_read_total" []
        "Bytes of keys, values and headers read.";
    BYTES_IN_FLIGHT = Gauge "parcelhook_worker_bytes_in_flight" []
        "Bytes read and not yet done with; the byte budget bounds them.";
    COMMITS = Counter "parcelhook_worker_commits_total" ["result"]
        "Offset commits by result: ok, failed.";
    REBALANCES = Counter "parcelhook_worker_rebalances_total" []
        "Assignments and revocations.";
    EVENTS_LOST = Counter "parcelhook_worker_events_lost_total" ["cause"]
        "Events that Kafka deleted before they were read: retention, truncation.";
    STALLS = Counter "parcelhook_worker_stalls_total" []
        "Times the watchdog replaced a consumer that stood still.";
    PRODUCERS_REPLACED = Counter "parcelhook_worker_producers_replaced_total" []
        "Times the producer of the worker's own topics failed for good and was replaced.";
    UNANSWERED_BYTES = Gauge "parcelhook_worker_unanswered_bytes" []
        "Bytes handed to the producer of the worker's own topics and not yet acknowledged.";
    UNREADABLE_RECORDS = Counter "parcelhook_worker_unreadable_records_total" ["own_topic"]
        "Records of the worker's own topics that could not be read: retry, lanes.";
    PARTITION_POSITION = Gauge "parcelhook_worker_partition_position" ["topic", "partition"]
        "Next offset to be read of an owned partition.";
    PARTITION_COMMITTED = Gauge "parcelhook_worker_partition_committed" ["topic", "partition"]
        "Last committed offset; absent when there is none.";
    PARTITION_LAG = Gauge "parcelhook_worker_partition_lag_records" ["topic", "partition"]
        "Records of the log that are not yet read; absent while unknown.";
    PARTITION_PAUSED = Gauge "parcelhook_worker_partition_paused" ["topic", "partition"]
        "1 while reading is paused because of the byte budget.";
    PARTITION_BEHIND = Gauge "parcelhook_worker_partition_behind" ["topic", "partition"]
        "1 while an owned partition waits for a newer configuration than the worker has.";
    BACKGROUND_STARTED = Counter "parcelhook_worker_background_started_total" ["task"]
        "Background tasks and threads started.";
    BACKGROUND_ENDED = Counter "parcelhook_worker_background_ended_total" ["task", "result"]
        "Background tasks and threads ended: completed, failed, panicked, cancelled.";
    BACKGROUND_IN_FLIGHT = Gauge "parcelhook_worker_background_in_flight" ["task"]
        "Background tasks and threads that have not ended.";
    BACKGROUND_BUSY = Counter "parcelhook_worker_background_busy_seconds_total" ["task"]
        "Time spent inside polls, tasks in flight included.";
    BACKGROUND_WAITING = Counter "parcelhook_worker_background_waiting_seconds_total" ["task", "cause"]
        "Time waited by cause, tasks in flight included; waits that overlap add up.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "User and system CPU time of the process.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Resident memory of the process.";
    PROCESS_FILES = Gauge "process_open_fds" []
        "Open file descriptors of the process.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    fn table() -> String {
        let mut table =
            "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
        for family in ALL {
            let labels: Vec<_> = family
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            writeln!(
                table,
                "| `{}` | {} | {} | {} |",
                family.name,
                family.kind.as_str(),
                labels.join(", "),
                family.help
            )
            .unwrap();
        }
        table
    }

    #[test]
    fn the_documented_list_is_this_list() {
        let documentation = include_str!("../../../docs/admin.md");
        let table = table();
        assert!(
            documentation.contains(&table),
            "docs/admin.md must contain exactly this table:\n{table}"
        );
    }

    #[test]
    fn names_are_ours_or_the_standard_ones_of_a_process() {
        for family in ALL {
            let prefixes = ["parcelhook_worker_", "parcelhook_target_", "process_"];
            assert!(
                prefixes
                    .iter()
                    .any(|prefix| family.name.starts_with(prefix)),
                "{}",
                family.name
            );
            assert!(
                family.name.ends_with(family.kind.suffix()),
                "{}",
                family.name
            );
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let names: BTreeSet<_> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn labels_are_from_the_known_few() {
        let known = [
            "namespace",
            "target",
            "topic",
            "partition",
            "state",
            "outcome",
            "reason",
            "code",
            "version",
            "result",
            "cause",
            "task",
            "class",
            "mode",
            "own_topic",
        ];
        for label in ALL.iter().flat_map(|family| family.labels) {
            assert!(known.contains(label), "{label}");
        }
    }
}
