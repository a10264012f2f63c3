//! What the conditions and numbers of a status say.

use parcelhook_crds::status::State;

use super::*;
use crate::health::Availability;
use crate::target::{Fault, Refused};

fn health() -> Health {
    Health {
        state: State::Up,
        reason: "Delivering".to_owned(),
        available: Availability::True,
        since: 1_000,
        next_attempt: None,
        parked: 0,
        oldest_parked: None,
        last_failure: None,
        at_risk: false,
    }
}

fn good(generation: i64) -> Applied {
    Applied {
        generation,
        refused: None,
        runs: Some(generation),
    }
}

fn bad(
    generation: i64,
    accepted: Option<&'static str>,
    references: Option<&'static str>,
) -> Applied {
    let fault = |reason| Fault::new(reason, "something is wrong");
    Applied {
        generation,
        refused: Some(Refused {
            accepted: accepted.map(fault),
            references: references.map(fault),
        }),
        runs: Some(1),
    }
}

fn facts<'a>(applied: &'a Applied, given: Given, health: &'a Health) -> Facts<'a> {
    Facts {
        generation: 2,
        applied: Some(applied),
        given,
        missing_topic: None,
        workers_wait_for: None,
        topics_lose: None,
        health,
    }
}

/// Type, status and reason of what is said, in order.
fn said(status: &DeliveryTargetStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions
        .map(|one| format!("{}={} {}", one.type_, one.status, one.reason))
        .collect()
}

fn after(applied: &Applied, given: Given) -> Vec<String> {
    let health = health();
    let facts = facts(applied, given, &health);
    said(&desired(&DeliveryTargetStatus::default(), &facts, 5_000))[..4].to_vec()
}

#[test]
fn the_table_of_conditions() {
    let table = [
        (
            good(2),
            Given::Published(Running::Everywhere),
            [
                "Accepted=True Accepted",
                "ResolvedRefs=True ResolvedRefs",
                "Programmed=True Programmed",
                "Ready=True Ready",
            ],
        ),
        (
            good(2),
            Given::Published(Running::NotYet),
            [
                "Accepted=True Accepted",
                "ResolvedRefs=True ResolvedRefs",
                "Programmed=Unknown Pending",
                "Ready=Unknown Pending",
            ],
        ),
        (
            good(2),
            Given::Published(Running::NoWorkers),
            [
                "Accepted=True Accepted",
                "ResolvedRefs=True ResolvedRefs",
                "Programmed=False NoWorkers",
                "Ready=False NoWorkers",
            ],
        ),
        (
            good(2),
            Given::TooLarge,
            [
                "Accepted=False TooLarge",
                "ResolvedRefs=True ResolvedRefs",
                "Programmed=Unknown Pending",
                "Ready=False TooLarge",
            ],
        ),
        (
            good(1),
            Given::Published(Running::Everywhere),
            [
                "Accepted=Unknown Pending",
                "ResolvedRefs=Unknown Pending",
                "Programmed=Unknown Pending",
                "Ready=Unknown Pending",
            ],
        ),
        (
            bad(2, Some("TopicNotAllowed"), None),
            Given::Published(Running::Everywhere),
            [
                "Accepted=False TopicNotAllowed",
                "ResolvedRefs=Unknown Pending",
                "Programmed=Unknown Pending",
                "Ready=False TopicNotAllowed",
            ],
        ),
        (
            bad(2, None, Some("SecretNotFound")),
            Given::Published(Running::Everywhere),
            [
                "Accepted=True Accepted",
                "ResolvedRefs=False SecretNotFound",
                "Programmed=Unknown Pending",
                "Ready=False SecretNotFound",
            ],
        ),
    ];
    for (applied, given, expected) in table {
        assert_eq!(after(&applied, given), expected);
    }
}

#[test]
fn programmed_stands_for_its_generation_until_a_worker_cannot_run_it() {
    let (applied, health) = (good(2), health());
    let status = |before: &DeliveryTargetStatus, running| {
        desired(
            before,
            &facts(&applied, Given::Published(running), &health),
            5_000,
        )
    };
    let ran = status(&DeliveryTargetStatus::default(), Running::Everywhere);
    for running in [Running::NotYet, Running::NoWorkers, Running::Unreachable] {
        assert_eq!(status(&ran, running), ran);
    }
    let rejected = status(&ran, Running::Rejected("no".to_owned()));
    assert!(said(&rejected).contains(&"Programmed=False RejectedByWorker".to_owned()));
    let later = Facts {
        generation: 3,
        ..facts(&applied, Given::NotYet, &health)
    };
    let next = desired(&ran, &later, 5_000);
    assert!(said(&next).contains(&"Programmed=Unknown Pending".to_owned()));
}

#[test]
fn own_topics_that_cannot_be_used_are_told_to_who_waits_for_a_worker_and_to_who_has_events_in_them()
{
    let (applied, health) = (good(2), health());
    let published = Given::Published(Running::NoWorkers);
    let wrong = Facts {
        workers_wait_for: Some("topic p.retry: x"),
        topics_lose: Some("topic p.retry: x"),
        ..facts(&applied, published, &health)
    };
    let fresh = desired(&DeliveryTargetStatus::default(), &wrong, 5_000);
    assert!(said(&fresh).contains(&"Programmed=False TopicsUnusable".to_owned()));
    let everywhere = Given::Published(Running::Everywhere);
    let before = facts(&applied, everywhere, &health);
    let ran = desired(&DeliveryTargetStatus::default(), &before, 5_000);
    let later = said(&desired(&ran, &wrong, 5_000));
    assert!(later.contains(&"Programmed=True Programmed".to_owned()));
    assert!(later.contains(&"DataAtRisk=True TopicsUnusable".to_owned()));
}

#[test]
fn data_at_risk_is_there_only_while_it_is_true() {
    let (applied, mut health) = (good(2), health());
    let risky = |health: &Health| {
        let facts = facts(&applied, Given::NotYet, health);
        let status = desired(&DeliveryTargetStatus::default(), &facts, 5_000);
        status.conditions.len()
    };
    assert_eq!(risky(&health), 5);
    health.at_risk = true;
    assert_eq!(risky(&health), 6);
}

#[test]
fn the_last_failure_is_remembered_and_up_needs_no_reason() {
    let (applied, health) = (good(2), health());
    let mut before = DeliveryTargetStatus::default();
    let failure = parcelhook_crds::lane::LastFailure {
        at: 1_500,
        reason: "HTTPStatus".to_owned(),
        status: Some(503),
        message: Some("x".repeat(5_000)),
    };
    let failed = Health {
        state: State::Down,
        reason: "HTTPStatus".to_owned(),
        available: Availability::False,
        last_failure: Some(failure),
        parked: 3,
        ..health
    };
    before = desired(&before, &facts(&applied, Given::NotYet, &failed), 5_000);
    let kept = before.last_failure.clone().unwrap();
    assert_eq!((kept.time, kept.status_code), (time(1_000), Some(503)));
    assert_eq!(kept.message.unwrap().len(), 1_024);
    assert_eq!(
        (before.reason.as_deref(), before.parked),
        (Some("HTTPStatus"), Some(3))
    );
    let up = desired(&before, &facts(&applied, Given::NotYet, &health), 9_000);
    assert_eq!((up.reason, up.parked), (None, None));
    assert_eq!(up.last_failure, before.last_failure);
}

/// A restart may begin with nothing but what is written.
#[test]
fn the_health_that_a_status_tells_is_what_was_written() {
    let down = Health {
        state: State::Down,
        reason: "HTTPStatus".to_owned(),
        available: Availability::False,
        next_attempt: Some(9_000),
        parked: 50,
        oldest_parked: Some(2_000),
        last_failure: Some(lane::LastFailure {
            at: 3_000,
            reason: "HTTPStatus".to_owned(),
            status: Some(503),
            message: Some("Service Unavailable".to_owned()),
        }),
        at_risk: true,
        ..health()
    };
    let unknown = Health {
        state: State::Unknown,
        reason: reason::NO_TRAFFIC.to_owned(),
        available: Availability::Unknown,
        ..health()
    };
    let applied = good(2);
    for health in [health(), down, unknown] {
        let facts = facts(&applied, Given::Published(Running::Everywhere), &health);
        let status = desired(&DeliveryTargetStatus::default(), &facts, 5_000);
        assert_eq!(written(&status), Some(health));
    }
    assert_eq!(written(&DeliveryTargetStatus::default()), None);
}
