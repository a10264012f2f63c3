//! What the text promises to whoever scrapes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::metrics::{ALL, Kind};
use super::*;
use crate::admin::fixture;
use crate::background::Usage;

fn gathered() -> Gathered {
    let mut totals = Totals {
        started: 2,
        in_flight: 1,
        ended: [0, 1, 0, 0],
        usage: Usage::default(),
    };
    totals.usage.busy = Duration::from_millis(1500);
    totals.usage.waiting[Cause::Http as usize] = Duration::from_secs(600);
    Gathered {
        now: fixture::NOW,
        report: fixture::report(),
        background: BTreeMap::from([("shard", totals)]),
        process: Process {
            cpu: Some(Duration::from_millis(2500)),
            resident_bytes: Some(1 << 20),
            open_files: Some(9),
        },
    }
}

/// Sample lines as name and label names.
fn samples(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, _value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            let names = labels.split("\",").filter(|label| !label.is_empty());
            (
                name,
                names
                    .map(|label| label.split_once('=').unwrap().0)
                    .collect(),
            )
        })
}

#[test]
fn the_text_of_a_report_stays_as_it_is() {
    let text = gathered().render().unwrap();
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(text);
}

#[test]
fn every_family_is_rendered_with_exactly_its_labels() {
    let text = gathered().render().unwrap();
    let mut seen = BTreeSet::new();
    for (name, labels) in samples(&text) {
        let family = ALL
            .iter()
            .find(|family| {
                let suffixes: &[&str] = match family.kind {
                    Kind::Histogram => &["_bucket", "_sum", "_count"],
                    Kind::Counter | Kind::Gauge | Kind::Info => &[""],
                };
                suffixes
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(family.name))
            })
            .unwrap_or_else(|| panic!("{name} is not in the list"));
        let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, family.labels, "{name}");
        seen.insert(family.name);
    }
    // The fixture has no partition whose lag is known.
    let missing: Vec<_> = ALL
        .iter()
        .map(|family| family.name)
        .filter(|name| !seen.contains(name))
        .collect();
    assert_eq!(missing, ["parcelhook_worker_partition_lag_records"]);
}

#[test]
fn a_worker_without_targets_renders_every_head() {
    let text = Gathered::default().render().unwrap();
    for family in ALL
        .iter()
        .filter(|family| !family.name.starts_with("process_"))
    {
        let name = family.name.strip_suffix(family.kind.suffix()).unwrap();
        assert!(
            text.contains(&format!("# TYPE {name} {}\n", family.kind.as_str())),
            "{name}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(
        text.contains("parcelhook_worker_events_lost_total{cause=\"retention\"} 0\n"),
        "a cause counts from 0, so that a rate sees the first loss"
    );
}

#[test]
fn a_target_made_again_is_one_series() {
    let mut gathered = gathered();
    let mut again = fixture::target("shop", "mail");
    again.uid = uuid::Uuid::max();
    let mut report = gathered.report.targets.values().next().unwrap().clone();
    report.target = Arc::new(again);
    gathered.report.targets.insert(report.target.uid, report);
    let text = gathered.render().unwrap();
    let series = "parcelhook_target_up{namespace=\"shop\",target=\"mail\"}";
    assert_eq!(text.matches(series).count(), 1);
}

#[test]
fn metrics_hold_no_secret_and_no_url() {
    let text = gathered().render().unwrap();
    for word in [fixture::SECRET, "hooks.example", "alert("] {
        assert!(!text.contains(word), "{word}");
    }
}
