//! The log lines of lanes and targets that change: one when a lane leaves live, one when it is live
//! again, one when STATE changes. Never one an event; a failed attempt has its own line in
//! [`super::attempt_log`], with the wait before the next.

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::lane::{LastFailure, ParkReason};

use crate::clock;
use crate::report::{Recovered, State};
use crate::source::PartitionId;
use crate::state::health::Transition;
use crate::state::recovery::LiveAgain;

/// A lane that leaves live, or was taken over so.
#[derive(Clone, Copy, Debug)]
pub struct NotLive<'a> {
    /// Topic and partition.
    pub lane: &'a PartitionId,
    /// Why.
    pub reason: ParkReason,
    /// Its last failed attempt.
    pub failure: Option<&'a LastFailure>,
    /// Events that are parked already.
    pub parked: u64,
    /// Events that wait to be parked.
    pub waiting: u64,
    /// When it tries again, milliseconds since the Unix epoch.
    pub next_attempt: Option<i64>,
}

/// A lane left live.
pub fn left(target: &CompiledTarget, lane: NotLive) {
    macro_rules! line {
        ($event:literal, $message:literal) => {
            tracing::info!(
                event = $event,
                namespace = target.namespace,
                target = target.name,
                lane = %lane.lane,
                reason = lane.reason.as_str(),
                failure = lane.failure.map(|failure| failure.reason.as_str()),
                status = lane.failure.and_then(|failure| failure.status),
                parked = lane.parked,
                waiting = lane.waiting,
                next_attempt_ms = until(lane.next_attempt),
                $message
            )
        };
    }
    if lane.parked > 0 {
        line!("lane.inherited", "a lane with parked events was taken over");
    } else {
        line!("lane.parking", "lane parks its events");
    }
}

/// A lane has delivered all that it had parked; when it was the last, so has its target.
pub fn live_again(target: &CompiledTarget, lane: &PartitionId, again: LiveAgain) {
    let (namespace, name) = (&target.namespace, &target.name);
    let LiveAgain {
        lane: recovered,
        left,
        ..
    } = again;
    tracing::info!(
        event = "lane.recovered", %namespace, target = %name, %lane, events = recovered.events,
        duration_ms = millis(recovered), lanes_left = left,
        "lane is live again: {}", in_words(recovered)
    );
    if let Some(recovered) = again.target {
        tracing::info!(
            event = "target.recovered", %namespace, target = %name, events = recovered.events,
            duration_ms = millis(recovered),
            "target has recovered: {}", in_words(recovered)
        );
    }
}

/// A lane found a gap in what it had parked: it goes on only when a person says so.
pub fn stopped(target: &CompiledTarget, lane: &PartitionId, parked: u64, delivered_through: i64) {
    tracing::error!(
        event = "lane.stopped", namespace = target.namespace, target = target.name, %lane, parked,
        delivered_through,
        "lane has stopped: the retry topic lacks the events that come next; see docs/operations.md"
    );
}

/// STATE changed.
pub fn transition(target: &CompiledTarget, transition: &Transition) {
    let Transition { health, after } = transition;
    let (namespace, name) = (&target.namespace, &target.name);
    let lasted_ms = after.map(|after| after.as_millis() as u64);
    let failure = health.last_failure.as_ref();
    match health.state {
        State::Down => tracing::warn!(
            event = "target.down", %namespace, target = %name, reason = health.reason,
            status = failure.and_then(|failure| failure.status),
            detail = failure.and_then(|failure| failure.message.as_deref()),
            next_attempt_ms = until(health.next_attempt), lasted_ms, "target is DOWN"
        ),
        State::Up | State::Suspended => {
            tracing::info!(event = "target.up", %namespace, target = %name, lasted_ms, "target is UP");
        }
    }
}

/// Milliseconds until a moment; 0 when it has come.
fn until(unix_millis: Option<i64>) -> Option<u64> {
    let wait = unix_millis?.saturating_sub(clock::unix_millis());
    Some(u64::try_from(wait).unwrap_or(0))
}

fn millis(recovered: Recovered) -> u64 {
    recovered.took.as_millis() as u64
}

/// For instance `214 events delivered in order in 0.3 s`.
fn in_words(recovered: Recovered) -> String {
    let events = match recovered.events {
        1 => "1 event".to_owned(),
        events => format!("{events} events"),
    };
    let seconds = recovered.took.as_secs_f64();
    format!("{events} delivered in order in {seconds:.1} s")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::targets::sample;
    use crate::telemetry::captured::Captured;

    fn lane() -> PartitionId {
        PartitionId {
            topic: "orders".into(),
            partition: 3,
        }
    }

    fn said(log: impl FnOnce(&CompiledTarget)) -> String {
        let lines = Captured::default();
        let guard = lines.capture();
        log(&sample::target());
        drop(guard);
        lines.text()
    }

    #[test]
    fn a_lane_that_leaves_live_says_why_and_when_it_tries_again() {
        let failure = LastFailure {
            at: 0,
            reason: "HTTPStatus".to_owned(),
            status: Some(503),
            message: Some("a secret of the receiver".to_owned()),
        };
        let lane = lane();
        let left_live = |parked| NotLive {
            lane: &lane,
            reason: ParkReason::Failed,
            failure: Some(&failure),
            parked,
            waiting: 7,
            next_attempt: Some(0),
        };
        let text = said(|target| left(target, left_live(0)));
        for word in [
            "lane parks its events",
            "lane=orders/3",
            "reason=\"Failed\"",
            "failure=\"HTTPStatus\"",
            "status=503",
            "waiting=7",
            "next_attempt_ms=0",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains("secret"), "{text}");
        let text = said(|target| left(target, left_live(9)));
        assert!(
            text.contains("taken over") && text.contains("parked=9"),
            "{text}"
        );
    }

    #[test]
    fn a_recovery_is_told_in_words_and_numbers() {
        let recovered = Recovered {
            at: 0,
            events: 214,
            took: Duration::from_millis(310),
        };
        let again = LiveAgain {
            lane: recovered,
            left: 0,
            target: Some(recovered),
        };
        let text = said(|target| live_again(target, &lane(), again));
        for word in [
            "lane is live again: 214 events delivered in order in 0.3 s",
            "target has recovered: 214 events delivered in order in 0.3 s",
            "lanes_left=0",
            "duration_ms=310",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        let not_last = LiveAgain {
            left: 3,
            target: None,
            ..again
        };
        let text = said(|target| live_again(target, &lane(), not_last));
        assert!(
            text.contains("lanes_left=3") && !text.contains("target has"),
            "{text}"
        );
    }
}
