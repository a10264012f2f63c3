//! Flapping: a webhook that goes up and down is not told about each time.
//!
//! Owns the changes of one target's STATE that were shown lately. The first is shown at once; then a
//! bucket of three, one more each half minute; what comes too soon is shown when there is room, if it
//! still holds. Too many in ten minutes, and the target is shown as flapping until it was quiet for five.
//! Pure; bounded by [`MANY`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parcelhook_crds::status::State;

use super::writes::Bucket;

/// Changes that are shown at once after a quiet time.
const BURST: u32 = 3;

/// Time until one more is shown.
const ONE_MORE: Duration = Duration::from_secs(30);

/// Changes within [`WINDOW`] that are too many.
const MANY: usize = 6;

/// See [`MANY`].
const WINDOW: Duration = Duration::from_secs(600);

/// How long a target must not change to be shown as it is again.
const QUIET: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug)]
pub struct Damper {
    real: State,
    shown: State,
    changes: VecDeque<Instant>,
    /// When the real state changed last.
    changed: Instant,
    flapping: bool,
    bucket: Bucket,
}

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What holds.
    AsItIs,
    /// What was shown before: look again then.
    AsBefore(Instant),
    /// That it flaps: look again then.
    Flapping(Instant),
}

impl Damper {
    /// A target that shows this state.
    pub fn new(shown: State, now: Instant) -> Self {
        Self {
            real: shown,
            shown,
            changes: VecDeque::new(),
            changed: now,
            flapping: false,
            bucket: Bucket::every(ONE_MORE, BURST, now),
        }
    }

    /// What to show of a target that is in this state.
    pub fn look(&mut self, state: State, now: Instant) -> Shown {
        if state != self.real {
            self.real = state;
            self.note(state, now);
        }
        if self.flapping {
            let quiet = self.changed + QUIET;
            if now < quiet {
                return Shown::Flapping(quiet);
            }
            self.flapping = false;
            self.changes.clear();
            self.shown = state;
            return Shown::AsItIs;
        }
        if state == self.shown {
            return Shown::AsItIs;
        }
        match self.bucket.take(now) {
            Ok(()) => {
                self.shown = state;
                Shown::AsItIs
            }
            Err(due) => Shown::AsBefore(due),
        }
    }

    /// What it is shown as when it is not as it is.
    pub fn shown(&self) -> State {
        self.shown
    }

    fn note(&mut self, state: State, now: Instant) {
        // What a person did, or nobody knows, is no flapping.
        match state {
            State::Up | State::Down => {}
            State::Suspended | State::Blocked | State::Unknown => return,
        }
        self.changed = now;
        self.changes.push_back(now);
        while self
            .changes
            .front()
            .is_some_and(|first| now.saturating_duration_since(*first) >= WINDOW)
        {
            self.changes.pop_front();
        }
        if self.changes.len() > MANY {
            self.changes.pop_front();
            self.flapping = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    const UP: State = State::Up;
    const DOWN: State = State::Down;

    #[test]
    fn the_first_changes_are_shown_at_once_and_what_comes_too_soon_a_little_later() {
        let now = clock::now();
        let mut damper = Damper::new(UP, now);
        for state in [DOWN, UP, DOWN] {
            assert_eq!(damper.look(state, now), Shown::AsItIs);
        }
        let due = now + ONE_MORE;
        assert_eq!(damper.look(UP, now), Shown::AsBefore(due));
        assert_eq!(damper.shown(), DOWN);
        assert_eq!(damper.look(UP, due), Shown::AsItIs);
    }

    #[test]
    fn a_change_that_does_not_last_is_not_shown_when_it_comes_too_soon() {
        let now = clock::now();
        let mut damper = Damper::new(UP, now);
        for state in [DOWN, UP, DOWN] {
            let _ = damper.look(state, now);
        }
        assert!(matches!(damper.look(UP, now), Shown::AsBefore(_)));
        assert_eq!(damper.look(DOWN, now), Shown::AsItIs);
    }

    #[test]
    fn too_many_changes_are_flapping_until_it_is_quiet() {
        let mut now = clock::now();
        let mut damper = Damper::new(UP, now);
        let mut last = Shown::AsItIs;
        for turn in 0..=MANY {
            now += Duration::from_secs(60);
            last = damper.look(if turn % 2 == 0 { DOWN } else { UP }, now);
        }
        assert_eq!(last, Shown::Flapping(now + QUIET));
        assert!(matches!(
            damper.look(DOWN, now + QUIET / 2),
            Shown::Flapping(_)
        ));
        assert_eq!(damper.look(DOWN, now + QUIET), Shown::AsItIs);
        assert_eq!(damper.look(UP, now + QUIET), Shown::AsItIs);
    }

    #[test]
    fn what_a_person_does_is_no_flapping() {
        let mut now = clock::now();
        let mut damper = Damper::new(UP, now);
        for _ in 0..20 {
            for state in [State::Suspended, State::Unknown] {
                now += ONE_MORE;
                assert_eq!(damper.look(state, now), Shown::AsItIs);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_what_is_shown_becomes_what_holds_once_it_is_quiet(
            steps in prop::collection::vec((any::<bool>(), 0..90_u64), 0..60),
        ) {
            let mut now = clock::now();
            let mut damper = Damper::new(UP, now);
            let mut state = UP;
            for (up, seconds) in steps {
                now += Duration::from_secs(seconds);
                state = if up { UP } else { DOWN };
                let _ = damper.look(state, now);
            }
            now += QUIET;
            prop_assert_eq!(damper.look(state, now), Shown::AsItIs);
            prop_assert_eq!(damper.shown(), state);
        }
    }
}
