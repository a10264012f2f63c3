//! What a demo receiver can tell about the order of its events, from their ids alone.
//!
//! Owns, per lane, the offsets that came: one number, and the holes below it. Keeps the difference
//! between an event that comes *again* (allowed) and one that comes *late* (order is broken).
//! Pure.

use std::collections::{BTreeMap, HashMap};

/// Lanes that are watched; events of further lanes count as unchecked. The demo itself has 16.
const MAX_LANES: usize = 1024;

/// Holes remembered in a lane. Of more, the oldest is forgotten, and would it fill after all, its
/// events count as repeated.
const MAX_HOLES: usize = 256;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Events whose id could be read.
    pub(super) received: u64,
    /// Of these, events that had come before.
    pub(super) repeated: u64,
    /// Of these, events that came for the first time after a later one of their partition.
    pub(super) late: u64,
    /// Offsets that were passed over: filtered out, or missing.
    pub(super) skipped: u64,
    /// Events or requests without an id that could be read (format `Raw`).
    pub(super) unchecked: u64,
}

impl Tally {
    /// The counts of several receivers as one.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            repeated: self.repeated + other.repeated,
            late: self.late + other.late,
            skipped: self.skipped + other.skipped,
            unchecked: self.unchecked + other.unchecked,
        }
    }
}

/// Watches the order of all lanes of one receiver.
#[derive(Debug, Default)]
pub(super) struct OrderWatch {
    lanes: HashMap<String, Lane>,
    tally: Tally,
}

impl OrderWatch {
    /// The counts so far.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// A request without readable ids.
    pub(super) fn unreadable(&mut self) {
        self.tally.unchecked += 1;
    }

    /// An event came. Its id is `topic/partition/offset`; `target` keeps apart two targets that
    /// deliver to one receiver.
    pub(super) fn event(&mut self, target: &str, id: &str) {
        let Some((partition, offset)) = id
            .rsplit_once('/')
            .and_then(|(partition, offset)| Some((partition, offset.parse::<i64>().ok()?)))
        else {
            return self.unreadable();
        };
        let name = format!("{target} {partition}");
        if !self.lanes.contains_key(&name) && self.lanes.len() >= MAX_LANES {
            return self.unreadable();
        }
        self.tally.received += 1;
        let lane = self
            .lanes
            .entry(name)
            .or_insert_with(|| Lane::beginning(offset));
        match lane.take(offset) {
            Arrival::Next { skipped } => self.tally.skipped += skipped,
            Arrival::Late { was_skipped } => {
                self.tally.late += 1;
                self.tally.skipped -= u64::from(was_skipped);
            }
            Arrival::Repeated => self.tally.repeated += 1,
        }
    }
}

enum Arrival {
    Next { skipped: u64 },
    Late { was_skipped: bool },
    Repeated,
}

/// Offsets of one lane that came: all below `next` but the holes.
#[derive(Debug)]
struct Lane {
    /// Where the lane began. What is before it was never expected, so it is no skip.
    first: i64,
    next: i64,
    /// Start to end, the end not included.
    holes: BTreeMap<i64, i64>,
}

impl Lane {
    fn beginning(offset: i64) -> Self {
        let before = (offset > 0).then_some((0, offset));
        Self {
            first: offset,
            next: offset,
            holes: before.into_iter().collect(),
        }
    }

    fn take(&mut self, offset: i64) -> Arrival {
        if offset >= self.next {
            let skipped = offset.abs_diff(self.next);
            if skipped > 0 {
                self.remember(self.next, offset);
            }
            self.next = offset.saturating_add(1);
            return Arrival::Next { skipped };
        }
        let hole = self
            .holes
            .range(..=offset)
            .next_back()
            .map(|(start, end)| (*start, *end))
            .filter(|(_, end)| offset < *end);
        let Some((start, end)) = hole else {
            return Arrival::Repeated;
        };
        self.holes.remove(&start);
        if start < offset {
            self.remember(start, offset);
        }
        if offset + 1 < end {
            self.remember(offset + 1, end);
        }
        Arrival::Late {
            was_skipped: offset >= self.first,
        }
    }

    fn remember(&mut self, start: i64, end: i64) {
        self.holes.insert(start, end);
        if self.holes.len() > MAX_HOLES {
            self.holes.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn watch(offsets: &[i64]) -> Tally {
        let mut watch = OrderWatch::default();
        for offset in offsets {
            watch.event("default/steady", &format!("orders/0/{offset}"));
        }
        watch.tally()
    }

    #[test]
    fn events_in_order_are_in_order() {
        let tally = watch(&[5, 6, 7, 8]);
        assert_eq!((tally.received, tally.repeated, tally.late), (4, 0, 0));
        assert_eq!(tally.skipped, 0);
    }

    #[test]
    fn an_event_that_comes_again_is_repeated_and_not_late() {
        let tally = watch(&[0, 1, 2, 1, 2, 3]);
        assert_eq!((tally.repeated, tally.late, tally.skipped), (2, 0, 0));
    }

    #[test]
    fn an_event_that_comes_after_a_later_one_is_late() {
        let tally = watch(&[0, 1, 3, 2, 4]);
        assert_eq!((tally.repeated, tally.late, tally.skipped), (0, 1, 0));
        let tally = watch(&[7, 6, 6]);
        assert_eq!((tally.repeated, tally.late, tally.skipped), (1, 1, 0));
    }

    #[test]
    fn passed_offsets_are_counted_as_skipped() {
        assert_eq!(watch(&[0, 1, 5]).skipped, 3);
    }

    #[test]
    fn lanes_and_targets_do_not_mix() {
        let mut watch = OrderWatch::default();
        for (target, id) in [
            ("default/a", "orders/0/9"),
            ("default/a", "orders/1/3"),
            ("default/b", "orders/0/9"),
            ("default/a", "payments/0/1"),
        ] {
            watch.event(target, id);
        }
        assert_eq!(
            watch.tally(),
            Tally {
                received: 4,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn what_is_no_event_id_is_unchecked() {
        let mut watch = OrderWatch::default();
        for id in ["", "42", "orders/0/", "orders/0/x"] {
            watch.event("default/a", id);
        }
        watch.unreadable();
        assert_eq!(watch.tally().unchecked, 5);
        assert_eq!(watch.tally().received, 0);
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_full_history(offsets in prop::collection::vec(0_i64..40, 1..200)) {
            let tally = watch(&offsets);
            let mut seen = HashSet::new();
            let mut highest = None;
            let (mut repeated, mut late) = (0, 0);
            for offset in &offsets {
                if !seen.insert(*offset) {
                    repeated += 1;
                } else if highest.is_some_and(|highest| *offset < highest) {
                    late += 1;
                }
                highest = highest.max(Some(*offset));
            }
            let missing = (offsets[0]..highest.unwrap())
                .filter(|offset| !seen.contains(offset))
                .count() as u64;
            prop_assert_eq!(
                tally,
                Tally { received: offsets.len() as u64, repeated, late, skipped: missing, unchecked: 0 }
            );
        }
    }
}
