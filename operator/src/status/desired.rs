//! The status that should be there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use parcelhook_crds::lane;
use parcelhook_crds::status::{DeliveryTargetStatus, LastFailure};

use super::condition::{self, Said, Truth, kind};
use crate::config::Applied;
use crate::health::{Availability, Health, Running, reason};

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
    /// What is wrong with Parcelhook's own topics, when no worker lives: none starts before it is mended.
    pub workers_wait_for: Option<&'a str>,
    /// What is wrong with Parcelhook's own topics, so that events that wait may be lost.
    pub topics_lose: Option<&'a str>,
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
    let losing = facts.topics_lose.map(condition::topics_lose);
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

/// The health that a status tells: what [`desired`] has written there.
pub fn written(status: &DeliveryTargetStatus) -> Option<Health> {
    let is = |type_: &str, truth: Truth| {
        let mut of_type = status.conditions.iter();
        of_type.any(|known| known.type_ == type_ && known.status == truth.as_str())
    };
    let available = if is(kind::AVAILABLE, Truth::True) {
        Availability::True
    } else if is(kind::AVAILABLE, Truth::False) {
        Availability::False
    } else {
        Availability::Unknown
    };
    let reason = status.reason.as_deref().unwrap_or(reason::DELIVERING);
    Some(Health {
        state: status.state?,
        reason: reason.to_owned(),
        available,
        since: millis(status.since.as_ref()?),
        next_attempt: status.next_attempt.as_ref().map(millis),
        parked: status.parked.unwrap_or(0).try_into().unwrap_or(0),
        oldest_parked: status.oldest_parked.as_ref().map(millis),
        last_failure: status.last_failure.as_ref().map(failure),
        at_risk: status.conditions.iter().any(condition::tells_old_events),
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
    if let (Given::Published(_), Some(what)) = (&facts.given, facts.workers_wait_for) {
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

fn failure(written: &LastFailure) -> lane::LastFailure {
    lane::LastFailure {
        at: millis(&written.time),
        reason: written.reason.clone(),
        status: written.status_code,
        message: written.message.clone(),
    }
}

fn millis(time: &Time) -> i64 {
    time.0.as_millisecond()
}

/// Whole seconds, as the API writes times.
fn time(millis: i64) -> Time {
    Time(Timestamp::from_second(millis.div_euclid(1_000)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
