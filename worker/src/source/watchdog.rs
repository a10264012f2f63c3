//! Notices a consumer that has stopped fetching although there is something to fetch.
//!
//! Pure. librdkafka has had more than one way to leave a partition paused or unfetched for ever
//! without an error; the cure is a new consumer. Owns how long each partition has been still and how
//! long the watchdog waits; it waits twice as long after each alarm, so that a cluster that is itself
//! the cause is not made worse. Does not make the consumer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a partition may stand still before the first alarm: three times the longest fetch wait
/// and metadata refresh that are usual.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait that doubling leads to.
const LONGEST_PATIENCE: Duration = Duration::from_secs(32 * 60);

/// After this long without an alarm the wait is the first one again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(2 * 60 * 60);

/// One partition as the watchdog sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// Its slot.
    pub(crate) slot: u32,
    /// The next offset to be read.
    pub(crate) position: i64,
    /// The log's end as far as it is known.
    pub(crate) end: Option<i64>,
    /// Whether this worker has paused it.
    pub(crate) paused: bool,
}

/// Watches positions.
#[derive(Debug)]
pub(crate) struct Watchdog {
    patience: Duration,
    last_alarm: Option<Instant>,
    still: BTreeMap<u32, (i64, Instant)>,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            patience: FIRST_PATIENCE,
            last_alarm: None,
            still: BTreeMap::new(),
        }
    }
}

impl Watchdog {
    /// Looks at all running partitions. `reading` says whether the byte budget lets records in.
    /// Returns the partitions that have something to read and have not moved for too long.
    pub(crate) fn look(&mut self, now: Instant, reading: bool, sights: &[Sight]) -> Vec<u32> {
        if !reading {
            self.still.clear();
            return Vec::new();
        }
        let before = std::mem::take(&mut self.still);
        let mut stalled = Vec::new();
        for sight in sights {
            let behind = sight.end.is_some_and(|end| sight.position < end);
            if sight.paused || !behind {
                continue;
            }
            let since = match before.get(&sight.slot) {
                Some((position, since)) if *position == sight.position => *since,
                Some(_) | None => now,
            };
            if now.saturating_duration_since(since) >= self.patience {
                stalled.push(sight.slot);
            }
            self.still.insert(sight.slot, (sight.position, since));
        }
        stalled
    }

    /// What looked stalled has nothing to read after all: its time starts again.
    pub(crate) fn acquit(&mut self, slot: u32) {
        self.still.remove(&slot);
    }

    /// A new consumer is made because of a stall: waits longer next time.
    pub(crate) fn alarmed(&mut self, now: Instant) {
        let forgiven = self
            .last_alarm
            .is_some_and(|last| now.saturating_duration_since(last) > FORGIVEN_AFTER);
        let patience = if forgiven {
            FIRST_PATIENCE
        } else {
            self.patience
        };
        self.patience = (patience * 2).min(LONGEST_PATIENCE);
        self.last_alarm = Some(now);
        self.still.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn sight(position: i64, end: i64, paused: bool) -> [Sight; 1] {
        [Sight {
            slot: 7,
            position,
            end: Some(end),
            paused,
        }]
    }

    #[test]
    fn a_partition_that_stands_still_behind_its_end_is_stalled() {
        let mut watchdog = Watchdog::default();
        let start = clock::now();
        assert!(watchdog.look(start, true, &sight(5, 9, false)).is_empty());
        let before = start + FIRST_PATIENCE - Duration::from_secs(1);
        assert!(watchdog.look(before, true, &sight(5, 9, false)).is_empty());
        let after = start + FIRST_PATIENCE;
        assert_eq!(watchdog.look(after, true, &sight(5, 9, false)), [7]);
    }

    #[test]
    fn moving_being_paused_being_done_and_a_closed_gate_are_no_stall() {
        let cases: [(&str, bool, [Sight; 1]); 4] = [
            ("moved", true, sight(6, 9, false)),
            ("paused", true, sight(5, 9, true)),
            ("caught up", true, sight(9, 9, false)),
            ("gate closed", false, sight(5, 9, false)),
        ];
        for (name, reading, between) in cases {
            let mut watchdog = Watchdog::default();
            let start = clock::now();
            let half = FIRST_PATIENCE / 2;
            watchdog.look(start, true, &sight(5, 9, false));
            watchdog.look(start + half, reading, &between);
            let found = watchdog.look(start + FIRST_PATIENCE, true, &sight(5, 9, false));
            assert!(found.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_wait_doubles_with_each_alarm_up_to_its_bound_and_is_forgiven() {
        let mut watchdog = Watchdog::default();
        let start = clock::now();
        watchdog.alarmed(start);
        assert_eq!(watchdog.patience, FIRST_PATIENCE * 2);
        for _ in 0..20 {
            watchdog.alarmed(start);
        }
        assert_eq!(watchdog.patience, LONGEST_PATIENCE);
        watchdog.alarmed(start + FORGIVEN_AFTER * 2);
        assert_eq!(watchdog.patience, FIRST_PATIENCE * 2);
    }
}
