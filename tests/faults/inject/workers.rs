//! What is done to workers.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use parcelhook_worker::failpoint::Failpoint;

use super::{Done, Injector, planned};
use crate::{judge::WorkerChange, plan::Point};

/// How long a worker may take to get partitions, and to reach a point with them.
const REACHES: Duration = Duration::from_secs(30);

/// The line of a worker's log that says that it has a partition.
const HAS_PARTITIONS: &str = "partition assigned";

impl Injector {
    pub(super) async fn kill_worker(&self, slot: u8) -> Result<()> {
        let mut slot = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = slot.take() {
            self.fleet.kill(member).await?;
        }
        *slot = Some(self.fleet.start("").await?);
        Ok(())
    }

    pub(super) async fn terminate_worker(&self, slot: u8) -> Result<()> {
        let mut slot = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = slot.take() {
            self.fleet.terminate(member).await?;
        }
        *slot = Some(self.fleet.start("").await?);
        Ok(())
    }

    pub(super) async fn kill_all_workers(&self) -> Result<()> {
        for slot in self.fleet.slots() {
            if let Some(member) = slot.lock().await.take() {
                self.fleet.kill(member).await?;
            }
        }
        self.fleet.muster().await
    }

    pub(super) async fn freeze_worker(&self, slot: u8, ms: u64) -> Result<()> {
        let slot = self.fleet.slot(slot)?.lock().await;
        let Some(member) = slot.as_ref() else {
            return Ok(());
        };
        if member.worker.process().exit_status()?.is_some() {
            // The next muster tells it.
            return Ok(());
        }
        self.fleet.told(member.number, WorkerChange::Frozen);
        member.worker.process().pause()?;
        planned(ms).await;
        member.worker.process().resume()?;
        self.fleet.told(member.number, WorkerChange::Thawed);
        Ok(())
    }

    /// Guests come, and go before or after they have settled.
    pub(super) async fn storm(&self, stays_ms: &[u64]) -> Result<()> {
        for ms in stays_ms {
            let guest = self.fleet.start("").await?;
            planned(*ms).await;
            self.fleet.terminate(guest).await?;
        }
        Ok(())
    }

    /// A worker that is armed takes the place of the one that is there; another follows it.
    pub(super) async fn failpoint(&self, slot: u8, point: Point, number: u32) -> Result<Done> {
        let Point(point) = point;
        let mut slot = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = slot.take() {
            self.fleet.terminate(member).await?;
        }
        let armed = format!("{}=kill@{number}", point.name());
        let member = self.fleet.start(&armed).await?;
        let process = member.worker.process();
        let reached = async {
            process.says(HAS_PARTITIONS, REACHES).await?;
            if point == Failpoint::RevokeCallback {
                // Letting go at the end is the same code as letting go in a rebalance.
                process.terminate()?;
            }
            process.ended(REACHES).await
        };
        let reached = reached.await.is_ok_and(|status| status.signal().is_some());
        self.fleet.kill(member).await.context("after a failpoint")?;
        *slot = Some(self.fleet.start("").await?);
        Ok(match reached {
            true => Done::Injected,
            false => Done::NotReached,
        })
    }
}
