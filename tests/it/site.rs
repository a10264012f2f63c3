//! A site for the workers of one test: directories of manifests and Secrets, and a consumer group that
//! no other test has.
//!
//! Files are put in place by rename, so a worker that watches never meets half of one; a test that wants
//! a half-written file writes it as such.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use parcelhook_env::{
    directories,
    kafka::{Access, Event, Kafka, Produced},
    worker::Settings,
};
use tokio::{sync::watch, task::JoinSet};

use crate::manifest::Manifest;

/// The executable under test.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");

/// Far longer than anything takes, also on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Partitions of the topics that [`Flow`] writes to.
pub(crate) const PARTITIONS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Site<'k> {
    pub(crate) kafka: &'k Kafka,
    root: PathBuf,
    /// The installation that its workers belong to.
    installation: String,
}

impl Site<'static> {
    /// An empty one, at the shared broker.
    pub(crate) async fn new(purpose: &str) -> Result<Self> {
        Site::on(Kafka::shared().await?, purpose)
    }
}

impl<'k> Site<'k> {
    /// An empty one, at `kafka`.
    pub(crate) fn on(kafka: &'k Kafka, purpose: &str) -> Result<Self> {
        let mut site = Self {
            kafka,
            root: directories::fresh(purpose)?,
            installation: String::new(),
        };
        site.installation = site.name().to_owned();
        fs::create_dir(site.targets())?;
        fs::create_dir(site.secrets())?;
        Ok(site)
    }

    /// Another site, with directories of its own, whose workers are of the same group.
    pub(crate) fn another(&self) -> Result<Self> {
        let site = Self::on(self.kafka, self.name())?;
        let installation = self.installation.clone();
        Ok(Self {
            installation,
            ..site
        })
    }

    /// The directory of manifests.
    pub(crate) fn targets(&self) -> PathBuf {
        self.root.join("targets")
    }

    /// The directory of Secrets.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// A file of this site that is neither a manifest nor a Secret.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A name that no other site of this run has: its directory's number and purpose.
    pub(crate) fn name(&self) -> &str {
        let name = self.root.file_name().and_then(|name| name.to_str());
        name.unwrap_or("nameless")
    }

    /// The consumer group of its workers.
    pub(crate) fn group(&self) -> String {
        format!("parcelhook.{}.default", self.installation)
    }

    /// A worker here.
    pub(crate) fn worker(&self) -> Settings {
        self.worker_by(Access::Plaintext)
    }

    /// A worker here that comes to Kafka in this way. What it needs for that is not set.
    pub(crate) fn worker_by(&self, access: Access) -> Settings {
        self.worker_at(&self.kafka.bootstrap(access))
    }

    /// A worker here that looks for Kafka at `bootstrap`.
    pub(crate) fn worker_at(&self, bootstrap: &str) -> Settings {
        Settings::new(WORKER, bootstrap, "default", &self.targets())
            .secrets(&self.secrets())
            .flag("--installation", self.installation.clone())
    }

    /// A new topic.
    pub(crate) async fn topic(&self, partitions: usize) -> Result<String> {
        self.kafka.create_topic(self.name(), partitions, &[]).await
    }

    /// Writes a manifest, whole, to a file of its own.
    pub(crate) fn put(&self, manifest: &Manifest) -> Result<()> {
        self.write(&manifest.file(), &manifest.text())
    }

    /// Writes a file of manifests, whole.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        replace(&self.targets().join(file), text)
    }

    /// Removes a file of manifests.
    pub(crate) fn remove(&self, file: &str) -> Result<()> {
        let path = self.targets().join(file);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    /// Writes one key of a Secret.
    pub(crate) fn secret(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let directory = self.secrets().join(name);
        fs::create_dir_all(&directory)?;
        replace(&directory.join(key), value)
    }

    /// What the workers have committed of all partitions of a topic together; `None` is zero.
    pub(crate) async fn committed(&self, topic: &str) -> Result<i64> {
        let committed = self.kafka.committed(&self.group(), topic).await?;
        Ok(committed.into_values().flatten().sum())
    }
}

/// Puts a file in place by rename. The name that it has before is none that a worker reads.
fn replace(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a file in a directory")?;
    let mut unfinished = tempfile::NamedTempFile::with_prefix_in(".", directory)?;
    std::io::Write::write_all(&mut unfinished, text.as_bytes())?;
    unfinished
        .persist(path)
        .with_context(|| format!("put {} in place", path.display()))?;
    Ok(())
}

/// Events that flow into a topic until they are stopped.
#[derive(Debug)]
pub(crate) struct Flow {
    stop: watch::Sender<bool>,
    task: JoinSet<Result<Produced>>,
}

impl Flow {
    /// Writes some events to each partition again and again.
    pub(crate) fn start(kafka: &'static Kafka, topic: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let topic = topic.to_owned();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut produced = Produced::default();
            while !*stopped.borrow() {
                produced.extend(kafka.produce(&topic, some_events(20)).await?);
                // A pace that a worker keeps up with while other tests run.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(produced)
        });
        Self { stop, task }
    }

    /// Stops, and tells what was written.
    pub(crate) async fn stop(mut self) -> Result<Produced> {
        self.stop.send_replace(true);
        self.task.join_next().await.context("the flow's task")??
    }
}

/// That many events, spread over the partitions.
pub(crate) fn some_events(count: usize) -> impl Iterator<Item = Event> {
    let partitions = (0..).take(PARTITIONS).cycle();
    partitions
        .take(count)
        .enumerate()
        .map(|(n, partition)| Event::new(format!("{{\"n\":{n}}}")).to(partition))
}
