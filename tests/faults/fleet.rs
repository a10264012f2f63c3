//! The worker processes: who lives in which slot, started and ended with notice to the witness.
//!
//! A process has a number that is never used again, and a directory of manifests that says it. What
//! its log tells is read once, when it has ended. A process that ends without having been asked to is
//! a violation, and is replaced as an orchestrator would do it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use parcelhook_env::{
    process::Usage,
    worker::{Settings, Worker},
};
use tokio::sync::Mutex as Slot;

use crate::{
    judge::{Invariant, Seen, WorkerChange, WorkerNumber},
    manifest::{Manifests, Variable},
    plan::{LINKED, WORKERS},
    sometimes::Evidence,
    witness::Witness,
};

/// The shortest session that brokers allow, so that a dead worker is soon missed.
const SESSION: &str = "session.timeout.ms=6000";

/// What the workers log: lanes tell of take-overs and refused writes in this level only, and readers of
/// what they cannot read yet.
const LOGS: &str = "info,parcelhook_worker::lane=debug,parcelhook_worker::park=debug";

/// Less than the largest events, so that one of a target that hangs leaves no room for others.
const BYTE_BUDGET: &str = "1Mi";

/// How long an orderly end may take: the grace of 6 s, and a loaded machine.
const END: Duration = Duration::from_secs(60);

/// Exit codes of an orderly end: clean, and ended before letting go was done.
const ORDERLY: [i32; 2] = [0, 4];

/// A process.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) number: WorkerNumber,
    pub(crate) worker: Worker,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The brokers, and the way to them by links that can fail.
    bootstrap: Bootstrap,
    worker_group: String,
    witness: Arc<Witness>,
    slots: Vec<Slot<Option<Member>>>,
    homes: Mutex<Homes>,
    started: AtomicU32,
    largest: Mutex<Largest>,
    evidence: Mutex<Evidence>,
}

/// The process that had the most memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Largest {
    /// The most that it ever had.
    pub(crate) bytes: u64,
    pub(crate) worker: WorkerNumber,
}

/// How workers reach the brokers.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    pub(crate) direct: String,
    pub(crate) linked: String,
}

/// Manifests, and who reads them now.
#[derive(Debug)]
struct Homes {
    manifests: Manifests,
    of: BTreeMap<WorkerNumber, PathBuf>,
    pids: BTreeMap<WorkerNumber, u32>,
}

impl Fleet {
    /// A fleet of empty slots.
    pub(crate) fn new(
        bootstrap: Bootstrap,
        worker_group: String,
        manifests: Manifests,
        witness: Arc<Witness>,
    ) -> Self {
        Self {
            bootstrap,
            worker_group,
            witness,
            slots: (0..WORKERS).map(|_| Slot::default()).collect(),
            homes: Mutex::new(Homes {
                manifests,
                of: BTreeMap::new(),
                pids: BTreeMap::new(),
            }),
            started: AtomicU32::new(0),
            largest: Mutex::default(),
            evidence: Mutex::default(),
        }
    }

    /// A slot, for as long as somebody does something to who lives there.
    pub(crate) fn slot(&self, slot: u8) -> Result<&Slot<Option<Member>>> {
        let found = self.slots.get(usize::from(slot));
        found.with_context(|| format!("no slot {slot}"))
    }

    /// All slots.
    pub(crate) fn slots(&self) -> &[Slot<Option<Member>>] {
        &self.slots
    }

    /// Starts a process for a slot, armed with failpoints or not, and waits until it listens.
    pub(crate) async fn start(&self, slot: u8, failpoints: &str) -> Result<Member> {
        match slot {
            LINKED => self.start_at(&self.bootstrap.linked, failpoints).await,
            _ => self.start_at(&self.bootstrap.direct, failpoints).await,
        }
    }

    /// Starts a process that is in no slot.
    pub(crate) async fn start_guest(&self) -> Result<Member> {
        self.start_at(&self.bootstrap.direct, "").await
    }

    async fn start_at(&self, bootstrap: &str, failpoints: &str) -> Result<Member> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let targets = {
            let mut homes = self.homes();
            let targets = homes.manifests.directory(number)?;
            homes.of.insert(number, targets.clone());
            targets
        };
        let change = WorkerChange::Started;
        self.told(number, change);
        let this = std::env::current_exe().context("find this executable")?;
        let worker = Settings::new(this, bootstrap, &self.worker_group, &targets)
            .flag("--kafka-properties", SESSION)
            .flag(
                "--kafka-properties",
                format!("client.id={}", client(number)),
            )
            .flag("--byte-budget", BYTE_BUDGET)
            .flag("--log-level", LOGS)
            .env("PARCELHOOK_FAILPOINTS", failpoints)
            .listen()
            .await?;
        self.homes().pids.insert(number, worker.process().pid());
        Ok(Member { number, worker })
    }

    /// Kills a process, if it has not ended already, and returns how it ended.
    pub(crate) async fn kill(&self, member: Member) -> Result<ExitStatus> {
        self.sample();
        let process = member.worker.process();
        if process.exit_status()?.is_none() {
            process.kill()?;
        }
        self.buried(member).await
    }

    /// Waits for the end of a process that dies by itself.
    pub(crate) async fn buried(&self, member: Member) -> Result<ExitStatus> {
        let status = member.worker.process().ended(END).await?;
        // Only now: what it had delivered up to its last moment is repeated because of this.
        self.told(member.number, WorkerChange::Killed);
        self.retire(&member)?;
        Ok(status)
    }

    /// Asks a process to end in order, and waits until it has.
    pub(crate) async fn terminate(&self, member: Member) -> Result<()> {
        self.sample();
        if let Some(status) = member.worker.process().exit_status()? {
            return self.ended_by_itself(&member, status);
        }
        self.told(member.number, WorkerChange::Terminated);
        let status = member.worker.stop(END).await?;
        let orderly = status.code().is_some_and(|code| ORDERLY.contains(&code));
        if !orderly {
            let tail = member.worker.process().tail();
            let what = format!("worker {} ended badly: {status}\n{tail}", member.number);
            self.witness.waited(Invariant::Liveness, Err(what));
        }
        self.retire(&member)
    }

    /// Something happens to a process.
    pub(crate) fn told(&self, worker: WorkerNumber, change: WorkerChange) {
        self.witness.see(&Seen::Worker { worker, change });
    }

    /// Fills empty slots, and replaces processes that have ended by themselves.
    pub(crate) async fn muster(&self) -> Result<()> {
        for (number, slot) in (0..).zip(&self.slots) {
            let mut slot = slot.lock().await;
            if let Some(member) = slot.take() {
                let Some(status) = member.worker.process().exit_status()? else {
                    *slot = Some(member);
                    continue;
                };
                self.ended_by_itself(&member, status)?;
            }
            *slot = Some(self.start(number, "").await?);
        }
        Ok(())
    }

    /// Changes a target's manifest for all processes, one after the other as a volume would.
    pub(crate) fn reconfigure(&self, target: u8, change: impl FnOnce(&mut Variable)) -> Result<()> {
        self.witness.see(&Seen::Configured { target });
        let mut homes = self.homes();
        homes.manifests.change(target, change);
        for (number, directory) in &homes.of {
            homes.manifests.write(directory, *number, target)?;
        }
        Ok(())
    }

    /// Looks at the memory of all processes.
    pub(crate) fn sample(&self) {
        for (number, pid) in &self.homes().pids {
            // It may just have ended.
            if let Ok(usage) = Usage::of(*pid) {
                let (bytes, worker) = (usage.peak_resident_bytes, *number);
                let mut largest = self.largest.lock().unwrap_or_else(PoisonError::into_inner);
                *largest = largest.max(Largest { bytes, worker });
            }
        }
    }

    /// The most memory that a process ever had.
    pub(crate) fn largest(&self) -> Largest {
        *self.largest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Processes started.
    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// What the logs of ended processes told.
    pub(crate) fn evidence(&self) -> Evidence {
        let evidence = self.evidence.lock();
        evidence.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ended_by_itself(&self, member: &Member, status: ExitStatus) -> Result<()> {
        let tail = member.worker.process().tail();
        let what = format!("worker {} ended by itself: {status}\n{tail}", member.number);
        self.witness.waited(Invariant::Liveness, Err(what));
        self.told(member.number, WorkerChange::Killed);
        self.retire(member)
    }

    fn retire(&self, member: &Member) -> Result<()> {
        let mut homes = self.homes();
        homes.of.remove(&member.number);
        homes.pids.remove(&member.number);
        drop(homes);
        let log = member.worker.output()?;
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        evidence.read(&log);
        Ok(())
    }

    fn homes(&self) -> MutexGuard<'_, Homes> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what name brokers, and links to them, know a process.
pub(crate) fn client(worker: WorkerNumber) -> String {
    format!("worker-{worker}")
}
