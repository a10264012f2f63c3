//! One broker's process: started, stopped, killed, paused, and started again with the same data
//! and the same ports.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    access::{Mechanism, PASSWORD, USER},
    provision::Distribution,
};
use crate::process::Process;

/// How long a start may take: 2.6 s alone, 14 s measured for three on a loaded machine.
const START: Duration = Duration::from_secs(120);

/// How long an orderly stop may take, with leaders to hand over.
const STOP: Duration = Duration::from_secs(60);

/// The id of every cluster: 16 bytes in URL-safe Base64. Clusters never meet, so one is enough.
const CLUSTER_ID: &str = "cGFyY2VsaG9vay10ZXN0cw";

/// One broker. It is at rest until [`Broker::start`], and after it was killed or stopped.
#[derive(Debug)]
pub struct Broker {
    name: String,
    kafka: Distribution,
    settings: PathBuf,
    heap_mib: u32,
    process: Mutex<Option<Arc<Process>>>,
}

impl Broker {
    /// Formats its data directory as its properties file `settings` says. Blocks for a second.
    pub(super) fn format(
        name: String,
        kafka: Distribution,
        settings: PathBuf,
        heap_mib: u32,
    ) -> Result<Self> {
        let mut format = kafka
            .java(&format!("{name}-format"), 128, "kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER_ID, "-c"])
            .arg(&settings);
        for mechanism in Mechanism::ALL {
            if mechanism != Mechanism::Plain {
                let mechanism = mechanism.name();
                let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
                format = format.args(["--add-scram".to_owned(), user]);
            }
        }
        format.run()?;
        Ok(Self {
            name,
            kafka,
            settings,
            heap_mib,
            process: Mutex::new(None),
        })
    }

    /// Starts it and waits until it says that it is up.
    ///
    /// # Errors
    /// When it runs already, or does not come up; shows the end of its log.
    pub async fn start(&self) -> Result<()> {
        let process = {
            let mut slot = self.slot();
            ensure!(slot.is_none(), "{} runs already", self.name);
            let launch = self.kafka.java(&self.name, self.heap_mib, "kafka.Kafka");
            let process = Arc::new(launch.arg(&self.settings).start()?);
            *slot = Some(Arc::clone(&process));
            process
        };
        process.says("Kafka Server started", START).await?;
        Ok(())
    }

    /// Ends it in order (SIGTERM): it hands over what it leads and closes its files.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub async fn stop(&self) -> Result<()> {
        let process = self.process()?;
        process.terminate()?;
        process.ended(STOP).await?;
        *self.slot() = None;
        Ok(())
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self) -> Result<()> {
        let process = self.process()?;
        process.kill()?;
        process.ended(STOP).await?;
        *self.slot() = None;
        Ok(())
    }

    /// Its disk is full (a limit of the size of files) until `story` is over, and it is started again. It
    /// may end by itself before.
    ///
    /// # Errors
    /// When it does not run, or does not come up again.
    pub async fn without_disk(&self, story: impl Future<Output = ()>) -> Result<()> {
        let process = self.process()?;
        process.fill_disk()?;
        story.await;
        if process.exit_status()?.is_none() {
            // It may end just now.
            let _ = process.kill();
        }
        process.ended(STOP).await?;
        *self.slot() = None;
        self.start().await
    }

    /// Stops and starts it.
    ///
    /// # Errors
    /// Those of both.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.process()?.pause()
    }

    /// Lets it go on after [`Broker::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.process()?.resume()
    }

    /// Its process, while it runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn process(&self) -> Result<Arc<Process>> {
        let process = self.slot().clone();
        process.with_context(|| format!("{} does not run", self.name))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
