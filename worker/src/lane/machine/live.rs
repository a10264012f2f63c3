//! A lane that is live: at most one transaction, at most one attempt of it in flight.
//!
//! Owns which events form the transaction and how often it failed in its place. It does not know the
//! events, only how many of the lane's oldest form the transaction: that number never changes from the
//! first attempt to the last, so every attempt has the same events, the same id and the same bytes.

use std::time::Instant;

use super::Span;

/// Where a live lane stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No transaction: what waits may be formed into one.
    #[default]
    Idle,
    /// An attempt is in flight.
    Attempting(Span),
    /// The last attempt failed; the transaction waits in its place for the next one.
    Waiting {
        /// The transaction.
        span: Span,
        /// When the next attempt is due; none waits for a change of the target.
        due: Option<Instant>,
    },
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Live {
    phase: Phase,
    failures: u32,
}

impl Live {
    /// Where the lane stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Failed attempts of the present transaction.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether an attempt is in flight.
    pub fn is_attempting(&self) -> bool {
        matches!(self.phase, Phase::Attempting(_))
    }

    /// When a transaction that waits in its place is due.
    pub fn wake(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { due, .. } => due,
            Phase::Idle | Phase::Attempting(_) => None,
        }
    }

    /// How many events the next attempt carries: none says that a new transaction may be formed.
    /// `Err` says that no attempt may start now.
    ///
    /// # Errors
    /// [`NotNow`] while an attempt is in flight or the transaction is not due.
    pub fn ready(&self, now: Instant) -> Result<Option<u32>, NotNow> {
        match self.phase {
            Phase::Idle => Ok(None),
            Phase::Waiting { span, due } if due.is_some_and(|due| due <= now) => {
                Ok(Some(span.events))
            }
            Phase::Attempting(_) | Phase::Waiting { .. } => Err(NotNow),
        }
    }

    /// An attempt starts. Returns its number, from 1.
    pub(super) fn start(&mut self, span: Span) -> u32 {
        debug_assert!(!self.is_attempting(), "one attempt in flight a lane");
        self.phase = Phase::Attempting(span);
        self.failures.saturating_add(1)
    }

    /// The attempt is over, and the transaction is no longer this lane's concern. Returns it.
    pub(super) fn delivered(&mut self) -> Option<Span> {
        let Phase::Attempting(span) = self.phase else {
            return None;
        };
        *self = Self::default();
        Some(span)
    }

    /// The attempt failed; its transaction goes again at `due`.
    pub(super) fn failed(&mut self, due: Instant) {
        self.wait(Some(due));
    }

    /// The attempt failed; its transaction goes again when somebody changes the target or asks for it.
    pub(super) fn failed_for_good(&mut self) {
        self.wait(None);
    }

    fn wait(&mut self, due: Option<Instant>) {
        if let Phase::Attempting(span) = self.phase {
            self.failures = self.failures.saturating_add(1);
            self.phase = Phase::Waiting { span, due };
        }
    }

    /// The attempt came to nothing: the same transaction may go again at once.
    pub(super) fn aborted(&mut self) {
        if self.is_attempting() {
            self.phase = Phase::Idle;
        }
    }

    /// The lane leaves live: a transaction that waits in its place is given up to be parked, one in
    /// flight stays. Returns what was given up, with its failures.
    pub(super) fn leave(&mut self) -> Option<(Span, u32)> {
        let Phase::Waiting { span, .. } = self.phase else {
            return None;
        };
        let failures = self.failures;
        *self = Self::default();
        Some((span, failures))
    }

    /// The target changed, or a person asked: a waiting transaction is due at once. The count of
    /// failures stays. Harmless in every other phase.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Phase::Waiting { span, .. } = self.phase {
            self.phase = Phase::Waiting {
                span,
                due: Some(now),
            };
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

    const SPAN: Span = Span {
        events: 3,
        first: 10,
        last: 12,
    };

    #[test]
    fn one_transaction_is_in_flight_and_the_next_waits_for_it() {
        let now = clock::now();
        let mut lane = Live::default();
        assert_eq!(lane.ready(now), Ok(None));
        assert_eq!(lane.start(SPAN), 1);
        assert_eq!(lane.ready(now), Err(NotNow));
        assert_eq!(lane.delivered(), Some(SPAN));
        assert_eq!(lane.ready(now), Ok(None));
    }

    #[test]
    fn a_transaction_that_waits_in_its_place_goes_again_with_the_same_events() {
        let now = clock::now();
        let mut lane = Live::default();
        lane.start(SPAN);
        let due = now + Duration::from_secs(2);
        lane.failed(due);
        assert_eq!(lane.wake(), Some(due));
        assert_eq!(lane.ready(due - Duration::from_millis(1)), Err(NotNow));
        assert_eq!(lane.ready(due), Ok(Some(3)));
        assert_eq!(lane.start(SPAN), 2);
        assert_eq!(lane.delivered(), Some(SPAN));
        assert_eq!((lane.failures(), lane.start(SPAN)), (0, 1));
    }

    #[test]
    fn a_lane_that_leaves_live_keeps_the_attempt_in_flight_and_gives_up_what_waits() {
        let now = clock::now();
        let mut lane = Live::default();
        lane.start(SPAN);
        assert_eq!(lane.leave(), None);
        assert!(lane.is_attempting());
        lane.failed(now);
        assert_eq!(lane.leave(), Some((SPAN, 1)));
        assert_eq!(lane.ready(now), Ok(None));
    }

    #[test]
    fn hurrying_is_harmless_when_nothing_waits() {
        let now = clock::now();
        let mut lane = Live::default();
        lane.hurry(now);
        assert_eq!(lane.phase(), Phase::Idle);
        lane.start(SPAN);
        lane.hurry(now);
        assert_eq!(lane.phase(), Phase::Attempting(SPAN));
        lane.failed_for_good();
        assert_eq!(
            lane.ready(now + Duration::from_secs(1_000_000)),
            Err(NotNow)
        );
        lane.hurry(now);
        assert_eq!(lane.ready(now), Ok(Some(3)));
    }
}
