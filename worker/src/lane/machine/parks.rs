//! The runs of one incarnation that are on their way into the retry topic.
//!
//! Owns their order and what has become of each. They are produced in source order, and count as
//! parked from the front: one that is acked behind one that is not must wait. After a failure the
//! failed run and all behind it go again, whatever their own reports say; a late report finds nothing.

use std::collections::VecDeque;

use super::Span;
use super::weak::{Weakness, weakened};

/// Most runs of a lane on their way at once: enough to keep the wire busy, few enough that runs grow
/// to full length under load.
pub(super) const RUNS_IN_FLIGHT: usize = 4;

/// A run on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Park {
    number: u64,
    events: u32,
    last: i64,
    prev: Option<i64>,
    acked: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parks {
    on_their_way: VecDeque<Park>,
    /// Last source offset that was produced.
    last: Option<i64>,
    /// Highest offset of the bucket that one of ours has.
    highest: Option<i64>,
}

impl Parks {
    /// Those of a successor: its predecessors have parked everything up to this offset.
    pub(super) fn behind(parked_through: Option<i64>) -> Self {
        Self {
            last: parked_through,
            ..Self::default()
        }
    }

    /// Events of the queue that are on their way.
    pub(super) fn events(&self) -> u64 {
        self.on_their_way
            .iter()
            .map(|park| u64::from(park.events))
            .sum()
    }

    /// Whether another run may be produced.
    pub(super) fn has_room(&self) -> bool {
        self.on_their_way.len() < RUNS_IN_FLIGHT
    }

    /// Whether no run is on its way, not even one that waits for the row.
    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Offset behind the last run of ours that the bucket has.
    pub(super) fn end(&self) -> i64 {
        self.highest.map_or(0, |highest| highest + 1)
    }

    /// A run is produced. Returns the source offset that it follows; none for the first, and when a
    /// predecessor has parked the run as well: what came before it then is not known.
    pub(super) fn produce(&mut self, number: u64, span: Span) -> Option<i64> {
        let last = self.last.replace(span.last);
        let prev = last.filter(|last| *last < span.first);
        self.on_their_way.push_back(Park {
            number,
            events: span.events,
            last: span.last,
            prev,
            acked: false,
        });
        prev
    }

    /// A run was written. Returns its last source offset when it is one of ours.
    pub(super) fn acked(&mut self, number: u64, offset: i64) -> Option<i64> {
        let mut parks = self.on_their_way.iter_mut();
        let park = parks.find(|park| park.number == number)?;
        park.acked = true;
        self.highest = self.highest.max(Some(offset));
        Some(park.last)
    }

    /// A run failed: it and all behind it are to be produced again. Says whether it is one of ours.
    pub(super) fn failed(&mut self, number: u64) -> bool {
        let Some(index) = self
            .on_their_way
            .iter()
            .position(|park| park.number == number)
        else {
            return false;
        };
        if let Some(park) = self.on_their_way.get(index) {
            self.last = park.prev;
        }
        if weakened(Weakness::RewindsNothing) {
            self.on_their_way.remove(index);
        } else {
            self.on_their_way.truncate(index);
        }
        true
    }

    /// Takes the first run, if it is acked. Returns its events and the last one's offset.
    pub(super) fn settle(&mut self) -> Option<(u32, i64)> {
        let park = self.on_their_way.pop_front_if(|park| park.acked)?;
        Some((park.events, park.last))
    }

    /// Events and last source offset of a run on its way.
    pub(super) fn find(&self, number: u64) -> Option<(u32, i64)> {
        let mut parks = self.on_their_way.iter();
        let park = parks.find(|park| park.number == number)?;
        Some((park.events, park.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: i64, last: i64) -> Span {
        Span {
            events: u32::try_from(last - first + 1).unwrap(),
            first,
            last,
        }
    }

    #[test]
    fn runs_count_as_parked_from_the_front_only() {
        let mut parks = Parks::default();
        assert_eq!(parks.produce(1, run(5, 6)), None);
        assert_eq!(parks.produce(2, run(7, 9)), Some(6));
        assert_eq!(parks.acked(2, 101), Some(9));
        assert_eq!(parks.settle(), None);
        assert_eq!(parks.acked(1, 100), Some(6));
        assert_eq!(parks.settle(), Some((2, 6)));
        assert_eq!(parks.settle(), Some((3, 9)));
        assert_eq!((parks.events(), parks.end()), (0, 102));
    }

    #[test]
    fn a_successor_names_what_its_predecessors_parked_unless_it_parks_that_again() {
        let mut behind = Parks::behind(Some(6));
        assert_eq!(behind.produce(1, run(8, 9)), Some(6));
        assert_eq!(behind.produce(2, run(10, 10)), Some(9));
        assert!(behind.failed(1));
        assert_eq!(behind.produce(3, run(8, 10)), Some(6));

        let mut again = Parks::behind(Some(6));
        assert_eq!(again.produce(1, run(5, 6)), None);
        assert_eq!(again.produce(2, run(8, 8)), Some(6));
        assert!(again.failed(1));
        assert_eq!(again.produce(3, run(5, 6)), None);
        assert_eq!(Parks::behind(None).produce(1, run(5, 6)), None);
    }

    #[test]
    fn after_a_failure_everything_behind_it_goes_again_and_late_reports_are_nothing() {
        let mut parks = Parks::default();
        parks.produce(1, run(5, 6));
        parks.produce(2, run(7, 8));
        parks.produce(3, run(9, 9));
        assert_eq!(parks.acked(3, 103), Some(9));
        assert!(parks.failed(2));
        assert_eq!(parks.events(), 2);
        assert!(parks.acked(3, 103).is_none() && !parks.failed(3));
        assert_eq!(
            parks.produce(4, run(7, 9)),
            Some(6),
            "it follows the same event"
        );
        assert_eq!(
            parks.end(),
            104,
            "what was written is read past all the same"
        );
    }
}
