//! The sorts of faults: their names, and how often each is drawn.

use super::fault::Trouble;
use crate::receiver::Mood;

/// A sort of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillWorker,
    TerminateWorker,
    KillAllWorkers,
    FreezeBriefly,
    FreezeLong,
    Storm,
    Failpoint,
    NoFiles,
    ClockJumps,
    Link(Trouble),
    RestartBroker,
    KillBroker,
    FreezeBroker,
    FillDisk,
    KillTwoBrokers,
    KillAllBrokers,
    MoveCoordinator,
    RefuseWrites,
    AddPartition,
    Reconfigure,
    Suspend,
    Withdraw,
    HangAllOthers,
    Behave(Mood),
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
            Self::NoFiles,
            Self::ClockJumps,
            Self::RestartBroker,
            Self::KillBroker,
            Self::FreezeBroker,
            Self::FillDisk,
            Self::KillTwoBrokers,
            Self::KillAllBrokers,
            Self::MoveCoordinator,
            Self::RefuseWrites,
            Self::AddPartition,
            Self::Reconfigure,
            Self::Suspend,
            Self::Withdraw,
            Self::HangAllOthers,
        ];
        let links = Trouble::ALL.into_iter().map(Self::Link);
        let moods = Mood::DISTURBED.into_iter().map(Self::Behave);
        plain.into_iter().chain(links).chain(moods)
    }

    /// How often it is drawn, compared with the others: what takes long to heal comes less often.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::KillAllBrokers
            | Self::KillTwoBrokers
            | Self::AddPartition
            | Self::HangAllOthers => 1,
            Self::FreezeLong
            | Self::RestartBroker
            | Self::KillBroker
            | Self::FreezeBroker
            | Self::FillDisk
            | Self::MoveCoordinator
            | Self::KillAllWorkers
            | Self::RefuseWrites
            | Self::Link(_) => 2,
            Self::KillWorker
            | Self::TerminateWorker
            | Self::FreezeBriefly
            | Self::Storm
            | Self::NoFiles
            | Self::ClockJumps
            | Self::Reconfigure
            | Self::Suspend
            | Self::Withdraw
            | Self::Behave(_) => 4,
            // Nine points, and each must be met.
            Self::Failpoint => 8,
        }
    }

    /// The name in reports.
    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::Behave(mood) => return format!("target {mood:?}"),
            Self::Link(trouble) => return format!("worker's link {trouble:?}"),
            Self::KillWorker => "worker killed",
            Self::TerminateWorker => "worker terminated",
            Self::KillAllWorkers => "all workers killed",
            Self::FreezeBriefly => "worker frozen, session kept",
            Self::FreezeLong => "worker frozen, session lost",
            Self::Storm => "workers join and leave",
            Self::Failpoint => "worker killed at a failpoint",
            Self::NoFiles => "worker has no more files",
            Self::ClockJumps => "worker's clock jumps",
            Self::RestartBroker => "broker restarted",
            Self::KillBroker => "broker killed",
            Self::FreezeBroker => "broker frozen",
            Self::FillDisk => "broker's disk full",
            Self::KillTwoBrokers => "two brokers killed",
            Self::KillAllBrokers => "all brokers killed",
            Self::MoveCoordinator => "coordinator killed",
            Self::RefuseWrites => "own topic refuses writes",
            Self::AddPartition => "partition added",
            Self::Reconfigure => "target reconfigured",
            Self::Suspend => "target suspended",
            Self::Withdraw => "target's manifest missing",
            Self::HangAllOthers => "all other targets hang",
        };
        name.to_owned()
    }
}
