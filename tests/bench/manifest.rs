//! The worker's directory of targets, as a scenario needs it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use parcelhook_env::directories;
use serde_json::{Value, json};

use crate::arm::SIGNING_KEY;

/// The name of the Secret that holds the signing key, and of its key.
const SECRET: (&str, &str) = ("bench", "signing-key");

/// A body format of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One event a request.
    CloudEvents,
    /// Up to 100 events a request.
    Json,
}

/// What all targets of a scenario have in common.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Their body format.
    pub(crate) format: Format,
    /// `spec.retry`; otherwise the worker's defaults.
    pub(crate) retry: Option<Value>,
}

impl From<Format> for Spec {
    fn from(format: Format) -> Self {
        Self {
            format,
            retry: None,
        }
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::CloudEvents => "CloudEvents",
            Self::Json => "Json",
        }
    }
}

/// The targets of one worker group, in directories that its worker is started with.
#[derive(Debug)]
pub(crate) struct Manifests {
    /// The worker group.
    pub(crate) group: String,
    /// Its targets.
    pub(crate) targets: PathBuf,
    /// Their Secrets.
    pub(crate) secrets: PathBuf,
}

impl Manifests {
    /// Targets of worker group `group`, with signatures: one for each of `urls`, each with one of
    /// `topics` in turn.
    pub(crate) fn write(
        group: String,
        urls: impl IntoIterator<Item = String>,
        topics: &[String],
        spec: &Spec,
    ) -> Result<Self> {
        let root = directories::fresh("targets")?;
        let manifests = Self {
            group,
            targets: root.join("targets"),
            secrets: root.join("secrets"),
        };
        let (secret, key) = SECRET;
        let secret = manifests.secrets.join(secret);
        for directory in [&manifests.targets, &secret] {
            fs::create_dir_all(directory)
                .with_context(|| format!("make {}", directory.display()))?;
        }
        let signing_key = format!("whsec_{}", BASE64.encode(SIGNING_KEY));
        write(secret.join(key), &signing_key)?;
        for ((number, url), topic) in urls.into_iter().enumerate().zip(topics.iter().cycle()) {
            manifests.put(number, topic, spec, &url)?;
        }
        Ok(manifests)
    }

    /// Writes the manifest of a target, or replaces it. By rename, so that nobody reads half of it.
    pub(crate) fn put(&self, number: usize, topic: &str, spec: &Spec, url: &str) -> Result<()> {
        let (secret, key) = SECRET;
        let name = format!("target-{number}");
        let mut manifest = json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": { "name": name },
            "spec": {
                "workerGroup": self.group,
                "sources": [{ "topic": topic }],
                "startFrom": "Earliest",
                "endpoint": { "url": url },
                "signing": { "keySecretRefs": [{ "name": secret, "key": key }] },
                "format": spec.format.name(),
            },
        });
        if let Some(retry) = &spec.retry {
            manifest["spec"]["retry"] = retry.clone();
        }
        // Names that begin with a dot are none of a manifest.
        let written = self.targets.join(format!(".{name}"));
        let place = self.targets.join(format!("{name}.json"));
        write(written.clone(), &manifest.to_string())?;
        fs::rename(written, &place).with_context(|| format!("put {} in place", place.display()))
    }
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}
