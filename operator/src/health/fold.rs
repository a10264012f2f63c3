//! The fold: STATE, REASON, SINCE and the numbers beside them, from everything that is known of a target.
//!
//! The rule for DOWN is the workers' own. What is not known is said to be unknown, and a state that was
//! written stands until something speaks against it: a restart of the operator changes nothing.

use std::time::Duration;

use parcelhook_crds::health::{self, Failing, THROTTLED};
use parcelhook_crds::lane::LastFailure;
use parcelhook_crds::status::State;

use super::{Freshness, Gathered, Lane};

/// Reasons beside those of failed attempts.
pub mod reason {
    /// It takes deliveries.
    pub const DELIVERING: &str = "Delivering";
    /// Nothing was ever delivered to it, nor tried.
    pub const NO_TRAFFIC: &str = "NoTraffic";
    /// No worker has told anything for a while.
    pub const STATE_STALE: &str = "StateStale";
    /// It is too early to tell.
    pub const PENDING: &str = "Pending";
    /// A rejected event waits for a person.
    pub const BLOCKED: &str = "Blocked";
    /// Events come faster than they are taken.
    pub const OVERFLOW: &str = "Overflow";
    /// It goes up and down.
    pub const FLAPPING: &str = "Flapping";
    /// For a word that is none of ours.
    pub const REQUEST_FAILED: &str = "RequestFailed";
}

/// What is known of a target beside its lanes.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Why nothing is sent, when that is wanted: the spec says so, or the target is held.
    pub suspended: Option<&'a str>,
    /// Failed attempts in a row that make it DOWN.
    pub threshold: u32,
    /// How long its events wait at most.
    pub max_age: Duration,
    /// When it last took a delivery.
    pub success: Option<i64>,
    /// Whether anything was ever tried: what is idle now is not unknown then.
    pub had_traffic: bool,
    /// Whether the workers tell.
    pub freshness: Freshness,
    /// Now, milliseconds since the Unix epoch.
    pub now: i64,
    /// What its status says.
    pub before: Option<&'a Health>,
}

/// Whether the webhook takes deliveries: the status of the condition `Available`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    True,
    /// It does not, or not for all.
    False,
    /// Nobody knows.
    Unknown,
}

/// What a person sees. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// STATE.
    pub state: State,
    /// REASON: one CamelCase word.
    pub reason: String,
    /// The condition `Available`, with the same reason.
    pub available: Availability,
    /// When STATE last changed.
    pub since: i64,
    /// When the webhook is tried again.
    pub next_attempt: Option<i64>,
    /// Events that wait.
    pub parked: u64,
    /// When the oldest of them was parked.
    pub oldest_parked: Option<i64>,
    /// The newest failed attempt.
    pub last_failure: Option<LastFailure>,
    /// Whether the oldest has waited for half of the time that it is kept.
    pub at_risk: bool,
}

/// Folds.
pub fn fold(lanes: &Gathered, about: &About<'_>) -> Health {
    if let (Some(before), Freshness::Reading) = (about.before, about.freshness) {
        return as_written(before, about);
    }
    as_known(lanes, about)
}

/// What was written stands, but for what a person wants meanwhile.
fn as_written(before: &Health, about: &About<'_>) -> Health {
    let (state, reason) = match (about.suspended, before.state) {
        (Some(why), _) => (State::Suspended, why),
        (None, State::Suspended) => (State::Unknown, reason::PENDING),
        (None, State::Up | State::Down | State::Blocked | State::Unknown) => return before.clone(),
    };
    Health {
        state,
        reason: reason.to_owned(),
        available: available(state, reason),
        since: since(before, state).unwrap_or(about.now),
        next_attempt: None,
        ..before.clone()
    }
}

fn as_known(lanes: &Gathered, about: &About<'_>) -> Health {
    let down = lanes.failing.iter().any(|lane| is_down(lane, about));
    let (state, reason) = state(lanes, about, down);
    let since = about.before.and_then(|before| since(before, state));
    let waited = lanes
        .oldest_parked
        .map(|oldest| about.now.saturating_sub(oldest));
    let waited = u64::try_from(waited.unwrap_or(0)).unwrap_or(0);
    Health {
        state,
        available: available(state, &reason),
        reason,
        since: since.unwrap_or_else(|| began(state, lanes, about)),
        next_attempt: lanes.next_attempt.filter(|_| state != State::Suspended),
        parked: lanes.parked,
        oldest_parked: lanes.oldest_parked,
        last_failure: lanes.last_failure.clone(),
        at_risk: lanes.parked > 0 && Duration::from_millis(waited) >= about.max_age / 2,
    }
}

/// When a state began that lasts.
fn since(before: &Health, state: State) -> Option<i64> {
    (before.state == state).then_some(before.since)
}

fn state(lanes: &Gathered, about: &About<'_>, down: bool) -> (State, String) {
    let success = about.success;
    let said = health::reason(lanes.failing.iter().map(failing), success.as_ref(), down);
    if let Some(why) = about.suspended {
        return (State::Suspended, why.to_owned());
    }
    match about.freshness {
        Freshness::Stale => return (State::Unknown, reason::STATE_STALE.to_owned()),
        Freshness::Reading | Freshness::Settling | Freshness::Fresh => {}
    }
    if down {
        return (State::Down, word(said).to_owned());
    }
    if lanes.blocked {
        return (State::Blocked, reason::BLOCKED.to_owned());
    }
    if !said.is_empty() {
        return (State::Up, word(said).to_owned());
    }
    if lanes.overflowing {
        return (State::Up, reason::OVERFLOW.to_owned());
    }
    let before = about.before.map(|before| (before.state, &before.reason));
    match (about.freshness, before) {
        // Who would speak against it is not there: what was written stands.
        (Freshness::Settling, Some((before @ (State::Down | State::Blocked), why))) => {
            (before, why.clone())
        }
        (_, Some((State::Up | State::Down | State::Blocked, _))) => {
            (State::Up, reason::DELIVERING.to_owned())
        }
        (_, Some((State::Suspended | State::Unknown, _)) | None) if about.had_traffic => {
            (State::Up, reason::DELIVERING.to_owned())
        }
        (Freshness::Settling, Some((State::Unknown, why))) => (State::Unknown, why.clone()),
        (Freshness::Settling | Freshness::Reading, _) => {
            (State::Unknown, reason::PENDING.to_owned())
        }
        (Freshness::Fresh | Freshness::Stale, _) => (State::Unknown, reason::NO_TRAFFIC.to_owned()),
    }
}

fn failing(lane: &Lane) -> Failing<'_, i64> {
    Failing {
        last: lane.last,
        reason: &lane.reason,
        throttled: lane.reason == THROTTLED,
        in_a_row: lane.in_a_row,
    }
}

fn is_down(lane: &Lane, about: &About<'_>) -> bool {
    let lasting = about.now.saturating_sub(lane.since);
    let lasting = Duration::from_millis(u64::try_from(lasting).unwrap_or(0));
    failing(lane).is_down(lasting, about.success.as_ref(), about.threshold)
}

/// When a state began that was not written before.
fn began(state: State, lanes: &Gathered, about: &About<'_>) -> i64 {
    let began = match state {
        State::Down => {
            let down = lanes.failing.iter().filter(|lane| is_down(lane, about));
            down.map(|lane| lane.since).min()
        }
        State::Up => about.success,
        State::Suspended | State::Blocked | State::Unknown => None,
    };
    began.map_or(about.now, |began| began.min(about.now))
}

fn available(state: State, why: &str) -> Availability {
    match state {
        State::Up => match why {
            reason::DELIVERING | reason::OVERFLOW | THROTTLED => Availability::True,
            _ => Availability::False,
        },
        State::Down | State::Blocked => Availability::False,
        State::Suspended | State::Unknown => Availability::Unknown,
    }
}

/// A word of a row as a condition's reason. The API server takes only words of that form.
pub fn word(said: &str) -> &str {
    let starts = said.starts_with(|first: char| first.is_ascii_uppercase());
    let is_word = starts && said.len() <= 64 && said.chars().all(|c| c.is_ascii_alphanumeric());
    if is_word {
        said
    } else {
        reason::REQUEST_FAILED
    }
}

#[cfg(test)]
mod tests;
