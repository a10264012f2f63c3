//! Conditions: one constructor for each thing that can be said.
//!
//! Messages are for people. They hold no counter, time, body or secret, so a condition changes only when
//! what it says does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::health::{Availability, Health, reason as why};
use crate::target::Fault;

/// Types of conditions.
pub mod kind {
    /// The target is valid and allowed.
    pub const ACCEPTED: &str = "Accepted";
    /// Its references resolve.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// The workers run it.
    pub const PROGRAMMED: &str = "Programmed";
    /// The three above.
    pub const READY: &str = "Ready";
    /// The webhook takes deliveries.
    pub const AVAILABLE: &str = "Available";
    /// Waiting events will be given up soon. Only there while it is True.
    pub const DATA_AT_RISK: &str = "DataAtRisk";
}

/// The types that this operator writes; others are somebody else's.
pub const OURS: [&str; 6] = [
    kind::ACCEPTED,
    kind::RESOLVED_REFS,
    kind::PROGRAMMED,
    kind::READY,
    kind::AVAILABLE,
    kind::DATA_AT_RISK,
];

/// Longest message, characters: what the resource allows.
const MESSAGE_MAX_CHARS: usize = 4_096;

const PENDING: &str = "Pending";
const EVENTS_GROW_OLD: &str = "EventsGrowOld";

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its type.
    pub kind: &'static str,
    /// Its status.
    pub truth: Truth,
    /// One CamelCase word.
    pub reason: String,
    /// The same in words.
    pub message: String,
}

impl Said {
    fn new(kind: &'static str, truth: Truth, reason: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self {
            kind,
            truth,
            reason: reason.to_owned(),
            message: message.chars().take(MESSAGE_MAX_CHARS).collect(),
        }
    }

    /// The condition as it is written. It keeps the time of its last transition while its status stays.
    pub fn written(self, before: &[Condition], generation: i64, now: &Time) -> Condition {
        let known = before.iter().find(|known| known.type_ == self.kind);
        let since = known
            .filter(|known| known.status == self.truth.as_str())
            .map_or(now, |known| &known.last_transition_time);
        Condition {
            last_transition_time: since.clone(),
            message: self.message,
            observed_generation: Some(generation),
            reason: self.reason,
            status: self.truth.as_str().to_owned(),
            type_: self.kind.to_owned(),
        }
    }
}

/// The target is valid and allowed.
pub fn accepted() -> Said {
    let message = "The target is valid, and its topics and URL are allowed.";
    Said::new(kind::ACCEPTED, Truth::True, "Accepted", message)
}

/// It is not. `runs`: an earlier version of it is kept, and held.
pub fn not_accepted(fault: &Fault, runs: bool) -> Said {
    let held = if runs {
        ". What ran before is suspended; its events are kept"
    } else {
        ""
    };
    let message = format!("{}{held}.", fault.message);
    Said::new(kind::ACCEPTED, Truth::False, fault.reason, message)
}

/// It does not fit the configuration of the workers.
pub fn too_large() -> Said {
    let message = "The target and its Secrets do not fit into the configuration of the workers; use smaller certificates or fewer targets a worker group.";
    Said::new(kind::ACCEPTED, Truth::False, "TooLarge", message)
}

/// Nobody has judged it yet.
pub fn acceptance_pending() -> Said {
    let message = "The operator has not judged this generation yet.";
    Said::new(kind::ACCEPTED, Truth::Unknown, PENDING, message)
}

/// Every reference resolves.
pub fn refs_resolved() -> Said {
    let message = "Every Secret that the target refers to was read.";
    Said::new(kind::RESOLVED_REFS, Truth::True, "ResolvedRefs", message)
}

/// One does not. `runs`: an earlier version of the target goes on.
pub fn refs_unresolved(fault: &Fault, runs: bool) -> Said {
    let goes_on = if runs {
        ". The last good version goes on"
    } else {
        ""
    };
    let message = format!("{}{goes_on}.", fault.message);
    Said::new(kind::RESOLVED_REFS, Truth::False, fault.reason, message)
}

/// The workers cannot read a topic.
pub fn topic_not_found(topic: &str) -> Said {
    let message =
        format!("The workers find no topic '{topic}'; create it, or let the workers read it.");
    Said::new(kind::RESOLVED_REFS, Truth::False, "TopicNotFound", message)
}

/// Nobody has looked at the references yet.
pub fn refs_pending() -> Said {
    let message = "The references are looked at when the target is accepted.";
    Said::new(kind::RESOLVED_REFS, Truth::Unknown, PENDING, message)
}

/// Every live worker runs it.
pub fn programmed() -> Said {
    let message = "Every worker runs this generation of the target.";
    Said::new(kind::PROGRAMMED, Truth::True, "Programmed", message)
}

/// It is on its way.
pub fn programming() -> Said {
    let message = "This generation of the target is on its way to the workers.";
    Said::new(kind::PROGRAMMED, Truth::Unknown, PENDING, message)
}

/// There is nothing to give to the workers.
pub fn not_programmed_yet() -> Said {
    let message = "This generation of the target is given to no worker before it is accepted and its references resolve.";
    Said::new(kind::PROGRAMMED, Truth::Unknown, PENDING, message)
}

/// There is no worker.
pub fn no_workers() -> Said {
    let message =
        "No worker of the group has reported; check that the workers run and reach Kafka.";
    Said::new(kind::PROGRAMMED, Truth::False, "NoWorkers", message)
}

/// There is no worker, and none can start.
pub fn topics_unusable(what: &str) -> Said {
    let message = format!(
        "No worker of the group has reported, and none starts before Parcelhook's own topics are as they must be: {what}."
    );
    Said::new(kind::PROGRAMMED, Truth::False, "TopicsUnusable", message)
}

/// No worker reports any more.
pub fn workers_unreachable() -> Said {
    let message = "The workers have stopped to report; check that they run and reach Kafka.";
    Said::new(
        kind::PROGRAMMED,
        Truth::Unknown,
        "WorkersUnreachable",
        message,
    )
}

/// A worker cannot run it.
pub fn rejected_by_worker(what: &str) -> Said {
    let message = format!("A worker cannot run this generation of the target: {what}.");
    Said::new(kind::PROGRAMMED, Truth::False, "RejectedByWorker", message)
}

/// The summary of the three: the reason of the first that does not hold.
pub fn ready(accepted: &Said, refs: &Said, programmed: &Said) -> Said {
    let all = [accepted, refs, programmed];
    let first = |truth: Truth| all.into_iter().find(|said| said.truth == truth);
    match first(Truth::False).or_else(|| first(Truth::Unknown)) {
        Some(said) => Said::new(kind::READY, said.truth, &said.reason, said.message.clone()),
        None => {
            let message = "The target is accepted, and every worker runs it.";
            Said::new(kind::READY, Truth::True, "Ready", message)
        }
    }
}

/// Whether the webhook takes deliveries.
pub fn available(health: &Health) -> Said {
    let truth = match health.available {
        Availability::True => Truth::True,
        Availability::False => Truth::False,
        Availability::Unknown => Truth::Unknown,
    };
    let message = match health.reason.as_str() {
        why::DELIVERING => "The webhook takes deliveries.".to_owned(),
        why::OVERFLOW => "Events come faster than the webhook takes them; the rest waits in Kafka.".to_owned(),
        why::NO_TRAFFIC => "No event has come for the webhook yet.".to_owned(),
        why::STATE_STALE => "The workers have stopped to report; what is known may be out of date.".to_owned(),
        why::PENDING => "The state of the webhook is not known yet.".to_owned(),
        why::BLOCKED => "The webhook rejected an event, and the target waits for a person; mend the webhook, or skip the event with the annotation parcelhook.dev/skip-to.".to_owned(),
        why::FLAPPING => "The webhook goes up and down; it is shown as DOWN until it has been quiet for a while.".to_owned(),
        parcelhook_crds::health::REJECTING_EVERYTHING => "The webhook rejects nearly every event, and no more of them are given up; mend the webhook, change the target, or skip an event with the annotation parcelhook.dev/skip-to.".to_owned(),
        parcelhook_crds::health::SUSPENDED => "The target is suspended; its events are kept.".to_owned(),
        parcelhook_crds::health::SOME_PARTITIONS_FAILING => "The webhook takes events of some partitions and fails for others.".to_owned(),
        parcelhook_crds::health::HEAD_FAILING => "The first event of a partition fails again and again while the webhook takes others.".to_owned(),
        reason => match truth {
            Truth::True | Truth::False => failed(reason, health),
            Truth::Unknown => "Nothing is sent to the webhook before the target is ready.".to_owned(),
        },
    };
    Said::new(kind::AVAILABLE, truth, &health.reason, message)
}

/// What the last failure was. Its detail changes with each attempt, and stands in `lastFailure`.
fn failed(reason: &str, health: &Health) -> String {
    let status = health.last_failure.as_ref();
    match status.and_then(|failure| failure.status.filter(|_| failure.reason == reason)) {
        Some(code) => format!("The webhook answered {code}; its events are kept."),
        None => format!("Deliveries to the webhook fail: {reason}; its events are kept."),
    }
}

/// Waiting events will be given up.
pub fn data_at_risk() -> Said {
    let message = "The oldest waiting event has waited for half of the time that it is kept (`retry.maxAge`); mend the webhook, or raise `maxAge`.";
    Said::new(kind::DATA_AT_RISK, Truth::True, EVENTS_GROW_OLD, message)
}

/// Whether a condition is [`data_at_risk`].
pub fn tells_old_events(condition: &Condition) -> bool {
    condition.type_ == kind::DATA_AT_RISK && condition.reason == EVENTS_GROW_OLD
}

/// What waits in Kafka may be lost.
pub fn topics_lose(what: &str) -> Said {
    let message = format!(
        "Events that wait may be lost, because Parcelhook's own topics are not as they must be: {what}."
    );
    Said::new(kind::DATA_AT_RISK, Truth::True, "TopicsUnusable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn ready_is_the_first_of_the_three_that_does_not_hold() {
        let fault = Fault::new("SecretNotFound", "x");
        for (all, truth, reason) in [
            (
                [accepted(), refs_resolved(), programmed()],
                Truth::True,
                "Ready",
            ),
            (
                [accepted(), refs_resolved(), programming()],
                Truth::Unknown,
                "Pending",
            ),
            (
                [accepted(), refs_unresolved(&fault, true), programming()],
                Truth::False,
                "SecretNotFound",
            ),
            (
                [acceptance_pending(), refs_pending(), no_workers()],
                Truth::False,
                "NoWorkers",
            ),
            (
                [too_large(), refs_resolved(), no_workers()],
                Truth::False,
                "TooLarge",
            ),
        ] {
            let [accepted, refs, programmed] = &all;
            let said = ready(accepted, refs, programmed);
            assert_eq!((said.truth, said.reason.as_str()), (truth, reason));
        }
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let first = programming().written(&[], 1, &time(10));
        assert_eq!(first.last_transition_time, time(10));
        let before = [first];
        let same = workers_unreachable().written(&before, 2, &time(20));
        assert_eq!(
            (same.last_transition_time, same.observed_generation),
            (time(10), Some(2))
        );
        let changed = programmed().written(&before, 2, &time(20));
        assert_eq!(changed.last_transition_time, time(20));
    }

    #[test]
    fn every_reason_is_a_word_that_the_api_server_takes() {
        let fault = Fault::new("EgressDenied", "x");
        let all = [
            accepted(),
            not_accepted(&fault, true),
            too_large(),
            acceptance_pending(),
            refs_resolved(),
            refs_unresolved(&fault, false),
            topic_not_found("t"),
            refs_pending(),
            programmed(),
            programming(),
            not_programmed_yet(),
            no_workers(),
            topics_unusable("x"),
            topics_lose("x"),
            workers_unreachable(),
            rejected_by_worker("x"),
            data_at_risk(),
        ];
        for said in all {
            assert!(said.reason.starts_with(|c: char| c.is_ascii_uppercase()));
            assert!(
                said.reason.chars().all(|c| c.is_ascii_alphanumeric()),
                "{}",
                said.reason
            );
            assert!(
                OURS.contains(&said.kind) && said.message.ends_with('.'),
                "{}",
                said.message
            );
        }
    }
}
