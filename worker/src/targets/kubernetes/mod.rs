//! The Secrets of a Kubernetes namespace as the source of targets: what the operator compiled.
//!
//! ```text
//!   secrets ── manifest ──▶ assembly ── missing shards ──▶ secrets ──▶ assembly ── Snapshot ──▶ publish
//!   (watch)                  (pure)                         (get)                     └──▶ kept (directory)
//! ```
//!
//! Owns the watch, the order of reading, and when something is tried again. Whatever the API server does,
//! what runs goes on: only a newer and complete configuration takes its place. Its one permission is to
//! read Secrets of the namespace.

mod assembly;
mod kept;
mod round;
mod secrets;
mod shrink;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use parcelhook_crds::config::ShardName;
use tokio::sync::watch;

use super::Snapshot;
use crate::clock;
use assembly::{Assembled, Assembly};
use kept::Kept;
pub use secrets::ConnectError;
use secrets::{Secrets, Seen};

/// How long the API server may take for a first configuration, before the one that was kept runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shards that are read at once.
const AT_ONCE: usize = 8;

/// How long to wait before shards are read again: first, and at most. It doubles.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// See the module.
pub struct Kubernetes {
    secrets: Secrets,
    kept: Option<Kept>,
    assembly: Assembly,
    /// The newest manifest that was not refused, as it was read.
    manifest: Vec<u8>,
    /// When the API server was given time enough for a first configuration.
    start_by: Option<Instant>,
    /// When something is tried again, and how long it was waited for.
    again: Option<Instant>,
    waited: Duration,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes")
            .field("revision", &self.assembly.revision())
            .finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Finds the API server and asks it nothing. `namespace` defaults to that of the service account;
    /// the last configuration is kept in the directory `kept`.
    ///
    /// # Errors
    /// When it is not known whom to ask.
    pub async fn connect(
        namespace: Option<&str>,
        group: &str,
        kept: Option<PathBuf>,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            secrets: Secrets::connect(namespace, group).await?,
            kept: kept.map(Kept::new),
            assembly: Assembly::new(group),
            manifest: Vec::new(),
            start_by: None,
            again: None,
            waited: Duration::ZERO,
        })
    }

    /// Publishes each configuration, until nobody listens any more or the future is dropped. For a task
    /// of its own. What is published before there was one has no changes and no targets.
    pub async fn watch(mut self, publish: watch::Sender<Arc<Snapshot>>) {
        let mut seen: BoxStream<'static, Seen> = self.secrets.manifest();
        self.start_by = Some(clock::now() + PATIENCE);
        loop {
            let wake = [self.start_by, self.again].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = publish.closed() => return,
                // It never ends: what is interrupted begins again.
                Some(seen) = seen.next() => self.seen(seen),
                () = sleep_until(wake) => self.woken(clock::now()).await,
            }
            self.advance().await;
            if let Some(snapshot) = self.assembly.publish() {
                super::log(&publish.borrow().problems, &snapshot);
                publish.send_replace(Arc::new(snapshot));
            }
        }
    }

    fn seen(&mut self, seen: Seen) {
        match seen {
            Seen::Manifest(manifest) => {
                if self.assembly.seen(manifest.as_deref()) {
                    self.manifest = manifest.unwrap_or_default();
                    (self.again, self.waited) = (None, Duration::ZERO);
                }
            }
            Seen::Interrupted(error) => {
                tracing::warn!(
                    error,
                    "watching the configuration was interrupted; what runs goes on"
                );
            }
        }
    }

    async fn woken(&mut self, now: Instant) {
        self.again = self.again.filter(|again| *again > now);
        if self.start_by.is_some_and(|start_by| start_by <= now) {
            self.start_by = None;
            if self.assembly.revision().is_none() {
                self.take_kept().await;
            }
        }
    }

    /// Reads what is missing, and runs what is complete.
    async fn advance(&mut self) {
        if self.again.is_some() {
            return;
        }
        if let Err(why) = self.fetch().await {
            self.assembly.not_fetched(why);
            let (first, most) = AGAIN;
            self.waited = (self.waited * 2).clamp(first, most);
            self.again = Some(clock::now() + self.waited);
            return;
        }
        match self.assembly.assemble(clock::now(), clock::unix_millis()) {
            Assembled::Nothing | Assembled::Incomplete => {}
            Assembled::Doubted(until) => self.again = Some(until),
            Assembled::Applied => {
                let manifest = self.manifest.clone();
                self.keep(move |kept| kept.keep(&manifest)).await;
            }
        }
    }

    /// Stops at the first shard that cannot be had; those that were read stay.
    async fn fetch(&mut self) -> Result<(), String> {
        let secrets = self.secrets.clone();
        let mut reading = futures::stream::iter(self.assembly.missing())
            .map(async |name: ShardName| {
                let bytes = secrets.shard(&name).await;
                (name, bytes)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((name, bytes)) = reading.next().await {
            let bytes = bytes.map_err(|error| error.to_string())?;
            let fetched = self.assembly.fetched(&name, &bytes);
            fetched.map_err(|error| error.to_string())?;
            self.keep(move |kept| kept.keep_shard(&name, &bytes)).await;
        }
        Ok(())
    }

    /// Writes to the directory, if there is one. What fails is told, and the worker goes on without.
    async fn keep(&self, write: impl FnOnce(&Kept) -> std::io::Result<()> + Send + 'static) {
        let Some(kept) = self.kept.clone() else {
            return;
        };
        let written = tokio::task::spawn_blocking(move || write(&kept)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the configuration cannot be kept in the snapshot directory");
        }
    }

    /// The API server has told nothing: what ran before the restart runs.
    async fn take_kept(&mut self) {
        let Some(kept) = self.kept.clone() else {
            return;
        };
        let files = match tokio::task::spawn_blocking(move || kept.read()).await {
            Ok(Ok(Some(files))) => files,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what was kept in the snapshot directory cannot be used");
                return;
            }
        };
        let _first = self.assembly.seen(Some(&files.manifest));
        for (name, bytes) in &files.shards {
            // What is not what its name says is missing.
            let _ = self.assembly.fetched(name, bytes);
        }
        match self.assembly.assemble(clock::now(), clock::unix_millis()) {
            Assembled::Applied => tracing::warn!(
                "there is no configuration from the API server; that of before the restart runs"
            ),
            Assembled::Nothing | Assembled::Incomplete | Assembled::Doubted(_) => {
                tracing::warn!("what was kept in the snapshot directory is not complete");
                self.assembly.give_up();
            }
        }
        if !self.manifest.is_empty() {
            // What was seen meanwhile, and is not complete either.
            let _newer = self.assembly.seen(Some(&self.manifest));
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
