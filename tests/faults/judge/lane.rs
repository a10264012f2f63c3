//! One lane, as its receiver saw it: how far it has come, and which attempts brought what.

use std::collections::VecDeque;

use super::{
    causes::{Fate, Repetition, Taken},
    front::Front,
    seen::{Arrived, RequestNumber},
};

/// Processed attempts of a lane that are remembered in order to explain repetitions: far more than a
/// worker leaves uncommitted.
const REMEMBERED_ATTEMPTS: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LaneRecord {
    pub(super) processed: Front,
    pub(super) accepted: Front,
    pub(super) attempts: VecDeque<Processed>,
}

/// An attempt whose events were processed.
#[derive(Debug)]
pub(super) struct Processed {
    request: RequestNumber,
    first: i64,
    last: i64,
    transaction: String,
    attempt: u32,
    pub(super) taken: Taken,
}

impl LaneRecord {
    /// How an event that was processed before came then, and how it comes now. `committable` is how
    /// far the partition could be committed when the worker took over.
    pub(super) fn again(
        &self,
        at_ms: u64,
        arrived: &Arrived,
        offset: i64,
        committable: i64,
    ) -> (Taken, Repetition) {
        let mut latest_first = self.attempts.iter().rev();
        let earlier = latest_first.find(|one| (one.first..=one.last).contains(&offset));
        // What is not remembered lies so far back that nothing explains it.
        let unknown = Taken {
            worker: arrived.worker,
            at_ms,
            fate: Fate::Accepted { at_ms },
        };
        let next_attempt = earlier.is_some_and(|earlier| {
            earlier.taken.worker == arrived.worker
                && earlier.transaction == arrived.transaction
                && earlier.attempt < arrived.attempt
        });
        let again = Repetition {
            worker: arrived.worker,
            at_ms,
            next_attempt,
            held_back: offset >= committable,
            untold: false,
        };
        (earlier.map_or(unknown, |earlier| earlier.taken), again)
    }

    /// An attempt of the lane was processed.
    pub(super) fn remember(&mut self, at_ms: u64, arrived: &Arrived) {
        let (Some(first), Some(last)) = (arrived.offsets.first(), arrived.offsets.last()) else {
            return;
        };
        if self.attempts.len() == REMEMBERED_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Processed {
            request: arrived.request,
            first: *first,
            last: *last,
            transaction: arrived.transaction.clone(),
            attempt: arrived.attempt,
            taken: Taken {
                worker: arrived.worker,
                at_ms,
                fate: Fate::Open,
            },
        });
    }

    /// An attempt came to its end.
    pub(super) fn ended(&mut self, request: RequestNumber, fate: Fate) {
        let mut latest_first = self.attempts.iter_mut().rev();
        if let Some(one) = latest_first.find(|one| one.request == request) {
            one.taken.fate = fate;
        }
    }
}
