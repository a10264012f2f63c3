//! The plan of a run: an endless sequence of steps that depends on the seed alone.
//!
//! Every sort of fault comes once by itself, in an order that the seed shuffles, unless the run skips
//! that; then several come at a time. Such a step has tracks side by side, each a sequence of faults of
//! about the same length, and no track touches what another one holds. Healing is part of a fault, so
//! it always follows. What happens after a step is planned too: most often the run waits until the
//! target that nobody disturbs has caught up, sometimes it goes on at once, and now and then everything
//! must drain.

mod draw;
mod fault;
mod kind;
mod point;

#[cfg(test)]
mod tests;

use fastrand::Rng;

use self::fault::Hold;
use self::point::Points;
pub(crate) use self::{
    fault::{BROKERS, Fault, LINKED, OwnTopic, Trouble, WORKERS},
    kind::Kind,
    point::Point,
};

/// Every so many steps everything drains.
const DRAIN_EVERY: u64 = 6;
/// Every so many steps, on average, nothing is waited for.
const GO_ON_EVERY: u64 = 4;
/// How long a track should last, milliseconds.
const TRACK_MS: u64 = 10_000;

/// Faults that happen together, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) number: u64,
    /// One or several; the faults of each follow one another.
    pub(crate) tracks: Vec<Vec<Fault>>,
    /// How much later than the one before a track begins.
    pub(crate) apart_ms: u64,
    pub(crate) then: Then,
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next step.
    GoOn,
    /// Wait until the steady target has everything.
    Settle,
    /// Calm the receivers, and wait until every target has everything.
    Drain,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    dice: Rng,
    /// Sorts that are still to come by themselves.
    alone: Vec<Kind>,
    points: Points,
    steps: u64,
}

impl Plan {
    /// The plan of this seed: with every sort by itself first, or several at a time from the start.
    pub(crate) fn new(seed: u64, alone: bool) -> Self {
        let mut dice = Rng::with_seed(seed);
        let mut kinds: Vec<Kind> = Kind::all().collect();
        dice.shuffle(&mut kinds);
        if !alone {
            kinds.clear();
        }
        Self {
            dice,
            alone: kinds,
            points: Points::default(),
            steps: 0,
        }
    }

    fn then(&mut self) -> Then {
        if self.steps.is_multiple_of(DRAIN_EVERY) {
            Then::Drain
        } else if self.alone.is_empty() && self.dice.u64(..GO_ON_EVERY) == 0 {
            Then::GoOn
        } else {
            Then::Settle
        }
    }

    /// A sort that is drawn by its weight.
    fn kind(&mut self) -> Kind {
        let all: u32 = Kind::all().map(Kind::weight).sum();
        let mut drawn = self.dice.u32(..all);
        let found = Kind::all().find(|kind| {
            let hit = drawn < kind.weight();
            drawn = drawn.saturating_sub(kind.weight());
            hit
        });
        found.unwrap_or(Kind::KillWorker)
    }

    /// A fault that holds nothing of what is held, drawn again until there is one. Guests hold nothing.
    fn apart_from(&mut self, held: &[Hold]) -> Fault {
        loop {
            let kind = self.kind();
            let fault = draw::fault(kind, &mut self.points, &mut self.dice);
            let meets = |hold: Hold| held.iter().any(|held| held.meets(hold));
            if !fault.hold().is_some_and(meets) {
                return fault;
            }
        }
    }

    fn tracks(&mut self) -> Vec<Vec<Fault>> {
        if let Some(kind) = self.alone.pop() {
            return vec![vec![draw::fault(kind, &mut self.points, &mut self.dice)]];
        }
        let count = self.dice.usize(2..=3);
        let mut tracks: Vec<Vec<Fault>> = Vec::with_capacity(count);
        let mut held: Vec<Hold> = Vec::new();
        while tracks.len() < count && !held.contains(&Hold::Everything) {
            let track = self.track(&held);
            held.extend(track.iter().filter_map(Fault::hold));
            tracks.push(track);
        }
        tracks
    }

    /// A track that holds nothing of what is held.
    fn track(&mut self, held: &[Hold]) -> Vec<Fault> {
        let first = self.apart_from(held);
        // What holds everything comes alone.
        if first.hold() == Some(Hold::Everything) {
            return vec![first];
        }
        let mut lasts_ms = first.lasts_ms();
        let mut track = vec![first];
        while lasts_ms < TRACK_MS {
            let fault = self.apart_from(held);
            if fault.hold() != Some(Hold::Everything) {
                lasts_ms += fault.lasts_ms();
                track.push(fault);
            }
        }
        track
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.steps += 1;
        Some(Step {
            number: self.steps,
            tracks: self.tracks(),
            apart_ms: self.dice.u64(..1_500),
            then: self.then(),
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "step {}, then {:?}:", self.number, self.then)?;
        for (index, track) in (0..).zip(&self.tracks) {
            let faults: Vec<String> = track.iter().map(Fault::to_string).collect();
            let later = self.apart_ms * index;
            write!(
                out,
                "\n               from {later} ms: {}",
                faults.join("; ")
            )?;
        }
        Ok(())
    }
}
