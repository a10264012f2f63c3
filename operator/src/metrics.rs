//! Metrics: the operator's figures, and how they are rendered.
//!
//! Owns the names, which are an interface: a test holds them. Everything is a plain number without
//! labels of targets, so their count does not grow with the cluster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parcelhook_crds::config::Revision;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::queue::Ended;

/// The media type of the rendering.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of durations, seconds. A request that takes longer than ten is given up; judging a target
/// and publishing are several requests.
const BUCKETS_SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How long something took, by upper bounds.
#[derive(Clone, Debug)]
pub struct Seconds(Histogram);

impl Default for Seconds {
    fn default() -> Self {
        Self(Histogram::new(BUCKETS_SECONDS))
    }
}

impl Seconds {
    /// It took so long.
    pub fn took(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

impl Gauge {
    /// It is this now.
    pub fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counter {
    /// So many more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Whether this operator leads.
    pub leader: Gauge,
    /// Whether all targets were listed.
    pub synced: Gauge,
    /// Targets of the worker group.
    pub targets: Gauge,
    /// Targets that wait to be judged.
    pub queued: Gauge,
    /// Statuses that wait to be written.
    pub statuses_waiting: Gauge,
    /// Statuses written.
    pub statuses_written: Counter,
    /// Looks at the published configuration.
    pub passes: Counter,
    /// Bytes of shards written.
    pub shard_bytes: Counter,
    /// Records of the workers' topics that cannot be read.
    pub unreadable: Counter,
    /// What is wrong with Parcelhook's own topics.
    pub topics_wrong: Gauge,
    /// Whether the grants file cannot be read.
    pub grants_unreadable: Gauge,
    /// How long judging a target took, its Secrets included.
    pub judge_seconds: Seconds,
    /// How long publishing a configuration took, from the first shard to the manifest.
    pub publish_seconds: Seconds,
    /// How long writing a status took.
    pub status_write_seconds: Seconds,
    revision: Gauge,
    judged: Counter,
    failed: Counter,
}

impl Metrics {
    /// This revision is published.
    pub fn published(&self, revision: Revision) {
        self.revision.0.store(revision.number, Ordering::Relaxed);
    }

    /// A target was judged, or could not be.
    pub fn judged(&self, ended: Ended) {
        match ended {
            Ended::Done => self.judged.add(1),
            Ended::Failed => self.failed.add(1),
        }
    }

    /// Renders all.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("parcelhook_operator");
        self.register_gauges(&mut registry);
        self.register_counters(&mut registry);
        let durations = [
            (
                "judge_duration_seconds",
                "How long judging a target took, reading its Secrets included",
                &self.judge_seconds,
            ),
            (
                "publish_duration_seconds",
                "How long publishing a configuration took",
                &self.publish_seconds,
            ),
            (
                "status_write_duration_seconds",
                "How long writing a status took",
                &self.status_write_seconds,
            ),
        ];
        for (name, help, seconds) in durations {
            registry.register(name, help, seconds.0.clone());
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let gauges = [
            ("leader", "Whether this operator leads", &self.leader),
            ("synced", "Whether all targets were listed", &self.synced),
            ("targets", "Targets of the worker group", &self.targets),
            (
                "queued_targets",
                "Targets that wait to be judged",
                &self.queued,
            ),
            (
                "status_writes_waiting",
                "Statuses that wait to be written",
                &self.statuses_waiting,
            ),
            (
                "config_revision",
                "Number of the published configuration",
                &self.revision,
            ),
            (
                "own_topics_wrong",
                "What is wrong with Parcelhook's own topics",
                &self.topics_wrong,
            ),
            (
                "grants_unreadable",
                "Whether the grants file cannot be read, so that older grants hold",
                &self.grants_unreadable,
            ),
        ];
        for (name, help, gauge) in gauges {
            let value = i64::try_from(gauge.get()).unwrap_or(i64::MAX);
            registry.register(name, help, ConstGauge::new(value));
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters = [
            ("judged", "Targets judged", &self.judged),
            (
                "judge_failures",
                "Targets that could not be judged and are tried again",
                &self.failed,
            ),
            ("status_writes", "Statuses written", &self.statuses_written),
            (
                "config_passes",
                "Looks at the published configuration",
                &self.passes,
            ),
            ("shard_bytes", "Bytes of shards written", &self.shard_bytes),
            (
                "unreadable_records",
                "Records of the workers' topics that cannot be read",
                &self.unreadable,
            ),
        ];
        for (name, help, counter) in counters {
            let value = counter.0.load(Ordering::Relaxed);
            registry.register(name, help, ConstCounter::new(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_an_interface() {
        let text = Metrics::default().render().unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let mut names: Vec<&str> = samples
            .filter_map(|line| line.split([' ', '{']).next())
            .collect();
        names.dedup();
        let document = include_str!("../../docs/operator.md");
        for name in &names {
            let name = ["_sum", "_count", "_bucket"]
                .iter()
                .fold(*name, |name, end| name.trim_end_matches(end));
            assert!(
                document.contains(&format!("`{name}`")),
                "{name} is not documented"
            );
        }
        insta::assert_snapshot!(names.join("\n"), @r"
        parcelhook_operator_leader
        parcelhook_operator_synced
        parcelhook_operator_targets
        parcelhook_operator_queued_targets
        parcelhook_operator_status_writes_waiting
        parcelhook_operator_config_revision
        parcelhook_operator_own_topics_wrong
        parcelhook_operator_grants_unreadable
        parcelhook_operator_judged_total
        parcelhook_operator_judge_failures_total
        parcelhook_operator_status_writes_total
        parcelhook_operator_config_passes_total
        parcelhook_operator_shard_bytes_total
        parcelhook_operator_unreadable_records_total
        parcelhook_operator_judge_duration_seconds_sum
        parcelhook_operator_judge_duration_seconds_count
        parcelhook_operator_judge_duration_seconds_bucket
        parcelhook_operator_publish_duration_seconds_sum
        parcelhook_operator_publish_duration_seconds_count
        parcelhook_operator_publish_duration_seconds_bucket
        parcelhook_operator_status_write_duration_seconds_sum
        parcelhook_operator_status_write_duration_seconds_count
        parcelhook_operator_status_write_duration_seconds_bucket
        ");
    }
}
