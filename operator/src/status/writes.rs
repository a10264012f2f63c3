//! Which statuses are written next, and how fast.
//!
//! Owns the queue of targets whose status should be written, in classes, and the token bucket that
//! protects the API server. When thousands go DOWN at once, who waits for an answer to a change of a spec is
//! served first, then what became worse, then other flips, then refreshed numbers. A target waits once; what
//! is written is what holds when its turn comes, so one that has recovered meanwhile costs nothing. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parcelhook_crds::status::{DeliveryTargetStatus, State};
use uuid::Uuid;

use super::condition::kind;

/// Writes each second, over time.
pub const RATE: u32 = 20;

/// Writes at once after a quiet time.
pub const BURST: u32 = 100;

/// How urgent a write is. The order is that of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody changed the target and waits to hear what became of it.
    Answer,
    /// The webhook takes deliveries no more.
    Worse,
    /// Another state or reason changed.
    Flip,
    /// Only numbers are newer.
    Numbers,
}

impl Urgency {
    /// Every class.
    const ALL: [Self; 4] = [Self::Answer, Self::Worse, Self::Flip, Self::Numbers];

    /// How urgent it is to write a state or a condition that changed.
    pub fn of_flip(there: &DeliveryTargetStatus, wanted: &DeliveryTargetStatus) -> Self {
        let is_bad = |status: &DeliveryTargetStatus| {
            matches!(status.state, Some(State::Down | State::Blocked))
        };
        if there.observed_generation != wanted.observed_generation
            || answer(there) != answer(wanted)
        {
            Self::Answer
        } else if is_bad(wanted) && !is_bad(there) {
            Self::Worse
        } else {
            Self::Flip
        }
    }
}

/// What a person waits for who has changed a target. It is the sum of what the target is asked for, and no
/// outage of a webhook changes it.
fn answer(status: &DeliveryTargetStatus) -> Option<(&str, &str)> {
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == kind::READY)?;
    Some((&ready.status, &ready.reason))
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Write the status of this target.
    Write(Uuid),
    /// Nothing before this moment.
    Wait(Instant),
    /// Nothing waits.
    Idle,
}

/// See the module.
#[derive(Debug)]
pub struct Writes {
    /// By urgency.
    lines: [VecDeque<Uuid>; Urgency::ALL.len()],
    urgency: HashMap<Uuid, Urgency>,
    bucket: Bucket,
}

impl Writes {
    /// Nothing waits, and the bucket is full.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self {
            lines: Default::default(),
            urgency: HashMap::new(),
            bucket: Bucket::new(rate, burst, now),
        }
    }

    /// The status of a target should be written.
    pub fn add(&mut self, target: Uuid, urgency: Urgency) {
        let known = self.urgency.get(&target).copied();
        if known.is_some_and(|known| known <= urgency) {
            return;
        }
        // A target that becomes urgent stays in the other line, too, where it is passed over.
        self.urgency.insert(target, urgency);
        self.lines[urgency as usize].push_back(target);
    }

    /// What to write next. It costs a token.
    pub fn next(&mut self, now: Instant) -> Next {
        let Some((line, target)) = self.first() else {
            return Next::Idle;
        };
        if let Err(due) = self.bucket.take(now) {
            return Next::Wait(due);
        }
        self.lines[line as usize].pop_front();
        self.urgency.remove(&target);
        Next::Write(target)
    }

    /// What was to be written had changed nothing: its token comes back.
    pub fn refund(&mut self) {
        self.bucket.refund();
    }

    /// Targets that wait.
    pub fn waiting(&self) -> usize {
        self.urgency.len()
    }

    /// The first in line, behind those that were served in another line meanwhile.
    fn first(&mut self) -> Option<(Urgency, Uuid)> {
        for (line, urgency) in self.lines.iter_mut().zip(Urgency::ALL) {
            while let Some(first) = line.front() {
                if self.urgency.get(first) == Some(&urgency) {
                    return Some((urgency, *first));
                }
                line.pop_front();
            }
        }
        None
    }
}

/// A token bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    interval: Duration,
    burst: u32,
    tokens: u32,
    /// When the last token that is counted came.
    at: Instant,
}

impl Bucket {
    /// A full bucket. A rate of none is one a second.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self::every(Duration::from_secs(1) / rate.max(1), burst, now)
    }

    /// A full bucket that gets a token every `interval`.
    pub fn every(interval: Duration, burst: u32, now: Instant) -> Self {
        let burst = burst.max(1);
        Self {
            interval,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there is none: when the next comes.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.fill(now);
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(self.at + self.interval),
        }
    }

    fn refund(&mut self) {
        self.tokens = (self.tokens + 1).min(self.burst);
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let came = passed.as_nanos() / self.interval.as_nanos().max(1);
        let came = u32::try_from(came).unwrap_or(u32::MAX);
        if self.tokens.saturating_add(came) >= self.burst {
            self.tokens = self.burst;
            self.at = self.at.max(now);
        } else {
            self.tokens += came;
            self.at += self.interval * came;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    fn uid(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut now = clock::now();
        let mut writes = Writes::new(RATE, BURST, now);
        (0..1_000).for_each(|number| writes.add(uid(number), Urgency::Flip));
        let mut at_once = 0;
        let due = loop {
            match writes.next(now) {
                Next::Write(_) => at_once += 1,
                Next::Wait(due) => break due,
                Next::Idle => panic!("not yet"),
            }
        };
        assert_eq!((at_once, due), (BURST, now + Duration::from_millis(50)));
        let mut second = 0;
        for _ in 0..100 {
            now += Duration::from_millis(10);
            second += u32::from(matches!(writes.next(now), Next::Write(_)));
        }
        assert_eq!(second, RATE);
    }

    #[test]
    fn flips_go_before_numbers_and_a_target_that_flips_moves_up() {
        let now = clock::now();
        let mut writes = Writes::new(RATE, BURST, now);
        writes.add(uid(1), Urgency::Numbers);
        writes.add(uid(2), Urgency::Numbers);
        writes.add(uid(3), Urgency::Flip);
        writes.add(uid(2), Urgency::Flip);
        writes.add(uid(3), Urgency::Numbers);
        assert_eq!(writes.waiting(), 3);
        let order: Vec<Next> = (0..4).map(|_| writes.next(now)).collect();
        let write = |number| Next::Write(uid(number));
        assert_eq!(order, [write(3), write(2), write(1), Next::Idle]);
    }

    #[test]
    fn an_answer_goes_before_an_outage_and_an_outage_before_its_end() {
        let condition = |kind: &str, status: &str| {
            let json = serde_json::json!({
                "type": kind, "status": status, "reason": "X", "message": "",
                "lastTransitionTime": "2026-01-31T12:00:00Z",
            });
            serde_json::from_value(json).unwrap()
        };
        let status = |state, generation, ready| DeliveryTargetStatus {
            state: Some(state),
            observed_generation: Some(generation),
            conditions: vec![condition("Available", "True"), condition("Ready", ready)],
            ..DeliveryTargetStatus::default()
        };
        let (up, down) = (status(State::Up, 1, "True"), status(State::Down, 1, "True"));
        for (there, wanted, urgency) in [
            (&up, &down, Urgency::Worse),
            (&down, &up, Urgency::Flip),
            (&down, &status(State::Blocked, 1, "True"), Urgency::Flip),
            (&up, &status(State::Down, 2, "True"), Urgency::Answer),
            (&up, &status(State::Up, 1, "False"), Urgency::Answer),
        ] {
            assert_eq!(Urgency::of_flip(there, wanted), urgency, "{wanted:?}");
        }
        let now = clock::now();
        let mut writes = Writes::new(RATE, BURST, now);
        writes.add(uid(1), Urgency::Flip);
        writes.add(uid(2), Urgency::Worse);
        writes.add(uid(3), Urgency::Answer);
        let order: Vec<Next> = (0..3).map(|_| writes.next(now)).collect();
        assert_eq!(order, [3, 2, 1].map(|number| Next::Write(uid(number))));
    }

    #[test]
    fn a_write_that_was_none_costs_nothing() {
        let now = clock::now();
        let mut writes = Writes::new(1, 1, now);
        writes.add(uid(1), Urgency::Flip);
        writes.add(uid(2), Urgency::Flip);
        assert_eq!(writes.next(now), Next::Write(uid(1)));
        writes.refund();
        assert_eq!(writes.next(now), Next::Write(uid(2)));
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_the_burst_and_the_rate(
            steps in prop::collection::vec((0..200_u64, 0..50_u128), 1..400),
        ) {
            let start = clock::now();
            let mut now = start;
            let mut writes = Writes::new(RATE, 10, start);
            let mut written: Vec<Instant> = Vec::new();
            for (millis, target) in steps {
                now += Duration::from_millis(millis);
                writes.add(uid(target), Urgency::Flip);
                while let Next::Write(_) = writes.next(now) {
                    written.push(now);
                }
            }
            for (index, from) in written.iter().enumerate() {
                let second = written[index..].iter().take_while(|at| **at - *from < Duration::from_secs(1));
                prop_assert!(second.count() <= 10 + RATE as usize);
            }
        }
    }
}
