//! A fault of a given sort: to whom and for how long is left to chance.

use super::{
    fault::{BROKERS, Fault, OwnTopic, WORKERS},
    kind::Kind,
    point::Points,
};
use crate::{roster, source::TOPICS};
use fastrand::Rng;

/// A fault of that sort; its failpoint, if it has one, is the next of `points`.
pub(super) fn fault(kind: Kind, points: &mut Points, dice: &mut Rng) -> Fault {
    let (slot, broker) = (dice.u8(..WORKERS), dice.u8(..BROKERS));
    let target = dice.u8(roster::DISTURBED);
    // Shorter than a session.
    let brief_ms = dice.u64(500..4_000);
    let ms = brief_ms;
    match kind {
        Kind::KillWorker => Fault::KillWorker { slot },
        Kind::TerminateWorker => Fault::TerminateWorker { slot },
        Kind::KillAllWorkers => Fault::KillAllWorkers,
        Kind::FreezeBriefly => freeze(slot, brief_ms, false),
        // The session lasts 6 s, and a heartbeat may just have been due.
        Kind::FreezeLong => freeze(slot, dice.u64(7_500..10_000), true),
        Kind::Storm => storm(dice),
        Kind::Failpoint => failpoint(slot, points, dice),
        Kind::NoFiles => Fault::NoFiles { slot, ms },
        Kind::ClockJumps => clock_jumps(slot, dice),
        Kind::Link(trouble) => {
            let ms = dice.u64(500..9_000);
            Fault::Link { trouble, ms }
        }
        Kind::RestartBroker => Fault::RestartBroker { broker },
        Kind::KillBroker => Fault::KillBroker { broker, ms },
        Kind::FreezeBroker => {
            let ms = dice.u64(500..6_000);
            Fault::FreezeBroker { broker, ms }
        }
        Kind::FillDisk => Fault::FillDisk { broker, ms },
        Kind::KillTwoBrokers => {
            let spared = broker;
            Fault::KillTwoBrokers { spared, ms }
        }
        Kind::KillAllBrokers => {
            let ms = dice.u64(2_000..=10_000);
            Fault::KillAllBrokers { ms }
        }
        Kind::MoveCoordinator => Fault::MoveCoordinator { ms },
        Kind::RefuseWrites => {
            let topic = OwnTopic::ALL[dice.usize(..OwnTopic::ALL.len())];
            Fault::RefuseWrites { topic, ms }
        }
        Kind::AddPartition => {
            let topic = dice.u8(..TOPICS);
            Fault::AddPartition { topic }
        }
        Kind::Reconfigure => {
            let max_events = dice.u16(1..=100);
            Fault::Reconfigure { target, max_events }
        }
        Kind::Suspend => Fault::Suspend { target, ms },
        Kind::Withdraw => Fault::Withdraw { target, ms },
        // Longer than an attempt may take.
        Kind::HangAllOthers => Fault::HangAllOthers { ms: ms + 4_000 },
        Kind::Behave(mood) => Fault::Behave { target, mood, ms },
    }
}

fn freeze(slot: u8, ms: u64, long: bool) -> Fault {
    Fault::FreezeWorker { slot, ms, long }
}

fn storm(dice: &mut Rng) -> Fault {
    let guests = dice.usize(2..=4);
    let stays_ms = (0..guests).map(|_| dice.u64(200..1_500)).collect();
    Fault::Storm { stays_ms }
}

/// Far enough that nothing which waits or grows old in a run stays what it was.
fn clock_jumps(slot: u8, dice: &mut Rng) -> Fault {
    let far = dice.i64(60_000..3_600_000);
    let by_ms = if dice.bool() { far } else { -far };
    let ms = dice.u64(4_000..8_000);
    Fault::ClockJumps { slot, by_ms, ms }
}

fn failpoint(slot: u8, points: &mut Points, dice: &mut Rng) -> Fault {
    let point = points.next(dice);
    let number = dice.u32(1..=point.often());
    Fault::Failpoint {
        slot,
        point,
        number,
    }
}
