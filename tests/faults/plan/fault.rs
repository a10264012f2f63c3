//! Faults: what can be done to workers, brokers, receivers and configuration.

use super::{kind::Kind, point::Point};
use crate::receiver::Mood;

/// Workers that stay; guests come and go besides.
pub(crate) const WORKERS: u8 = 3;
/// The worker that reaches the brokers by links that can fail.
pub(crate) const LINKED: u8 = 0;
/// Brokers.
pub(crate) const BROKERS: u8 = 3;

/// What is wrong with a worker's link to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// What the worker asks arrives late.
    RequestsHeld,
    /// What the brokers say arrives late.
    AnswersHeld,
    /// Everything takes half a second longer.
    Slow,
    /// Connections end, and none comes about.
    Cut,
}

impl Trouble {
    /// Every one.
    pub(crate) const ALL: [Self; 4] =
        [Self::RequestsHeld, Self::AnswersHeld, Self::Slow, Self::Cut];
}

/// Which of the workers' own topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnTopic {
    Retry,
    Lanes,
    DeadLetter,
}

impl OwnTopic {
    /// Every one.
    pub(crate) const ALL: [Self; 3] = [Self::Retry, Self::Lanes, Self::DeadLetter];
}

/// One fault: what is done, to whom, for how long. Healing is part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Kills a worker and starts another in its place.
    KillWorker { slot: u8 },
    /// Asks a worker to end and starts another in its place.
    TerminateWorker { slot: u8 },
    /// Kills all at once.
    KillAllWorkers,
    /// Stops a worker where it stands.
    FreezeWorker { slot: u8, ms: u64, long: bool },
    /// Workers join and leave, each after so many milliseconds.
    Storm { stays_ms: Vec<u64> },
    /// Replaces a worker by one that kills itself when it reaches this point for the `number`-th
    /// time.
    Failpoint { slot: u8, point: Point, number: u32 },
    /// Lets a worker open no file and no socket more.
    NoFiles { slot: u8, ms: u64 },
    /// Replaces a worker by one whose wall clock jumps soon after its start.
    ClockJumps { slot: u8, by_ms: i64, ms: u64 },
    /// Disturbs the linked worker's link to the brokers.
    Link { trouble: Trouble, ms: u64 },
    /// Ends a broker in order and starts it again.
    RestartBroker { broker: u8 },
    /// Kills a broker and starts it again.
    KillBroker { broker: u8, ms: u64 },
    /// Stops a broker where it stands.
    FreezeBroker { broker: u8, ms: u64 },
    /// Lets a broker write nothing to its disk, and starts it again.
    FillDisk { broker: u8, ms: u64 },
    /// Kills all brokers but one and starts them again.
    KillTwoBrokers { spared: u8, ms: u64 },
    /// Kills all brokers and starts them again.
    KillAllBrokers { ms: u64 },
    /// Kills the broker that coordinates the workers' group.
    MoveCoordinator { ms: u64 },
    /// Lets a topic of the workers' own take nothing.
    RefuseWrites { topic: OwnTopic, ms: u64 },
    /// Adds a partition to a source topic.
    AddPartition { topic: u8 },
    /// Changes a target's manifest.
    Reconfigure { target: u8, max_events: u16 },
    /// Suspends a target.
    Suspend { target: u8, ms: u64 },
    /// Takes a target's manifest away, and puts it back.
    Withdraw { target: u8, ms: u64 },
    /// Lets all receivers hang that can be disturbed, until the others have got what came meanwhile.
    HangAllOthers { ms: u64 },
    /// Lets a receiver behave otherwise.
    Behave { target: u8, mood: Mood, ms: u64 },
}

/// What a fault takes hold of. Two faults at a time never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Worker(u8),
    AllWorkers,
    /// Of three brokers one may fail at a time; more at once is a fault of its own.
    Brokers,
    SourceTopic(u8),
    Target(u8),
    Everything,
}

impl Hold {
    pub(super) fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::AllWorkers, Self::Worker(_)) | (Self::Worker(_), Self::AllWorkers) => true,
            (Self::Everything, _) | (_, Self::Everything) => true,
            (one, other) => one == other,
        }
    }
}

impl Fault {
    /// Its sort.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::KillWorker { .. } => Kind::KillWorker,
            Self::TerminateWorker { .. } => Kind::TerminateWorker,
            Self::KillAllWorkers => Kind::KillAllWorkers,
            Self::FreezeWorker { long: false, .. } => Kind::FreezeBriefly,
            Self::FreezeWorker { long: true, .. } => Kind::FreezeLong,
            Self::Storm { .. } => Kind::Storm,
            Self::Failpoint { .. } => Kind::Failpoint,
            Self::NoFiles { .. } => Kind::NoFiles,
            Self::ClockJumps { .. } => Kind::ClockJumps,
            Self::Link { trouble, .. } => Kind::Link(*trouble),
            Self::RestartBroker { .. } => Kind::RestartBroker,
            Self::KillBroker { .. } => Kind::KillBroker,
            Self::FreezeBroker { .. } => Kind::FreezeBroker,
            Self::FillDisk { .. } => Kind::FillDisk,
            Self::KillTwoBrokers { .. } => Kind::KillTwoBrokers,
            Self::KillAllBrokers { .. } => Kind::KillAllBrokers,
            Self::MoveCoordinator { .. } => Kind::MoveCoordinator,
            Self::RefuseWrites { .. } => Kind::RefuseWrites,
            Self::AddPartition { .. } => Kind::AddPartition,
            Self::Reconfigure { .. } => Kind::Reconfigure,
            Self::Suspend { .. } => Kind::Suspend,
            Self::Withdraw { .. } => Kind::Withdraw,
            Self::HangAllOthers { .. } => Kind::HangAllOthers,
            Self::Behave { mood, .. } => Kind::Behave(*mood),
        }
    }

    /// What it takes hold of; nothing for guests, who touch nobody.
    pub(super) fn hold(&self) -> Option<Hold> {
        match self {
            Self::KillWorker { slot }
            | Self::TerminateWorker { slot }
            | Self::FreezeWorker { slot, .. }
            | Self::NoFiles { slot, .. }
            | Self::ClockJumps { slot, .. }
            | Self::Failpoint { slot, .. } => Some(Hold::Worker(*slot)),
            Self::Link { .. } => Some(Hold::Worker(LINKED)),
            Self::KillAllWorkers => Some(Hold::AllWorkers),
            Self::Storm { .. } => None,
            Self::RestartBroker { .. }
            | Self::KillBroker { .. }
            | Self::FreezeBroker { .. }
            | Self::FillDisk { .. }
            | Self::KillTwoBrokers { .. }
            | Self::KillAllBrokers { .. }
            | Self::MoveCoordinator { .. }
            | Self::RefuseWrites { .. } => Some(Hold::Brokers),
            Self::AddPartition { topic } => Some(Hold::SourceTopic(*topic)),
            Self::Reconfigure { target, .. }
            | Self::Suspend { target, .. }
            | Self::Withdraw { target, .. }
            | Self::Behave { target, .. } => Some(Hold::Target(*target)),
            Self::HangAllOthers { .. } => Some(Hold::Everything),
        }
    }

    /// Roughly how long it lasts, milliseconds, healing included.
    pub(super) fn lasts_ms(&self) -> u64 {
        match self {
            Self::KillWorker { .. } | Self::Reconfigure { .. } => 700,
            Self::TerminateWorker { .. } | Self::AddPartition { .. } => 1_500,
            Self::KillAllWorkers => 2_000,
            Self::Storm { stays_ms } => stays_ms.iter().map(|stay| stay + 1_000).sum(),
            Self::Failpoint { .. } => 8_000,
            Self::RestartBroker { .. } => 12_000,
            Self::KillBroker { ms, .. }
            | Self::FillDisk { ms, .. }
            | Self::MoveCoordinator { ms }
            | Self::RefuseWrites { ms, .. } => ms + 8_000,
            Self::KillTwoBrokers { ms, .. } | Self::KillAllBrokers { ms } => ms + 12_000,
            Self::FreezeBroker { ms, .. } => ms + 1_000,
            Self::ClockJumps { ms, .. } => ms + 3_000,
            Self::FreezeWorker { ms, .. }
            | Self::NoFiles { ms, .. }
            | Self::Link { ms, .. }
            | Self::Suspend { ms, .. }
            | Self::Withdraw { ms, .. }
            | Self::HangAllOthers { ms }
            | Self::Behave { ms, .. } => *ms,
        }
    }

    /// Whom it is done to, and how.
    fn details(&self) -> String {
        match self {
            Self::KillAllWorkers => String::new(),
            Self::KillWorker { slot } | Self::TerminateWorker { slot } => format!("slot {slot}"),
            Self::FreezeWorker { slot, ms, .. } | Self::NoFiles { slot, ms } => {
                format!("slot {slot}, {ms} ms")
            }
            Self::ClockJumps { slot, by_ms, ms } => format!("slot {slot}, by {by_ms} ms, {ms} ms"),
            Self::Storm { stays_ms } => format!("after {stays_ms:?} ms"),
            Self::Failpoint {
                slot,
                point: Point(point),
                number,
            } => format!("slot {slot}, {}@{number}", point.name()),
            Self::RestartBroker { broker } => format!("broker {broker}"),
            Self::KillBroker { broker, ms }
            | Self::FreezeBroker { broker, ms }
            | Self::FillDisk { broker, ms } => format!("broker {broker}, {ms} ms"),
            Self::KillTwoBrokers { spared, ms } => format!("not broker {spared}, {ms} ms"),
            Self::Link { ms, .. }
            | Self::KillAllBrokers { ms }
            | Self::MoveCoordinator { ms }
            | Self::HangAllOthers { ms } => format!("{ms} ms"),
            Self::RefuseWrites { topic, ms } => format!("{topic:?}, {ms} ms"),
            Self::AddPartition { topic } => format!("topic {topic}"),
            Self::Reconfigure { target, max_events } => {
                format!("target {target}, {max_events} events")
            }
            Self::Suspend { target, ms }
            | Self::Withdraw { target, ms }
            | Self::Behave { target, ms, .. } => format!("target {target}, {ms} ms"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.kind().name())?;
        match self.details() {
            details if details.is_empty() => Ok(()),
            details => write!(out, " ({details})"),
        }
    }
}
