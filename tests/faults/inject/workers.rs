//! What is done to workers.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use parcelhook_env::kafka::Link;
use parcelhook_worker::failpoint::Failpoint;

use super::{Done, Injector, planned};
use crate::{
    fleet::{self, Member},
    judge::WorkerChange,
    plan::{LINKED, Point, Trouble},
};

/// How long a worker may take to get partitions, and to reach a point with them.
const REACHES: Duration = Duration::from_secs(30);

/// How long after its start a worker's clock jumps.
const JUMPS_AFTER: Duration = Duration::from_secs(3);

/// The line of a worker's log that says that it has a partition.
const HAS_PARTITIONS: &str = "partition assigned";

/// How much longer a request takes on a slow link.
const SLOWER: Duration = Duration::from_millis(500);

impl Injector {
    pub(super) async fn kill_worker(&self, slot: u8) -> Result<()> {
        let mut place = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = place.take() {
            self.fleet.kill(member).await?;
        }
        *place = Some(self.fleet.start(slot, "").await?);
        Ok(())
    }

    pub(super) async fn terminate_worker(&self, slot: u8) -> Result<()> {
        let mut place = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = place.take() {
            self.fleet.terminate(member).await?;
        }
        *place = Some(self.fleet.start(slot, "").await?);
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
        let Some(member) = living(slot.as_ref())? else {
            return Ok(());
        };
        self.fleet.told(member.number, WorkerChange::Frozen);
        member.worker.process().pause()?;
        planned(ms).await;
        member.worker.process().resume()?;
        self.fleet.told(member.number, WorkerChange::Thawed);
        Ok(())
    }

    /// A worker opens no file and no socket more for a while; what it has open stays. One that has
    /// not come up is left alone: it would end, and rightly so.
    pub(super) async fn no_files(&self, slot: u8, ms: u64) -> Result<Done> {
        let slot = self.fleet.slot(slot)?.lock().await;
        let Some(member) = living(slot.as_ref())? else {
            return Ok(Done::NotReached);
        };
        if member.worker.ready(REACHES).await.is_err() {
            return Ok(Done::NotReached);
        }
        self.fleet.told(member.number, WorkerChange::Hampered);
        member.worker.process().freeze_files()?;
        planned(ms).await;
        if living(Some(member))?.is_some() {
            member.worker.process().thaw_files()?;
        }
        self.fleet.told(member.number, WorkerChange::Free);
        Ok(Done::Injected)
    }

    /// A worker whose clock jumps when it has partitions, or soon after, takes the place of the one that is
    /// there; another follows it, whose clock is right.
    pub(super) async fn clock_jumps(&self, slot: u8, by_ms: i64, ms: u64) -> Result<()> {
        let mut place = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = place.take() {
            self.fleet.terminate(member).await?;
        }
        let armed = format!("clock={by_ms}@{}", JUMPS_AFTER.as_millis());
        let member = self.fleet.start(slot, &armed).await?;
        planned(ms).await;
        self.fleet.terminate(member).await?;
        *place = Some(self.fleet.start(slot, "").await?);
        Ok(())
    }

    /// The link of the linked worker is bad for a while.
    pub(super) async fn link(&self, trouble: Trouble, ms: u64) -> Result<()> {
        let slot = self.fleet.slot(LINKED)?.lock().await;
        let Some(member) = living(slot.as_ref())? else {
            return Ok(());
        };
        let link = match trouble {
            Trouble::RequestsHeld => Link::RequestsHeld,
            Trouble::AnswersHeld => Link::AnswersHeld,
            Trouble::Slow => Link::Slow(SLOWER),
            Trouble::Cut => Link::Cut,
        };
        let client = fleet::client(member.number);
        self.fleet.told(member.number, WorkerChange::Hampered);
        self.kafka.link(&client, Some(link));
        planned(ms).await;
        self.kafka.link(&client, None);
        self.fleet.told(member.number, WorkerChange::Free);
        Ok(())
    }

    /// Guests come, and go before or after they have settled.
    pub(super) async fn storm(&self, stays_ms: &[u64]) -> Result<()> {
        for ms in stays_ms {
            let guest = self.fleet.start_guest().await?;
            planned(*ms).await;
            self.fleet.terminate(guest).await?;
        }
        Ok(())
    }

    /// A worker that is armed takes the place of the one that is there; another follows it.
    pub(super) async fn failpoint(&self, slot: u8, point: Point, number: u32) -> Result<Done> {
        let Point(point) = point;
        let mut place = self.fleet.slot(slot)?.lock().await;
        if let Some(member) = place.take() {
            self.fleet.terminate(member).await?;
        }
        let armed = format!("{}=kill@{number}", point.name());
        let member = self.fleet.start(slot, &armed).await?;
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
        *place = Some(self.fleet.start(slot, "").await?);
        Ok(match reached {
            true => Done::Injected,
            false => Done::NotReached,
        })
    }
}

/// Who has not ended by itself. The next muster tells of who has.
fn living(member: Option<&Member>) -> Result<Option<&Member>> {
    let Some(member) = member else {
        return Ok(None);
    };
    let ended = member.worker.process().exit_status()?.is_some();
    Ok((!ended).then_some(member))
}
