//! Faults done to the real parts, and healed.
//!
//! What is done to whom is planned; here it is performed. Every fault ends healed, or the run ends
//! with an error of the environment, which is no violation.

mod brokers;
mod workers;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use parcelhook_env::kafka::Kafka;

use crate::{
    fleet::Fleet,
    plan::{Fault, Step},
    receiver::{Mood, Receivers},
    roster::TARGETS,
    witness::Witness,
};

/// Everything that faults are done to.
#[derive(Debug)]
pub(crate) struct Injector {
    pub(crate) kafka: Arc<Kafka>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) receivers: Receivers,
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
    /// The point where a worker should have killed itself was not reached.
    NotReached,
}

impl Injector {
    /// Does what a step plans, and heals it.
    pub(crate) async fn perform(&self, step: &Step) -> Result<Vec<Done>> {
        match &step.faults[..] {
            [one, other] => {
                let later = async {
                    planned(step.apart_ms).await;
                    self.inject(other).await
                };
                let (one, other) = tokio::try_join!(Box::pin(self.inject(one)), Box::pin(later))?;
                Ok(vec![one, other])
            }
            faults => {
                let mut done = Vec::with_capacity(faults.len());
                for fault in faults {
                    done.push(Box::pin(self.inject(fault)).await?);
                }
                Ok(done)
            }
        }
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
            Fault::RestartBroker { broker } => self.restart_broker(*broker).await?,
            Fault::KillBroker { broker, ms } => self.kill_broker(*broker, *ms).await?,
            Fault::FreezeBroker { broker, ms } => self.freeze_broker(*broker, *ms).await?,
            Fault::KillAllBrokers { ms } => self.kill_all_brokers(*ms).await?,
            Fault::MoveCoordinator { ms } => self.move_coordinator(*ms).await?,
            Fault::Reconfigure { target, max_events } => {
                self.fleet.reconfigure(*target, *max_events)?;
            }
            Fault::Behave { target, mood, ms } => self.behave(*target, *mood, *ms).await?,
        }
        Ok(Done::Injected)
    }

    async fn behave(&self, target: u8, mood: Mood, ms: u64) -> Result<()> {
        let receiver = self.receivers.of(target)?;
        receiver.behave(mood);
        planned(ms).await;
        receiver.behave(TARGETS[usize::from(target)].mood);
        Ok(())
    }
}

/// Lets a fault last as long as it is planned to.
async fn planned(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
