//! The events of one lane that are not done, oldest first, as seqs of the partition's ledger.
//!
//! A lane that wants every record of its partition keeps only where it stands, however much waits:
//! the ledger has the records, and a thousand such lanes on one partition share them. A lane with a
//! filter keeps the seqs that it wants.

use std::collections::VecDeque;

use crate::source::ledger::Seq;

/// See the module.
#[derive(Debug)]
pub enum Queue {
    /// Every record from `next` on.
    Everything {
        /// Oldest seq that is not done.
        next: Seq,
    },
    /// These records.
    Listed(VecDeque<Seq>),
}

impl Queue {
    /// Events that are not done; `end` is the seq the ledger gives next.
    pub fn len(&self, end: Seq) -> u64 {
        match self {
            Self::Everything { next } => end.saturating_sub(*next),
            Self::Listed(seqs) => seqs.len() as u64,
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self, end: Seq) -> bool {
        self.len(end) == 0
    }

    /// The oldest; none when nothing is left.
    pub fn front(&self, end: Seq) -> Option<Seq> {
        match self {
            Self::Everything { next } => (*next < end).then_some(*next),
            Self::Listed(seqs) => seqs.front().copied(),
        }
    }

    /// The seqs, oldest first.
    pub fn iter(&self, end: Seq) -> impl Iterator<Item = Seq> + Clone + '_ {
        let (range, listed) = match self {
            Self::Everything { next } => (Some(*next..end), None),
            Self::Listed(seqs) => (None, Some(seqs.iter().copied())),
        };
        range
            .into_iter()
            .flatten()
            .chain(listed.into_iter().flatten())
    }

    /// Takes the oldest.
    pub fn pop(&mut self, end: Seq) -> Option<Seq> {
        match self {
            Self::Everything { next } if *next < end => {
                *next += 1;
                Some(*next - 1)
            }
            Self::Everything { .. } => None,
            Self::Listed(seqs) => seqs.pop_front(),
        }
    }

    /// The record with the next seq is wanted. A lane that wants everything has nothing to note.
    pub fn push(&mut self, seq: Seq) {
        match self {
            Self::Everything { .. } => {}
            Self::Listed(seqs) => seqs.push_back(seq),
        }
    }

    /// From now on the lane wants only what is pushed; what waits stays.
    pub fn narrow(&mut self, end: Seq) {
        if let Self::Everything { next } = self {
            *self = Self::Listed((*next..end).collect());
        }
    }

    /// Forgets all of a list but the oldest `keep`, and returns what was forgotten. A lane that wants
    /// everything is narrowed first.
    pub fn truncate(&mut self, keep: usize) -> VecDeque<Seq> {
        match self {
            Self::Everything { .. } => VecDeque::new(),
            Self::Listed(seqs) => seqs.split_off(keep.min(seqs.len())),
        }
    }

    /// From now on the lane wants everything. Only an empty list can be given up: says whether it was.
    pub fn widen(&mut self, end: Seq) -> bool {
        if self.is_empty(end) {
            *self = Self::Everything { next: end };
        }
        matches!(self, Self::Everything { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_wants_everything_keeps_only_where_it_stands() {
        let mut queue = Queue::Everything { next: 5 };
        assert_eq!((queue.len(5), queue.pop(5)), (0, None));
        assert_eq!(queue.iter(8).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!((queue.pop(8), queue.len(8)), (Some(5), 2));
    }

    #[test]
    fn what_waits_stays_when_a_filter_comes() {
        let mut queue = Queue::Everything { next: 5 };
        queue.narrow(7);
        queue.push(9);
        assert_eq!(queue.iter(100).collect::<Vec<_>>(), [5, 6, 9]);
        assert_eq!(queue.len(100), 3);
        assert!(!queue.widen(10), "what waits would be forgotten");
        while queue.pop(10).is_some() {}
        assert!(queue.widen(10));
        assert_eq!(queue.iter(12).collect::<Vec<_>>(), [10, 11]);
    }
}
