//! One lane's state machine: at most one transaction, at most one attempt of it in flight.
//!
//! Owns where a lane stands and how often its transaction failed. Pure: events and the time go in,
//! what to do comes out as a value. It does not know the events, only how many of the lane's oldest
//! form the transaction: that number never changes from the first attempt to the last, so every
//! attempt has the same events, the same id and the same bytes.

use std::time::Instant;

use crate::recover::backoff::Wait;

/// Where a lane stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No transaction: what waits may be formed into one.
    #[default]
    Idle,
    /// An attempt is in flight.
    Attempting {
        /// Events in the transaction.
        events: u32,
    },
    /// The last attempt failed; the transaction waits for the next one.
    Waiting {
        /// Events in the transaction.
        events: u32,
        /// When the next attempt is due; none waits for a change of the target.
        due: Option<Instant>,
    },
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// The transaction is done: the lane's oldest `events` events were delivered.
    Done {
        /// Events in the transaction.
        events: u32,
    },
    /// The transaction stays; look again then.
    Wait {
        /// When; none waits for a change of the target.
        until: Option<Instant>,
    },
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    phase: Phase,
    failures: u32,
}

impl Machine {
    /// Where the lane stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Failed attempts of the present transaction.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How many events the next attempt carries: none says that a new transaction may be formed.
    /// `Err` says that no attempt may start now.
    ///
    /// # Errors
    /// [`NotNow`] while an attempt is in flight or the transaction is not due.
    pub fn ready(&self, now: Instant) -> Result<Option<u32>, NotNow> {
        match self.phase {
            Phase::Idle => Ok(None),
            Phase::Attempting { .. } => Err(NotNow),
            Phase::Waiting { events, due } if due.is_some_and(|due| due <= now) => Ok(Some(events)),
            Phase::Waiting { .. } => Err(NotNow),
        }
    }

    /// An attempt with `events` events starts. Returns its number, from 1.
    pub fn start(&mut self, events: u32) -> u32 {
        debug_assert!(
            !matches!(self.phase, Phase::Attempting { .. }),
            "one attempt in flight a lane"
        );
        self.phase = Phase::Attempting { events };
        self.failures.saturating_add(1)
    }

    /// The attempt was delivered.
    pub fn delivered(&mut self) -> Next {
        let events = self.events();
        *self = Self::default();
        Next::Done { events }
    }

    /// The attempt failed; `wait` is what the backoff made of it.
    pub fn failed(&mut self, wait: Wait, now: Instant) -> Next {
        self.failures = self.failures.saturating_add(1);
        let until = match wait {
            Wait::For(wait) => Some(now + wait),
            Wait::Never => None,
        };
        self.phase = Phase::Waiting {
            events: self.events(),
            due: until,
        };
        Next::Wait { until }
    }

    /// The target changed, or a person asked: a waiting transaction is due at once. The count of
    /// failures stays. Harmless in every other phase.
    pub fn hurry(&mut self, now: Instant) {
        if let Phase::Waiting { events, .. } = self.phase {
            self.phase = Phase::Waiting {
                events,
                due: Some(now),
            };
        }
    }

    fn events(&self) -> u32 {
        match self.phase {
            Phase::Idle => 0,
            Phase::Attempting { events } | Phase::Waiting { events, .. } => events,
        }
    }
}

/// No attempt may start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    const WAIT: Wait = Wait::For(Duration::from_secs(2));

    #[test]
    fn one_transaction_is_in_flight_and_the_next_waits_for_it() {
        let now = clock::now();
        let mut lane = Machine::default();
        assert_eq!(lane.ready(now), Ok(None));
        assert_eq!(lane.start(3), 1);
        assert_eq!(lane.ready(now), Err(NotNow));
        assert_eq!(lane.delivered(), Next::Done { events: 3 });
        assert_eq!(lane.ready(now), Ok(None));
    }

    #[test]
    fn a_failed_transaction_is_repeated_with_the_same_events_when_due() {
        let now = clock::now();
        let mut lane = Machine::default();
        lane.start(3);
        let due = now + Duration::from_secs(2);
        assert_eq!(lane.failed(WAIT, now), Next::Wait { until: Some(due) });
        assert_eq!(lane.ready(due - Duration::from_millis(1)), Err(NotNow));
        assert_eq!(lane.ready(due), Ok(Some(3)));
        assert_eq!(lane.start(3), 2);
        assert_eq!(lane.delivered(), Next::Done { events: 3 });
        assert_eq!((lane.failures(), lane.start(1)), (0, 1));
    }

    #[test]
    fn a_target_that_is_gone_is_left_alone_until_it_changes() {
        let now = clock::now();
        let mut lane = Machine::default();
        lane.start(1);
        assert_eq!(lane.failed(Wait::Never, now), Next::Wait { until: None });
        assert_eq!(
            lane.ready(now + Duration::from_secs(1_000_000)),
            Err(NotNow)
        );
        lane.hurry(now);
        assert_eq!(lane.ready(now), Ok(Some(1)));
    }

    #[test]
    fn hurrying_is_harmless_when_nothing_waits() {
        let now = clock::now();
        let mut lane = Machine::default();
        lane.hurry(now);
        assert_eq!(lane.phase(), Phase::Idle);
        lane.start(1);
        lane.hurry(now);
        assert_eq!(lane.phase(), Phase::Attempting { events: 1 });
    }
}
