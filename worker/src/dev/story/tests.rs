//! What is told, and what is not told twice.

use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

use super::super::sample;
use super::*;
use crate::report::{Health, LaneMode, Parked, Recovered, State};
use crate::targets::Problem;

const NOW: i64 = sample::NOW;

/// A story that has already told its beginning, with one target `flaky`.
fn begun() -> (Story, WorkerReport) {
    let mut report = sample::report_of("default", "flaky");
    sample::only(&mut report).counters.events_delivered = 100;
    let mut story = Story::default();
    story.observe(&report, NOW, Duration::from_secs(3), true);
    (story, report)
}

fn tell(story: &mut Story, report: &WorkerReport, now: i64) -> Vec<String> {
    story.observe(report, now, Duration::from_secs(60), true)
}

fn fail(report: &mut WorkerReport, parked: u64) {
    let target = sample::only(report);
    target.health = sample::down(NOW);
    target.parked.events = parked;
    target.parked.attempts = 1;
    target.parked.lanes[LaneMode::Parking as usize] = 1;
}

/// UP since `at`, with that much left to deliver.
fn come_up(report: &mut WorkerReport, at: i64, left: u64) {
    let target = sample::only(report);
    target.health = Health {
        since: Some(at),
        ..Health::default()
    };
    target.parked.events = left;
}

/// All lanes are live again.
fn recover(report: &mut WorkerReport, at: i64, events: u64) {
    let target = sample::only(report);
    target.parked = Parked::default();
    target.last_recovery = Some(Recovered {
        at,
        events,
        took: Duration::from_millis(310),
    });
}

#[test]
fn the_first_delivery_is_told_once_with_its_time() {
    let mut report = sample::report_of("default", "flaky");
    let mut story = Story::default();
    let early = Duration::from_millis(1_000);
    assert!(story.observe(&report, NOW, early, true).is_empty());
    sample::only(&mut report).counters.events_delivered = 1;
    let time = Duration::from_millis(3_456);
    let lines = story.observe(&report, NOW, time, true);
    assert_eq!(lines, ["first events delivered 3.4 s after the start"]);
    assert!(story.observe(&report, NOW, time, true).is_empty());
}

#[test]
fn down_says_why_how_much_is_parked_and_when_it_is_tried_again() {
    let (mut story, mut report) = begun();
    fail(&mut report, 214);
    assert_eq!(
        tell(&mut story, &report, NOW),
        ["flaky is DOWN: HTTP 503; 214 events parked; next attempt in 4 s"]
    );
    assert!(tell(&mut story, &report, NOW + 500).is_empty());
}

#[test]
fn an_outage_that_lasts_is_told_with_each_further_attempt() {
    let (mut story, mut report) = begun();
    fail(&mut report, 3);
    tell(&mut story, &report, NOW);
    sample::only(&mut report).parked.attempts = 2;
    sample::only(&mut report).parked.events = 37;
    assert_eq!(
        tell(&mut story, &report, NOW),
        ["flaky is still DOWN after 2 attempts: 37 events parked; next attempt in 4 s"]
    );
    assert!(tell(&mut story, &report, NOW).is_empty());
}

#[test]
fn without_a_response_down_gives_the_reason() {
    let (mut story, mut report) = begun();
    fail(&mut report, 1);
    let health = &mut sample::only(&mut report).health;
    health.last_failure = None;
    health.next_attempt = None;
    health.reason = "ConnectionRefused";
    assert_eq!(
        tell(&mut story, &report, NOW),
        ["flaky is DOWN: ConnectionRefused; 1 event parked"]
    );
}

#[test]
fn a_recovery_says_what_was_delivered_and_how_long_it_took() {
    let (mut story, mut report) = begun();
    fail(&mut report, 37);
    tell(&mut story, &report, NOW);
    come_up(&mut report, NOW + 13_000, 0);
    assert!(
        tell(&mut story, &report, NOW + 13_000).is_empty(),
        "a lane is about to be live"
    );
    recover(&mut report, NOW + 13_100, 214);
    assert_eq!(
        tell(&mut story, &report, NOW + 13_500),
        ["flaky recovered: 214 events delivered in order in 0.3 s"]
    );
    assert!(tell(&mut story, &report, NOW + 14_000).is_empty());
}

#[test]
fn a_long_backlog_is_told_twice() {
    let (mut story, mut report) = begun();
    fail(&mut report, 412);
    tell(&mut story, &report, NOW);
    come_up(&mut report, NOW + 13_000, 312);
    assert_eq!(
        tell(&mut story, &report, NOW + 13_500),
        ["flaky is UP again after 20s: 312 events to deliver"]
    );
    come_up(&mut report, NOW + 13_000, 200);
    assert!(tell(&mut story, &report, NOW + 14_000).is_empty());
    recover(&mut report, NOW + 14_400, 430);
    assert_eq!(
        tell(&mut story, &report, NOW + 14_500),
        ["flaky has caught up: 430 events delivered in order in 0.3 s"]
    );
}

#[test]
fn a_target_that_parked_nothing_is_simply_up_again() {
    let (mut story, mut report) = begun();
    sample::only(&mut report).health = sample::down(NOW);
    tell(&mut story, &report, NOW);
    come_up(&mut report, NOW + 1_000, 0);
    assert_eq!(
        tell(&mut story, &report, NOW + 1_000),
        ["flaky is UP again after 8s"]
    );
}

#[test]
fn order_is_claimed_only_when_the_receivers_saw_it() {
    let (mut story, mut report) = begun();
    fail(&mut report, 5);
    tell(&mut story, &report, NOW);
    come_up(&mut report, NOW, 0);
    recover(&mut report, NOW, 5);
    let lines = story.observe(&report, NOW, Duration::ZERO, false);
    assert_eq!(lines, ["flaky recovered: 5 events delivered in 0.3 s"]);
}

#[test]
fn a_second_outage_before_the_first_is_made_up_is_told() {
    let (mut story, mut report) = begun();
    fail(&mut report, 412);
    tell(&mut story, &report, NOW);
    come_up(&mut report, NOW, 312);
    tell(&mut story, &report, NOW);
    fail(&mut report, 312);
    assert_eq!(tell(&mut story, &report, NOW).len(), 1);
}

#[test]
fn an_edited_manifest_is_told_when_it_is_live() {
    let (mut story, mut report) = begun();
    let target = &mut sample::only(&mut report).target;
    let mut changed = CompiledTarget::clone(target);
    changed.suspend = true;
    *target = Arc::new(changed);
    sample::only(&mut report).health.state = State::Suspended;
    assert_eq!(
        tell(&mut story, &report, NOW),
        [
            "flaky: the changed manifest is live",
            "flaky is suspended: its events are parked"
        ]
    );
    sample::only(&mut report).health.state = State::Up;
    assert_eq!(
        tell(&mut story, &report, NOW),
        ["flaky is no longer suspended"]
    );
}

#[test]
fn targets_come_and_go() {
    let (mut story, _) = begun();
    let other = sample::report_of("default", "crm");
    assert_eq!(
        tell(&mut story, &other, NOW),
        ["flaky is gone", "crm is new"]
    );
}

#[test]
fn a_mistake_in_a_manifest_and_its_mending_are_told() {
    let (mut story, mut report) = begun();
    report.problems.push(Problem {
        file: "flaky.yaml".to_owned(),
        document: 1,
        message: "spec.format: unknown; one of Json, Raw".to_owned(),
        last_good_runs: true,
    });
    assert_eq!(
        tell(&mut story, &report, NOW),
        [
            "flaky.yaml, document 1: spec.format: unknown; one of Json, Raw; the last good version goes on"
        ]
    );
    assert!(tell(&mut story, &report, NOW).is_empty());
    report.problems.clear();
    assert_eq!(tell(&mut story, &report, NOW), ["flaky.yaml is good again"]);
}

#[test]
fn a_loss_is_never_silent() {
    let (mut story, mut report) = begun();
    report.source.events_lost.insert("retention", 3);
    assert_eq!(
        tell(&mut story, &report, NOW),
        ["3 events destroyed by the demo broker before they were read"]
    );
    assert!(tell(&mut story, &report, NOW).is_empty());
}
