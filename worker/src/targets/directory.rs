//! The shell around the catalog: looks at the directories, waits until they rest, reads them, and
//! publishes what comes of it.
//!
//! Polling, not notification: it works the same on every file system and through Kubernetes' links.
//! A change is read once two looks in a row are alike, so that a file is not read while it is
//! written; directories that never rest are read all the same after a while.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::catalog::Catalog;
use super::compile::Compiler;
use super::release::Said;
use super::signature::signature;
use super::{Snapshot, read};

/// How often the directories are looked at. A change is read at the second look after it, so in
/// less than half of the two seconds that are promised.
pub const POLL_INTERVAL: Duration = Duration::from_millis(400);

/// Looks at directories that change all the time before they are read as they are, still within the
/// two seconds.
const MAX_RESTLESS_LOOKS: u32 = 3;

/// Readings of the first load, when files change meanwhile. The watch reads again in any case.
const MAX_FIRST_READINGS: usize = 3;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Directory of manifests.
    pub targets: PathBuf,
    /// Directory of Secrets, `<name>/<key>`.
    pub secrets: Option<PathBuf>,
}

/// The directory of manifests cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It cannot be listed.
    #[error("targets: {0}; give a directory of manifests with --targets")]
    Targets(String),
    /// The directory of Secrets cannot be listed.
    #[error("secretsDir: {0}; give a directory of Secrets with --secrets-dir, or none")]
    Secrets(String),
    /// The file that numbers its states cannot be used.
    #[error("targets: the file `revision` {0}; write it as <lineage>:<number>, or remove it")]
    Revision(String),
}

/// A directory of manifests that was loaded once and may be watched.
pub struct Directory<C: Compiler> {
    place: Place,
    catalog: Catalog<C>,
    rest: Rest,
}

impl<C: Compiler> fmt::Debug for Directory<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl<C: Compiler> Directory<C> {
    /// Loads the directory for the first time. Blocking. Bad manifests are problems of the snapshot.
    ///
    /// # Errors
    /// When a directory cannot be read at all.
    pub fn open(
        place: Place,
        worker_group: &str,
        compiler: C,
    ) -> Result<(Self, Arc<Snapshot>), OpenError> {
        let mut scan = read::scan(&place);
        for _again in 1..MAX_FIRST_READINGS {
            let before = signature(&place);
            scan = read::scan(&place);
            if signature(&place) == before {
                break;
            }
        }
        if let Err(message) = scan.files {
            return Err(OpenError::Targets(message));
        }
        if let Some(message) = scan.secrets.unreadable {
            return Err(OpenError::Secrets(message));
        }
        if let Said::Unusable(why) = scan.revision {
            return Err(OpenError::Revision(why));
        }
        let mut catalog = Catalog::new(worker_group, compiler);
        // The first snapshot is always a change.
        let snapshot = Arc::new(catalog.apply(scan).unwrap_or_default());
        let directory = Self {
            place,
            catalog,
            rest: Rest::default(),
        };
        Ok((directory, snapshot))
    }

    /// Watches the directory and publishes each change, until nobody listens any more or the future
    /// is dropped. For a task of its own; files are read on the runtime's blocking threads.
    pub async fn watch(mut self, publish: watch::Sender<Arc<Snapshot>>) {
        let mut looks = tokio::time::interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = publish.closed() => return,
                _ = looks.tick() => {}
            }
            let look = tokio::task::spawn_blocking(move || {
                let snapshot = self.look();
                (self, snapshot)
            });
            let snapshot;
            (self, snapshot) = match look.await {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::error!(%error, "the targets directory is not watched any more; the targets stay as they are; restart the worker");
                    return;
                }
            };
            if let Some(snapshot) = snapshot {
                super::log(&publish.borrow().problems, &snapshot);
                publish.send_replace(Arc::new(snapshot));
            }
        }
    }

    /// One look, and a reading when it is time.
    fn look(&mut self) -> Option<Snapshot> {
        let before = signature(&self.place);
        let look = self.rest.look(before);
        if look == Look::Wait {
            return None;
        }
        let scan = read::scan(&self.place);
        if look == Look::Read && signature(&self.place) != before {
            return None;
        }
        self.rest.was_read(before);
        self.catalog.apply(scan)
    }
}

/// Decides when directories that change have come to rest. Pure.
#[derive(Debug, Default)]
struct Rest {
    /// As they were when they were last read; none makes the watch read once more after the first
    /// load, which may have met a file half written.
    read: Option<u64>,
    /// As they were at the last look, when that was not how they were read.
    last: Option<u64>,
    /// Looks since they first differed from what was read.
    restless: u32,
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Look {
    /// Nothing new, or not at rest.
    Wait,
    /// Read, and use it if nothing changed meanwhile.
    Read,
    /// Read, and use it in any case.
    ReadAnyway,
}

impl Rest {
    fn look(&mut self, signature: u64) -> Look {
        if self.read == Some(signature) {
            self.last = None;
            self.restless = 0;
            return Look::Wait;
        }
        self.restless += 1;
        let at_rest = self.last.replace(signature) == Some(signature);
        if self.restless > MAX_RESTLESS_LOOKS {
            Look::ReadAnyway
        } else if at_rest {
            Look::Read
        } else {
            Look::Wait
        }
    }

    fn was_read(&mut self, signature: u64) {
        self.read = Some(signature);
        self.last = None;
        self.restless = 0;
    }
}

#[cfg(test)]
mod tests;
