//! When to look at which lane again: all waits of a shard in one structure, so that one timer serves
//! them all. An entry may be stale; whoever takes it out asks the lane.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::LaneKey;

/// See the module.
#[derive(Debug, Default)]
pub struct Due {
    heap: BinaryHeap<Reverse<(Instant, LaneKey)>>,
}

impl Due {
    /// The lane is to be looked at then.
    pub fn push(&mut self, at: Instant, lane: LaneKey) {
        self.heap.push(Reverse((at, lane)));
    }

    /// When the first one is due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one that is due.
    pub fn pop(&mut self, now: Instant) -> Option<LaneKey> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, lane))| lane)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn lanes_come_out_when_due_oldest_first() {
        let now = clock::now();
        let key = |id| LaneKey {
            slot: 0,
            index: 0,
            id,
        };
        let mut due = Due::default();
        due.push(now + Duration::from_secs(2), key(2));
        due.push(now + Duration::from_secs(1), key(1));
        assert_eq!(
            (due.next(), due.pop(now)),
            (Some(now + Duration::from_secs(1)), None)
        );
        let later = now + Duration::from_secs(2);
        assert_eq!(
            [due.pop(later), due.pop(later), due.pop(later)],
            [Some(key(1)), Some(key(2)), None]
        );
    }
}
