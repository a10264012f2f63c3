//! Attempts, as they arrive: their shape, their order (I1, I6), and what they bring again (I5).
//!
//! Owns nothing. What a lane that lets events expire has passed becomes a doubt in [`super::letters`].

use super::{
    Arrived, Cause, Invariant, Judge, Lane, MOST_EVENTS, commits::Sender, front::Step,
    letters::Passed, next_wanted,
};
use crate::roster;

impl Judge {
    pub(super) fn arrived(&mut self, at_ms: u64, arrived: &Arrived) {
        self.counts.requests += 1;
        if arrived.lane.target == roster::STEADY {
            let quiet = self.disturbances.is_quiet(at_ms);
            self.waits.add(arrived.waited_ms, quiet, self.others_hang);
        }
        self.shape(at_ms, arrived);
        self.in_order(at_ms, arrived);
        if arrived.processed {
            self.processed(at_ms, arrived);
        }
    }

    fn shape(&mut self, at_ms: u64, arrived: &Arrived) {
        let Arrived { request, lane, .. } = arrived;
        let (target, place) = (lane.target, lane.place);
        self.verdict.checked(Invariant::Shape, 1);
        self.verdict
            .checked(Invariant::NoInvention, arrived.offsets.len() as u64);
        let count = arrived.offsets.len();
        if count == 0 || count > MOST_EVENTS {
            let what = format!("request {request} to target {target} has {count} events");
            self.verdict.broken(Invariant::Shape, at_ms, what);
        }
        let wanted = |offset: &&i64| next_wanted(self.source, *lane)(**offset) == **offset;
        if let Some(offset) = arrived.offsets.iter().find(|offset| !wanted(offset)) {
            let what = format!("target {target} got {place}/{offset}, which it does not want");
            self.verdict.broken(Invariant::NoInvention, at_ms, what);
        }
        let rows_are_late = self.disturbances.rows_may_be_late(at_ms);
        if let Some(what) = self.exchanges.begin(at_ms, arrived, rows_are_late) {
            self.verdict.broken(Invariant::Shape, at_ms, what);
        }
    }

    /// No attempt begins beyond the first event that was not accepted, or leaves one out.
    fn in_order(&mut self, at_ms: u64, arrived: &Arrived) {
        let Arrived { request, lane, .. } = arrived;
        let (target, place) = (lane.target, lane.place);
        let next_wanted = next_wanted(self.source, *lane);
        self.verdict
            .checked(Invariant::Order, arrived.offsets.len() as u64);
        let Some(first) = arrived.offsets.first() else {
            return;
        };
        let missing = self.missing(*lane, *first, usize::MAX);
        if let Some(awaited) = missing.first() {
            let what = format!(
                "request {request} to target {target} begins with {place}/{first}, before \
                 {awaited} was accepted"
            );
            self.passed(Passed {
                seen_ms: at_ms,
                by_ms: at_ms,
                lane: *lane,
                offsets: missing,
                invariant: Invariant::Order,
                what,
            });
        }
        let hole = arrived
            .offsets
            .windows(2)
            .find(|pair| next_wanted(pair[0] + 1) != pair[1]);
        if let Some(pair) = hole {
            let what = format!(
                "request {request} to target {target} at {place} has offset {} after {}",
                pair[1], pair[0]
            );
            self.verdict.broken(Invariant::Replays, at_ms, what);
        }
    }

    fn processed(&mut self, at_ms: u64, arrived: &Arrived) {
        let next_wanted = next_wanted(self.source, arrived.lane);
        let Sender {
            committable,
            committed,
            ..
        } = self.took_over(arrived);
        let record = self.lanes.entry(arrived.lane).or_default();
        let (mut again, mut late, mut unexplained) = (0, None, None);
        for offset in &arrived.offsets {
            match record.processed.take(*offset, next_wanted) {
                // Other disorder is told where attempts are compared with what was accepted.
                Step::First | Step::Ahead { .. } => continue,
                Step::Late => {
                    late.get_or_insert(*offset);
                    continue;
                }
                Step::Again => again += 1,
            }
            let (earlier, mut repetition) = record.again(at_ms, arrived, *offset, committable);
            let lane = arrived.lane;
            let epoch = self.epochs.get(&lane.place).map(String::as_str);
            repetition.untold =
                committed <= *offset || self.coverage.would_repeat(lane, epoch, *offset);
            let cause = self.disturbances.explain(&earlier, &repetition);
            if cause == Cause::Unexplained {
                unexplained.get_or_insert(*offset);
            }
        }
        let count = arrived.offsets.len() as u64;
        self.counts.deliveries += count - again;
        self.counts.repeated += again;
        self.verdict.checked(Invariant::Duplicates, again);
        if again > 0 {
            self.verdict.checked(Invariant::Replays, 1);
            self.counts.replays += 1;
            self.counts.straddling += u64::from(again < count);
            let overtaken = record.attempts.back().is_some_and(|last| {
                last.taken.worker != arrived.worker
                    && self
                        .disturbances
                        .was_frozen(arrived.worker, last.taken.at_ms, at_ms)
            });
            self.counts.zombies += u64::from(overtaken);
        }
        record.remember(at_ms, arrived);
        if let Some(offset) = late {
            let Arrived { request, lane, .. } = arrived;
            let (target, place) = (lane.target, lane.place);
            let what = format!(
                "request {request} brought {place}/{offset} to target {target} for the first time, \
                 after later events"
            );
            self.verdict.broken(Invariant::Order, at_ms, what);
        }
        if let Some(offset) = unexplained {
            let Arrived { request, lane, .. } = arrived;
            let (target, place) = (lane.target, lane.place);
            let what = format!(
                "request {request} brought {place}/{offset} to target {target} again for no reason"
            );
            self.verdict.broken(Invariant::Duplicates, at_ms, what);
        }
    }

    /// The worker that sends this.
    fn took_over(&mut self, arrived: &Arrived) -> Sender {
        let place = arrived.lane.place;
        match self.senders.get(&place) {
            Some(sender) if sender.worker == arrived.worker => *sender,
            Some(_) | None => {
                let missing = roster::all().filter_map(|(target, named)| {
                    let lane = Lane { target, place };
                    let first = self.missing(lane, i64::MAX, 1).first().copied()?;
                    // What this one awaits is parked nearly always, and holds nothing back then.
                    Some(match named.expires {
                        true => self.coverage.next_unparked(lane, first),
                        false => first,
                    })
                });
                let sender = Sender {
                    worker: arrived.worker,
                    committable: missing.min().unwrap_or(0),
                    committed: self.committed.get(&place).copied().unwrap_or(0),
                };
                self.senders.insert(place, sender);
                sender
            }
        }
    }
}
