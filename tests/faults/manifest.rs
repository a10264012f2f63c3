//! Manifests, in a directory for each worker process.
//!
//! They differ between processes in one header only, by which a process names itself to the
//! receivers; so the judge knows who sent what. Files are put in place by rename.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use parcelhook_env::directories;
use serde_json::{Value, json};

use crate::{
    judge::{INITIAL_BACKOFF_MS, MAX_BACKOFF_MS, WorkerNumber},
    receiver::{Receivers, WORKER_HEADER},
    roster::{self, TARGETS},
    source::Taste,
};

/// How long the worker waits for an answer.
const TIMEOUT: &str = "3s";

/// The shortest time for which events can be kept.
const SHORTEST_AGE: &str = "1m";

/// What all manifests of a run have in common, and what may change.
#[derive(Debug)]
pub(crate) struct Manifests {
    worker_group: String,
    topics: Vec<String>,
    urls: Vec<String>,
    variable: Vec<Variable>,
}

/// What may change of a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    pub(crate) max_events: u16,
    pub(crate) suspended: bool,
    /// There is no manifest.
    pub(crate) missing: bool,
}

impl Manifests {
    /// As the roster says.
    pub(crate) fn new(
        worker_group: &str,
        topics: &[String],
        receivers: &Receivers,
    ) -> Result<Self> {
        let urls = roster::all().map(|(target, _)| Ok(receivers.of(target)?.url()));
        Ok(Self {
            worker_group: worker_group.to_owned(),
            topics: topics.to_vec(),
            urls: urls.collect::<Result<_>>()?,
            variable: TARGETS.iter().map(Variable::of).collect(),
        })
    }

    /// A directory with the manifests for one process. Those that are missing elsewhere are missing here,
    /// too: the group remembers their targets.
    pub(crate) fn directory(&self, worker: WorkerNumber) -> Result<PathBuf> {
        let directory = directories::fresh("targets")?;
        for (target, _) in roster::all() {
            self.write(&directory, worker, target)?;
        }
        Ok(directory)
    }

    /// Changes a target, in this memory alone.
    pub(crate) fn change(&mut self, target: u8, change: impl FnOnce(&mut Variable)) {
        if let Some(own) = self.variable.get_mut(usize::from(target)) {
            change(own);
        }
    }

    /// Writes a target's manifest, or takes it away.
    pub(crate) fn write(&self, directory: &Path, worker: WorkerNumber, target: u8) -> Result<()> {
        if !self.variable[usize::from(target)].missing {
            return self.put(directory, worker, target);
        }
        let place = place(directory, target);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", place.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn put(&self, directory: &Path, worker: WorkerNumber, target: u8) -> Result<()> {
        let text = self.manifest(worker, usize::from(target)).to_string();
        let place = place(directory, target);
        // Names that begin with a dot are not read.
        let written = directory.join(format!(".{}.json", TARGETS[usize::from(target)].name));
        fs::write(&written, text).with_context(|| format!("write {}", written.display()))?;
        fs::rename(&written, &place).with_context(|| format!("write {}", place.display()))
    }

    fn manifest(&self, worker: WorkerNumber, target: usize) -> Value {
        let roster::Target {
            name,
            taste,
            expires,
            ..
        } = TARGETS[target];
        let Variable {
            max_events,
            suspended,
            ..
        } = self.variable[target];
        let sources = self.topics.iter().map(|topic| match taste {
            Taste::Everything => json!({"topic": topic}),
            Taste::KindA => {
                let headers = json!([{"name": "kind", "values": ["a"]}]);
                json!({"topic": topic, "filter": {"headers": headers}})
            }
        });
        let header = json!({"name": WORKER_HEADER, "value": worker.to_string()});
        let mut retry = json!({
            "initialBackoff": format!("{INITIAL_BACKOFF_MS}ms"),
            "maxBackoff": format!("{}s", MAX_BACKOFF_MS / 1_000),
        });
        if expires {
            retry["maxAge"] = json!(SHORTEST_AGE);
        }
        json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": {"name": name},
            "spec": {
                "workerGroup": self.worker_group,
                "sources": sources.collect::<Vec<_>>(),
                "startFrom": "Earliest",
                "endpoint": {"url": self.urls[target], "headers": [header]},
                "format": "Json",
                "delivery": {"timeout": TIMEOUT},
                "transaction": {"maxEvents": max_events},
                "suspend": suspended,
                "retry": retry,
            },
        })
    }
}

impl Variable {
    fn of(target: &roster::Target) -> Self {
        Self {
            max_events: target.max_events,
            suspended: false,
            missing: false,
        }
    }
}

fn place(directory: &Path, target: u8) -> PathBuf {
    directory.join(format!("{}.json", TARGETS[usize::from(target)].name))
}
