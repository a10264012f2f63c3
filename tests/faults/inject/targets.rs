//! What is done to receivers, to targets' manifests and to source topics.

use std::time::Duration;

use anyhow::{Result, ensure};
use parcelhook_env::eventually;

use super::{Done, Injector, planned};
use crate::{
    judge::{Invariant, Seen},
    receiver::Mood,
    roster::{STEADY, TARGETS},
};

/// How long the steady target may take to get what came while the others hang: the same as after any
/// other step, since what came before may not be over.
const ISOLATED: Duration = Duration::from_secs(90);

impl Injector {
    pub(super) async fn behave(&self, target: u8, mood: Mood, ms: u64) -> Result<()> {
        let receiver = self.receivers.of(target)?;
        receiver.behave(mood);
        planned(ms).await;
        receiver.behave(TARGETS[usize::from(target)].mood);
        Ok(())
    }

    pub(super) async fn suspend(&self, target: u8, ms: u64) -> Result<()> {
        self.fleet.reconfigure(target, |own| own.suspended = true)?;
        planned(ms).await;
        self.fleet.reconfigure(target, |own| own.suspended = false)
    }

    pub(super) async fn withdraw(&self, target: u8, ms: u64) -> Result<()> {
        self.fleet.reconfigure(target, |own| own.missing = true)?;
        planned(ms).await;
        self.fleet.reconfigure(target, |own| own.missing = false)
    }

    /// The others hang until the steady target has what came meanwhile, for so long at least.
    pub(super) async fn hang_all_others(&self, ms: u64) -> Result<()> {
        self.receivers.hang();
        self.witness.see(&Seen::Others { hang: true });
        planned(ms).await;
        let ends = self.witness.ask(|judge| judge.ends().clone());
        let got_all = eventually("the steady target gets all", ISOLATED, async || {
            let behind = self.witness.ask(|judge| judge.behind(STEADY, &ends));
            ensure!(behind.is_empty(), "missing {behind:?}");
            Ok(())
        });
        let found = got_all.await.map_err(|error| format!("{error:#}"));
        self.witness.waited(Invariant::Isolation, found);
        self.witness.see(&Seen::Others { hang: false });
        self.receivers.as_usual();
        Ok(())
    }

    pub(super) async fn add_partition(&self, topic: u8) -> Result<Done> {
        Ok(match self.load.add_partition(topic).await? {
            true => Done::Injected,
            false => Done::NotReached,
        })
    }
}
