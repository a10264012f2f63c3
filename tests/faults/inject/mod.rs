//! Faults done to the real parts, and healed.
//!
//! What is done to whom is planned; here it is performed. Every fault ends healed, or the run ends
//! with an error of the environment, which is no violation.

mod brokers;
mod targets;
mod workers;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use parcelhook_env::kafka::Kafka;

use crate::{
    fleet::Fleet,
    load::Load,
    manifest::Variable,
    plan::{Fault, Step},
    receiver::Receivers,
    witness::Witness,
};

/// Everything that faults are done to.
#[derive(Debug)]
pub(crate) struct Injector {
    pub(crate) kafka: Arc<Kafka>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) receivers: Receivers,
    pub(crate) load: Load,
    pub(crate) witness: Arc<Witness>,
    /// The workers' consumer group.
    pub(crate) group: String,
    pub(crate) topics: Vec<String>,
}

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was done.
    Injected,
    /// The point where a worker should have killed itself was not reached, or there was nothing to do.
    NotReached,
}

impl Injector {
    /// Does what a step plans, and heals it. What was done comes in the order of the tracks.
    pub(crate) async fn perform(&self, step: &Step) -> Result<Vec<Done>> {
        let tracks = (0..).zip(&step.tracks).map(|(index, track)| async move {
            planned(step.apart_ms * index).await;
            let mut done = Vec::with_capacity(track.len());
            for fault in track {
                let injected = Box::pin(self.inject(fault)).await;
                done.push(injected.with_context(|| fault.to_string())?);
            }
            anyhow::Ok(done)
        });
        Ok(try_join_all(tracks).await?.concat())
    }

    async fn inject(&self, fault: &Fault) -> Result<Done> {
        match fault {
            Fault::KillWorker { slot } => self.kill_worker(*slot).await?,
            Fault::TerminateWorker { slot } => self.terminate_worker(*slot).await?,
            Fault::KillAllWorkers => self.kill_all_workers().await?,
            Fault::FreezeWorker { slot, ms, .. } => self.freeze_worker(*slot, *ms).await?,
            Fault::Storm { stays_ms } => self.storm(stays_ms).await?,
            Fault::Failpoint {
                slot,
                point,
                number,
            } => return self.failpoint(*slot, *point, *number).await,
            Fault::ClockJumps { slot, by_ms, ms } => self.clock_jumps(*slot, *by_ms, *ms).await?,
            Fault::NoFiles { slot, ms } => return self.no_files(*slot, *ms).await,
            Fault::Link { trouble, ms } => self.link(*trouble, *ms).await?,
            Fault::RestartBroker { broker } => self.restart_broker(*broker).await?,
            Fault::KillBroker { broker, ms } => self.kill_broker(*broker, *ms).await?,
            Fault::FreezeBroker { broker, ms } => self.freeze_broker(*broker, *ms).await?,
            Fault::FillDisk { broker, ms } => self.fill_disk(*broker, *ms).await?,
            Fault::KillTwoBrokers { spared, ms } => self.kill_brokers(Some(*spared), *ms).await?,
            Fault::KillAllBrokers { ms } => self.kill_brokers(None, *ms).await?,
            Fault::MoveCoordinator { ms } => self.move_coordinator(*ms).await?,
            Fault::RefuseWrites { topic, ms } => self.refuse_writes(*topic, *ms).await?,
            Fault::AddPartition { topic } => return self.add_partition(*topic).await,
            Fault::Reconfigure { target, max_events } => {
                let change = |own: &mut Variable| own.max_events = *max_events;
                self.fleet.reconfigure(*target, change)?;
            }
            Fault::Suspend { target, ms } => self.suspend(*target, *ms).await?,
            Fault::Withdraw { target, ms } => self.withdraw(*target, *ms).await?,
            Fault::HangAllOthers { ms } => self.hang_all_others(*ms).await?,
            Fault::Behave { target, mood, ms } => self.behave(*target, *mood, *ms).await?,
        }
        Ok(Done::Injected)
    }
}

/// Lets a fault last as long as it is planned to.
async fn planned(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
