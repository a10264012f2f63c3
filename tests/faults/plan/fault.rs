//! Faults: what can be done to workers, brokers, receivers and configuration.

use parcelhook_worker::failpoint::Failpoint;

use crate::receiver::Mood;

/// Workers that stay; guests come and go besides.
pub(crate) const WORKERS: u8 = 3;
/// Brokers.
pub(crate) const BROKERS: u8 = 3;

/// The sorts of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillWorker,
    TerminateWorker,
    KillAllWorkers,
    FreezeBriefly,
    FreezeLong,
    Storm,
    Failpoint,
    RestartBroker,
    KillBroker,
    FreezeBroker,
    KillAllBrokers,
    MoveCoordinator,
    Reconfigure,
    Behave(Mood),
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
    /// Ends a broker in order and starts it again.
    RestartBroker { broker: u8 },
    /// Kills a broker and starts it again.
    KillBroker { broker: u8, ms: u64 },
    /// Stops a broker where it stands.
    FreezeBroker { broker: u8, ms: u64 },
    /// Kills all brokers and starts them again.
    KillAllBrokers { ms: u64 },
    /// Kills the broker that coordinates the workers' group.
    MoveCoordinator { ms: u64 },
    /// Changes a target's manifest.
    Reconfigure { target: u8, max_events: u16 },
    /// Lets a receiver behave otherwise.
    Behave { target: u8, mood: Mood, ms: u64 },
}

/// A failpoint that is compared and printed by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) Failpoint);

/// What a fault takes hold of. Two faults at a time never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Worker(u8),
    AllWorkers,
    /// Of three brokers one may fail at a time; all at once is a fault of its own.
    Brokers,
    Target(u8),
}

impl Hold {
    pub(super) fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::AllWorkers, Self::Worker(_)) | (Self::Worker(_), Self::AllWorkers) => true,
            (one, other) => one == other,
        }
    }
}

impl Kind {
    /// Every one.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::KillWorker,
            Self::TerminateWorker,
            Self::KillAllWorkers,
            Self::FreezeBriefly,
            Self::FreezeLong,
            Self::Storm,
            Self::Failpoint,
            Self::RestartBroker,
            Self::KillBroker,
            Self::FreezeBroker,
            Self::KillAllBrokers,
            Self::MoveCoordinator,
            Self::Reconfigure,
        ];
        let moods = Mood::DISTURBED.into_iter().map(Self::Behave);
        plain.into_iter().chain(moods)
    }

    /// How often it is drawn, compared with the others: what takes long to heal comes less often.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::KillAllBrokers => 1,
            Self::FreezeLong
            | Self::RestartBroker
            | Self::KillBroker
            | Self::FreezeBroker
            | Self::MoveCoordinator
            | Self::KillAllWorkers => 2,
            Self::KillWorker
            | Self::TerminateWorker
            | Self::FreezeBriefly
            | Self::Storm
            | Self::Failpoint
            | Self::Reconfigure
            | Self::Behave(_) => 4,
        }
    }

    /// The name in reports.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Behave(mood) => format!("target {mood:?}"),
            Self::KillWorker => "worker killed".to_owned(),
            Self::TerminateWorker => "worker terminated".to_owned(),
            Self::KillAllWorkers => "all workers killed".to_owned(),
            Self::FreezeBriefly => "worker frozen, session kept".to_owned(),
            Self::FreezeLong => "worker frozen, session lost".to_owned(),
            Self::Storm => "workers join and leave".to_owned(),
            Self::Failpoint => "worker killed at a failpoint".to_owned(),
            Self::RestartBroker => "broker restarted".to_owned(),
            Self::KillBroker => "broker killed".to_owned(),
            Self::FreezeBroker => "broker frozen".to_owned(),
            Self::KillAllBrokers => "all brokers killed".to_owned(),
            Self::MoveCoordinator => "coordinator killed".to_owned(),
            Self::Reconfigure => "target reconfigured".to_owned(),
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
            Self::RestartBroker { .. } => Kind::RestartBroker,
            Self::KillBroker { .. } => Kind::KillBroker,
            Self::FreezeBroker { .. } => Kind::FreezeBroker,
            Self::KillAllBrokers { .. } => Kind::KillAllBrokers,
            Self::MoveCoordinator { .. } => Kind::MoveCoordinator,
            Self::Reconfigure { .. } => Kind::Reconfigure,
            Self::Behave { mood, .. } => Kind::Behave(*mood),
        }
    }

    /// What it takes hold of; nothing for guests, who touch nobody.
    pub(super) fn hold(&self) -> Option<Hold> {
        match self {
            Self::KillWorker { slot }
            | Self::TerminateWorker { slot }
            | Self::FreezeWorker { slot, .. }
            | Self::Failpoint { slot, .. } => Some(Hold::Worker(*slot)),
            Self::KillAllWorkers => Some(Hold::AllWorkers),
            Self::Storm { .. } => None,
            Self::RestartBroker { .. }
            | Self::KillBroker { .. }
            | Self::FreezeBroker { .. }
            | Self::KillAllBrokers { .. }
            | Self::MoveCoordinator { .. } => Some(Hold::Brokers),
            Self::Reconfigure { target, .. } | Self::Behave { target, .. } => {
                Some(Hold::Target(*target))
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.kind().name();
        match self {
            Self::KillWorker { slot } | Self::TerminateWorker { slot } => {
                write!(out, "{name} (slot {slot})")
            }
            Self::KillAllWorkers => write!(out, "{name}"),
            Self::FreezeWorker { slot, ms, .. } => write!(out, "{name} (slot {slot}, {ms} ms)"),
            Self::Storm { stays_ms } => write!(out, "{name} (after {stays_ms:?} ms)"),
            Self::Failpoint {
                slot,
                point: Point(point),
                number,
            } => write!(out, "{name} (slot {slot}, {}@{number})", point.name()),
            Self::RestartBroker { broker } => write!(out, "{name} (broker {broker})"),
            Self::KillBroker { broker, ms } | Self::FreezeBroker { broker, ms } => {
                write!(out, "{name} (broker {broker}, {ms} ms)")
            }
            Self::KillAllBrokers { ms } | Self::MoveCoordinator { ms } => {
                write!(out, "{name} ({ms} ms)")
            }
            Self::Reconfigure { target, max_events } => {
                write!(out, "{name} (target {target}, {max_events} events)")
            }
            Self::Behave { target, ms, .. } => write!(out, "{name} (target {target}, {ms} ms)"),
        }
    }
}
