//! Metrics: the operator's figures, and how they are rendered.
//!
//! Owns the names, which are an interface: a test holds them. Everything is a plain number without
//! labels of targets, so their count does not grow with the cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use parcelhook_crds::config::Revision;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::queue::Ended;

/// The media type of the rendering.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

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
        ];
        for (name, help, gauge) in gauges {
            let value = i64::try_from(gauge.get()).unwrap_or(i64::MAX);
            registry.register(name, help, ConstGauge::new(value));
        }
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
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_an_interface() {
        let text = Metrics::default().render().unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = samples.filter_map(|line| line.split(' ').next()).collect();
        insta::assert_snapshot!(names.join("\n"), @r"
        parcelhook_operator_leader
        parcelhook_operator_synced
        parcelhook_operator_targets
        parcelhook_operator_queued_targets
        parcelhook_operator_status_writes_waiting
        parcelhook_operator_config_revision
        parcelhook_operator_judged_total
        parcelhook_operator_judge_failures_total
        parcelhook_operator_status_writes_total
        parcelhook_operator_config_passes_total
        parcelhook_operator_shard_bytes_total
        parcelhook_operator_unreadable_records_total
        ");
    }
}
