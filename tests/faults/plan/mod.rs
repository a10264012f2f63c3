//! The plan of a run: an endless sequence of steps that depends on the seed alone.
//!
//! Every sort of fault comes once by itself, in an order that the seed shuffles; then pairs are
//! drawn. Healing is part of a fault, so it always follows. What happens after a step is planned too:
//! most often the run waits until the target that nobody disturbs has caught up, sometimes it goes on
//! at once, and now and then everything must drain.

mod fault;

#[cfg(test)]
mod tests;

use fastrand::Rng;
use parcelhook_worker::failpoint::Failpoint;

pub(crate) use self::fault::{BROKERS, Fault, Kind, Point, WORKERS};
use crate::roster;

/// Every so many steps everything drains.
const DRAIN_EVERY: u64 = 8;
/// Every so many steps, on average, nothing is waited for.
const GO_ON_EVERY: u64 = 4;

/// Points that the worker's code reaches at present.
const REACHED: [Failpoint; 2] = [Failpoint::SuccessBeforeCommit, Failpoint::RevokeCallback];

/// Faults that happen together, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) number: u64,
    /// One or two.
    pub(crate) faults: Vec<Fault>,
    /// How much later the second begins.
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
    /// Calm all receivers, and wait until every target has everything.
    Drain,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    dice: Rng,
    /// Sorts that are still to come by themselves.
    alone: Vec<Kind>,
    steps: u64,
}

impl Plan {
    /// The plan of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let mut alone: Vec<Kind> = Kind::all().collect();
        dice.shuffle(&mut alone);
        Self {
            dice,
            alone,
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

    /// A fault of that sort.
    fn fault(&mut self, kind: Kind) -> Fault {
        let dice = &mut self.dice;
        let (slot, broker) = (dice.u8(..WORKERS), dice.u8(..BROKERS));
        let target = dice.u8(roster::STEADY + 1..roster::all().count() as u8);
        match kind {
            Kind::KillWorker => Fault::KillWorker { slot },
            Kind::TerminateWorker => Fault::TerminateWorker { slot },
            Kind::KillAllWorkers => Fault::KillAllWorkers,
            // The session lasts 6 s, and a heartbeat may just have been due.
            Kind::FreezeBriefly => freeze(slot, dice.u64(300..4_000), false),
            Kind::FreezeLong => freeze(slot, dice.u64(7_500..10_000), true),
            Kind::Storm => {
                let guests = dice.usize(2..=4);
                let stays_ms = (0..guests).map(|_| dice.u64(200..1_500)).collect();
                Fault::Storm { stays_ms }
            }
            Kind::Failpoint => {
                let point = REACHED[dice.usize(..REACHED.len())];
                let number = match point == Failpoint::RevokeCallback {
                    // A worker is asked to end in order to reach it, which happens once.
                    true => 1,
                    false => dice.u32(1..=3),
                };
                Fault::Failpoint {
                    slot,
                    point: Point(point),
                    number,
                }
            }
            Kind::RestartBroker => Fault::RestartBroker { broker },
            Kind::KillBroker => {
                let ms = dice.u64(0..3_000);
                Fault::KillBroker { broker, ms }
            }
            Kind::FreezeBroker => {
                let ms = dice.u64(500..6_000);
                Fault::FreezeBroker { broker, ms }
            }
            Kind::KillAllBrokers => {
                let ms = dice.u64(2_000..=10_000);
                Fault::KillAllBrokers { ms }
            }
            Kind::MoveCoordinator => {
                let ms = dice.u64(0..2_000);
                Fault::MoveCoordinator { ms }
            }
            Kind::Reconfigure => {
                let max_events = dice.u16(1..=100);
                Fault::Reconfigure { target, max_events }
            }
            Kind::Behave(mood) => {
                let ms = dice.u64(500..4_000);
                Fault::Behave { target, mood, ms }
            }
        }
    }

    fn faults(&mut self) -> Vec<Fault> {
        if let Some(kind) = self.alone.pop() {
            return vec![self.fault(kind)];
        }
        let kind = self.kind();
        let first = self.fault(kind);
        loop {
            let kind = self.kind();
            let second = self.fault(kind);
            let holds = first.hold().zip(second.hold());
            if !holds.is_some_and(|(one, other)| one.meets(other)) {
                return vec![first, second];
            }
        }
    }
}

fn freeze(slot: u8, ms: u64, long: bool) -> Fault {
    Fault::FreezeWorker { slot, ms, long }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.steps += 1;
        Some(Step {
            number: self.steps,
            faults: self.faults(),
            apart_ms: self.dice.u64(..1_500),
            then: self.then(),
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "step {}: ", self.number)?;
        for (index, fault) in self.faults.iter().enumerate() {
            match index {
                0 => write!(out, "{fault}")?,
                _ => write!(out, "; {} ms later {fault}", self.apart_ms)?,
            }
        }
        write!(out, "; then {:?}", self.then)
    }
}
