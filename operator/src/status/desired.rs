//! The status that should be there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use parcelhook_crds::status::{DeliveryTargetStatus, LastFailure};

use super::condition::{self, Said, Truth, kind};
use crate::config::Applied;
use crate::health::{Before, Health, Running, reason};
use crate::topics::OwnTopics;

/// Longest message of a failure, characters: what the resource allows.
const MESSAGE_MAX_CHARS: usize = 1_024;

/// Everything that a status is made of.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The generation that the API server has.
    pub generation: i64,
    /// What was last judged; none when nothing was.
    pub applied: Option<&'a Applied>,
    /// Whether workers got what was judged.
    pub given: Given,
    /// A topic of the target that the workers do not find.
    pub missing_topic: Option<&'a str>,
    /// How Parcelhook's own topics are.
    pub own_topics: &'a OwnTopics,
    /// How the webhook fares.
    pub health: &'a Health,
}

/// Whether workers got a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Not yet.
    NotYet,
    /// It does not fit.
    TooLarge,
    /// It is published: what became of it.
    Published(Running),
}

/// The status that should be there after `before`.
pub fn desired(before: &DeliveryTargetStatus, facts: &Facts<'_>, now: i64) -> DeliveryTargetStatus {
    let judged = facts
        .applied
        .filter(|applied| applied.generation == facts.generation);
    let accepted = accepted(judged, &facts.given);
    let refs = refs(judged, facts.missing_topic);
    let programmed = programmed(before, judged, facts);
    let ready = condition::ready(&accepted, &refs, &programmed);
    let health = facts.health;
    let losing = facts.own_topics.losing().map(condition::topics_lose);
    let risk = health.at_risk.then(condition::data_at_risk).or(losing);
    let said = [
        accepted,
        refs,
        programmed,
        ready,
        condition::available(health),
    ];
    let now = time(now);
    let write = |said: Said| said.written(&before.conditions, facts.generation, &now);
    let quiet = health.reason == reason::DELIVERING;
    DeliveryTargetStatus {
        observed_generation: Some(facts.generation),
        state: Some(health.state),
        reason: (!quiet).then(|| health.reason.clone()),
        since: Some(time(health.since)),
        next_attempt: health.next_attempt.map(time),
        parked: (health.parked > 0).then(|| i64::try_from(health.parked).unwrap_or(i64::MAX)),
        oldest_parked: health.oldest_parked.map(time),
        last_failure: last_failure(health).or_else(|| before.last_failure.clone()),
        conditions: said.into_iter().chain(risk).map(write).collect(),
    }
}

/// What the fold must know of a status that was written.
pub fn before(status: &DeliveryTargetStatus) -> Option<Before> {
    Some(Before {
        state: status.state?,
        since: status.since.as_ref().map(|since| since.0.as_millisecond()),
    })
}

fn accepted(judged: Option<&Applied>, given: &Given) -> Said {
    let Some(applied) = judged else {
        return condition::acceptance_pending();
    };
    let fault = applied
        .refused
        .as_ref()
        .and_then(|refused| refused.accepted.as_ref());
    match fault {
        Some(fault) => condition::not_accepted(fault, applied.runs.is_some()),
        None if *given == Given::TooLarge => condition::too_large(),
        None => condition::accepted(),
    }
}

fn refs(judged: Option<&Applied>, missing_topic: Option<&str>) -> Said {
    let Some(applied) = judged else {
        return condition::refs_pending();
    };
    match (&applied.refused, missing_topic) {
        (Some(refused), _) => match &refused.references {
            Some(fault) => condition::refs_unresolved(fault, applied.runs.is_some()),
            None => condition::refs_pending(),
        },
        (None, Some(topic)) => condition::topic_not_found(topic),
        (None, None) => condition::refs_resolved(),
    }
}

/// Once every worker ran a generation this stands for the generation, whatever the number of workers
/// does; only a worker that cannot run it takes it back.
fn programmed(before: &DeliveryTargetStatus, judged: Option<&Applied>, facts: &Facts<'_>) -> Said {
    let runs = judged.is_some_and(|applied| applied.refused.is_none());
    if let (true, Given::Published(Running::Rejected(what))) = (runs, &facts.given) {
        return condition::rejected_by_worker(what);
    }
    if is_latched(&before.conditions, facts.generation) {
        return condition::programmed();
    }
    if judged.is_some() && !runs {
        return condition::not_programmed_yet();
    }
    let silent = Given::Published(Running::NoWorkers);
    if let (true, Some(what)) = (facts.given == silent, facts.own_topics.unusable()) {
        return condition::topics_unusable(what);
    }
    match &facts.given {
        Given::Published(Running::Everywhere) if runs => condition::programmed(),
        Given::Published(Running::NoWorkers) => condition::no_workers(),
        Given::Published(Running::Unreachable) => condition::workers_unreachable(),
        Given::TooLarge => condition::not_programmed_yet(),
        Given::NotYet | Given::Published(_) => condition::programming(),
    }
}

fn is_latched(conditions: &[Condition], generation: i64) -> bool {
    conditions.iter().any(|known| {
        known.type_ == kind::PROGRAMMED
            && known.status == Truth::True.as_str()
            && known.observed_generation == Some(generation)
    })
}

fn last_failure(health: &Health) -> Option<LastFailure> {
    let failure = health.last_failure.as_ref()?;
    let message = failure.message.as_ref();
    Some(LastFailure {
        time: time(failure.at),
        reason: failure.reason.clone(),
        status_code: failure.status.filter(|code| (100..600).contains(code)),
        message: message.map(|text| text.chars().take(MESSAGE_MAX_CHARS).collect()),
    })
}

/// Whole seconds, as the API writes times.
fn time(millis: i64) -> Time {
    Time(Timestamp::from_second(millis.div_euclid(1_000)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
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
            own_topics: &OwnTopics::Good,
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
}
