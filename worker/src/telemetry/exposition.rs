//! Renders the metrics of [`super::metrics`] in the OpenMetrics text format.
//!
//! Owns nothing: it turns what was gathered at one moment into text. Invariant: every family of the
//! list is rendered, each sample has exactly the labels of its family, and no series comes twice.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::registry::Registry;

use super::metrics::{self, Family};
use super::process::Process;
use crate::background::{Cause, Ended, Totals};
use crate::report::{Histogram, OwnTopicsReport, PartitionReport, WorkerReport};

mod targets;
#[cfg(test)]
mod tests;
use targets::Targets;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Causes of lost events that are rendered before the first loss, so that a rate sees it.
const LOSS_CAUSES: [&str; 2] = ["retention", "truncation"];

/// Everything that becomes a metric, gathered at one moment.
#[derive(Debug, Default)]
pub struct Gathered {
    /// When, milliseconds since the Unix epoch.
    pub now: i64,
    /// Targets and the consumer.
    pub report: WorkerReport,
    /// Background work by name.
    pub background: BTreeMap<&'static str, Totals>,
    /// The process.
    pub process: Process,
}

impl Gathered {
    /// Renders the metrics.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn render(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// The targets by namespace and name. One that was deleted and made again may be there twice for
    /// a moment, and a series must not.
    fn targets(&self) -> Targets<'_> {
        self.report
            .targets
            .values()
            .map(|report| {
                let target = &report.target;
                ((target.namespace.as_str(), target.name.as_str()), report)
            })
            .collect()
    }
}

impl Collector for Gathered {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Exposition(encoder);
        let targets = self.targets();
        targets::gauges(&mut out, &targets)?;
        targets::parked(&mut out, &targets, self.now)?;
        targets::counters(&mut out, &targets)?;
        targets::histograms(&mut out, &targets)?;
        worker(&mut out, &self.report)?;
        source(&mut out, &self.report)?;
        own_topics(&mut out, self.report.own_topics)?;
        partitions(&mut out, &self.report.source.partitions)?;
        background(&mut out, &self.background)?;
        process(&mut out, &self.process)
    }
}

fn worker(out: &mut Exposition, report: &WorkerReport) -> fmt::Result {
    out.family(&metrics::BUILD)?
        .info(&[env!("CARGO_PKG_VERSION")])?;
    out.gauge(&metrics::JOINED, u64::from(report.source.joined))?;
    out.gauge(&metrics::TARGETS, report.targets.len())?;
    out.gauge(&metrics::PROBLEMS, report.problems.len())?;
    out.gauge(&metrics::BEHIND, u64::from(report.lacks.is_some()))?;
    let missing = report.source.missing_topics.len();
    out.gauge(&metrics::MISSING_TOPICS, missing)
}

fn source(out: &mut Exposition, report: &WorkerReport) -> fmt::Result {
    let source = &report.source;
    out.counter(&metrics::RECORDS_READ, source.records_read)?;
    out.counter(&metrics::BYTES_READ, source.bytes_read)?;
    out.gauge(&metrics::BYTES_IN_FLIGHT, source.bytes_in_flight)?;
    let mut samples = out.family(&metrics::COMMITS)?;
    samples.counter(&["ok"], source.commits_ok)?;
    samples.counter(&["failed"], source.commits_failed)?;
    out.counter(&metrics::REBALANCES, source.rebalances)?;
    let mut lost = source.events_lost.clone();
    for cause in LOSS_CAUSES {
        lost.entry(cause).or_default();
    }
    let mut samples = out.family(&metrics::EVENTS_LOST)?;
    for (cause, count) in lost {
        samples.counter(&[cause], count)?;
    }
    out.counter(&metrics::STALLS, source.stalls)
}

fn own_topics(out: &mut Exposition, own: OwnTopicsReport) -> fmt::Result {
    out.counter(&metrics::PRODUCERS_REPLACED, own.producers_replaced)?;
    out.gauge(&metrics::UNANSWERED_BYTES, own.unanswered_bytes)?;
    let mut samples = out.family(&metrics::UNREADABLE_RECORDS)?;
    samples.counter(&["retry"], own.retry_unreadable)?;
    samples.counter(&["lanes"], own.lanes_unreadable)
}

fn partitions(out: &mut Exposition, partitions: &[PartitionReport]) -> fmt::Result {
    let gauges: [Column<PartitionReport, Option<i64>>; 5] = [
        (metrics::PARTITION_POSITION, |one| Some(one.position)),
        (metrics::PARTITION_COMMITTED, |one| one.committed),
        (metrics::PARTITION_LAG, |one| one.lag),
        (metrics::PARTITION_PAUSED, |one| Some(i64::from(one.paused))),
        (metrics::PARTITION_BEHIND, |one| {
            Some(i64::from(one.lacks.is_some()))
        }),
    ];
    for (family, read) in gauges {
        let mut samples = out.family(&family)?;
        for one in partitions {
            if let Some(value) = read(one) {
                samples.gauge(&[&one.topic, &one.partition.to_string()], value)?;
            }
        }
    }
    Ok(())
}

fn background(out: &mut Exposition, tasks: &BTreeMap<&'static str, Totals>) -> fmt::Result {
    let mut samples = out.family(&metrics::BACKGROUND_STARTED)?;
    for (task, totals) in tasks {
        samples.counter(&[task], totals.started)?;
    }
    let mut samples = out.family(&metrics::BACKGROUND_ENDED)?;
    for (task, totals) in tasks {
        for (ended, count) in Ended::ALL.into_iter().zip(totals.ended) {
            samples.counter(&[task, ended.as_str()], count)?;
        }
    }
    let mut samples = out.family(&metrics::BACKGROUND_IN_FLIGHT)?;
    for (task, totals) in tasks {
        samples.gauge(&[task], totals.in_flight)?;
    }
    let mut samples = out.family(&metrics::BACKGROUND_BUSY)?;
    for (task, totals) in tasks {
        samples.counter(&[task], totals.usage.busy.as_secs_f64())?;
    }
    let mut samples = out.family(&metrics::BACKGROUND_WAITING)?;
    for (task, totals) in tasks {
        for (cause, waited) in Cause::ALL.into_iter().zip(totals.usage.waiting) {
            samples.counter(&[task, cause.as_str()], waited.as_secs_f64())?;
        }
    }
    Ok(())
}

fn process(out: &mut Exposition, process: &Process) -> fmt::Result {
    if let Some(cpu) = process.cpu {
        out.counter(&metrics::PROCESS_CPU, cpu.as_secs_f64())?;
    }
    if let Some(bytes) = process.resident_bytes {
        out.gauge(&metrics::PROCESS_MEMORY, bytes)?;
    }
    if let Some(files) = process.open_files {
        out.gauge(&metrics::PROCESS_FILES, files)?;
    }
    Ok(())
}

/// A family without further labels, and where its value is read.
type Column<T, V> = (Family, fn(&T) -> V);

/// Writes families one after another.
struct Exposition<'a>(DescriptorEncoder<'a>);

impl Exposition<'_> {
    /// Writes the head of a family.
    fn family(&mut self, family: &Family) -> Result<Samples<'_>, fmt::Error> {
        let suffix = family.kind.suffix();
        let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
        let kind = family.kind.metric_type();
        Ok(Samples {
            encoder: self.0.encode_descriptor(name, family.help, None, kind)?,
            labels: family.labels,
        })
    }

    /// Writes a gauge without labels.
    fn gauge(&mut self, family: &Family, value: impl EncodeGaugeValue) -> fmt::Result {
        self.family(family)?.encoder.encode_gauge(&value)
    }

    /// Writes a counter without labels.
    fn counter(&mut self, family: &Family, value: impl EncodeCounterValue) -> fmt::Result {
        let mut samples = self.family(family)?;
        samples
            .encoder
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}

/// Writes the samples of one family.
struct Samples<'a> {
    encoder: MetricEncoder<'a>,
    labels: &'static [&'static str],
}

impl Samples<'_> {
    fn gauge(&mut self, values: &[&str], value: impl EncodeGaugeValue) -> fmt::Result {
        let labels = self.label(values);
        self.encoder.encode_family(&labels)?.encode_gauge(&value)
    }

    fn counter(&mut self, values: &[&str], value: impl EncodeCounterValue) -> fmt::Result {
        let labels = self.label(values);
        let mut encoder = self.encoder.encode_family(&labels)?;
        encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn info(&mut self, values: &[&str]) -> fmt::Result {
        let labels = self.label(values);
        self.encoder.encode_info(&labels)
    }

    fn histogram<const N: usize>(
        &mut self,
        values: &[&str],
        bounds: &[f64; N],
        histogram: &Histogram<N>,
    ) -> fmt::Result {
        let bounded: u64 = histogram.buckets.iter().sum();
        let beyond = (f64::INFINITY, histogram.count.saturating_sub(bounded));
        let finite = bounds.iter().copied().zip(histogram.buckets);
        let buckets: Vec<_> = finite.chain([beyond]).collect();
        let labels = self.label(values);
        let mut encoder = self.encoder.encode_family(&labels)?;
        encoder.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count, &buckets, None)
    }

    fn label<'v>(&self, values: &'v [&'v str]) -> Vec<(&'static str, &'v str)> {
        self.labels
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect()
    }
}
