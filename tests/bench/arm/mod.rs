//! The arms: what is measured, each in a process of its own.
//!
//! The worker, and the loops beside it. A loop keeps no record of what was delivered: it reads and
//! sends, and leaves commits to librdkafka. It ends only with the bench.

mod hyper;
mod kafka;
mod naive;
mod reading;
mod signature;

pub(crate) use reading::READ;
pub(crate) use signature::KEY as SIGNING_KEY;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use parcelhook_env::{
    process::{Launch, Process},
    worker,
};
use serde::Serialize;

use crate::manifest::Manifests;

/// Requests that the loops keep in flight: as many as a scenario has partitions.
const IN_FLIGHT: usize = 64;

/// What may be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arm {
    /// The worker.
    #[value(skip)]
    Worker,
    /// An earlier worker.
    #[value(skip)]
    Earlier,
    /// The worker while its target refuses connections, so that it parks everything.
    #[value(skip)]
    Parking,
    /// The worker while it delivers what it has parked.
    #[value(skip)]
    Draining,
    /// The loop that anyone would write first: receive, post with reqwest, 64 at once.
    Naive,
    /// The same, with Standard Webhooks signatures.
    NaiveSigned,
    /// One hyper connection a partition, without a pool.
    Hyper,
    /// Polls, and looks at each event's offset only.
    Reading,
}

impl Arm {
    /// As it stands in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Earlier => "earlier",
            Self::Parking => "parking",
            Self::Draining => "draining",
            Self::Naive => "naive",
            Self::NaiveSigned => "naive-signed",
            Self::Hyper => "hyper",
            Self::Reading => "reading",
        }
    }
}

/// What a loop is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Task {
    #[arg(value_enum)]
    arm: Arm,
    /// Servers of Kafka.
    #[arg(long)]
    bootstrap: String,
    /// The consumer group, a new one.
    #[arg(long)]
    group: String,
    /// The one topic to read.
    #[arg(long)]
    topic: String,
    /// Where to send to.
    #[arg(long)]
    receiver: SocketAddr,
}

/// Is a loop, until the process is killed.
///
/// # Errors
/// When Kafka or the receiver refuses: nothing is tried twice.
pub(crate) fn run(task: &Task) -> Result<()> {
    match task.arm {
        // Clap does not let it through.
        Arm::Worker | Arm::Earlier | Arm::Parking | Arm::Draining => Ok(()),
        Arm::Naive => naive::run(task, false),
        Arm::NaiveSigned => naive::run(task, true),
        Arm::Hyper => hyper::run(task),
        Arm::Reading => reading::run(task),
    }
}

/// Starts a loop.
pub(crate) fn start_loop(task: &Task) -> Result<Process> {
    Launch::new(task.arm.name(), std::env::current_exe()?)
        .args(["arm", task.arm.name()])
        .args(["--bootstrap", &task.bootstrap])
        .args(["--group", &task.group])
        .args(["--topic", &task.topic])
        .arg(format!("--receiver={}", task.receiver))
        .start()
}

impl Task {
    /// What `arm` is told.
    pub(crate) fn new(
        arm: Arm,
        bootstrap: &str,
        group: &str,
        topic: &str,
        receiver: SocketAddr,
    ) -> Self {
        Self {
            arm,
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            topic: topic.to_owned(),
            receiver,
        }
    }
}

/// How the worker is started.
#[derive(Debug, Clone)]
pub(crate) struct WorkerBinary(pub(crate) PathBuf);

impl WorkerBinary {
    /// The executable at `path`; otherwise this one, which is the worker when its first argument
    /// is `run`.
    pub(crate) fn new(path: Option<PathBuf>) -> Result<Self> {
        match path {
            Some(path) => Ok(Self(path)),
            None => Ok(Self(std::env::current_exe().context("find this program")?)),
        }
    }

    /// Its settings: everything as by default.
    pub(crate) fn settings(&self, bootstrap: &str, manifests: &Manifests) -> worker::Settings {
        worker::Settings::new(&self.0, bootstrap, &manifests.group, &manifests.targets)
            .secrets(&manifests.secrets)
    }
}
