//! The temporary folder of the demo: its manifests, which the user may edit while it runs, and its
//! log. Removed when dropped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use tempfile::TempDir;

/// Topics that the demo always has, in the order in which the producer serves them.
pub(super) const DEMO_TOPICS: [&str; 2] = ["orders", "payments"];

/// The manifests by file name. `RECEIVERS` stands for the address of the demo receivers.
const MANIFESTS: [(&str, &str); 3] = [
    ("steady.yaml", include_str!("manifests/steady.yaml")),
    ("flaky.yaml", include_str!("manifests/flaky.yaml")),
    ("slow.yaml", include_str!("manifests/slow.yaml")),
];

/// Largest manifest that is looked into for topics, bytes. The worker has a limit of its own.
const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;

/// A temporary folder with the demo's files.
#[derive(Debug)]
pub(super) struct Folder(TempDir);

impl Folder {
    /// Makes an empty one, readable by its owner alone.
    pub(super) fn create() -> io::Result<Self> {
        tempfile::Builder::new()
            .prefix("parcelhook-dev-")
            .tempdir()
            .map(Self)
    }

    /// Where the log is written.
    pub(super) fn log_file(&self) -> PathBuf {
        self.0.path().join("worker.log")
    }

    /// Writes the three manifests and returns their folder.
    pub(super) fn write_manifests(&self, receivers: SocketAddr) -> io::Result<PathBuf> {
        let directory = self.0.path().join("targets");
        fs::create_dir(&directory)?;
        for (name, text) in MANIFESTS {
            let text = text.replace("RECEIVERS", &receivers.to_string());
            fs::write(directory.join(name), text)?;
        }
        Ok(directory)
    }
}

/// The topics that manifests of a folder name, so that the demo broker has them before the worker
/// asks. A look and no judgement: what cannot be read is left to the worker, which says why.
///
/// # Errors
/// When the folder itself cannot be read.
pub(super) fn topics_in(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut topics = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_manifest = path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        });
        let fits = fs::metadata(&path)
            .is_ok_and(|file| file.is_file() && file.len() <= MAX_MANIFEST_BYTES);
        if is_manifest && fits {
            let text = fs::read_to_string(&path).unwrap_or_default();
            topics.extend(topics_of(&text));
        }
    }
    Ok(topics)
}

fn topics_of(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Manifest {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        sources: Vec<Source>,
    }
    #[derive(Deserialize)]
    struct Source {
        topic: String,
    }
    let manifests: Vec<Manifest> = serde_saphyr::from_multiple(text).unwrap_or_default();
    manifests
        .into_iter()
        .flat_map(|manifest| manifest.spec.sources)
        .map(|source| source.topic)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVERS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 41_231);

    #[test]
    fn the_manifests_are_targets_that_point_at_the_receivers() {
        let folder = Folder::create().unwrap();
        let directory = folder.write_manifests(RECEIVERS).unwrap();
        for name in ["steady", "flaky", "slow"] {
            let text = fs::read_to_string(directory.join(format!("{name}.yaml"))).unwrap();
            let manifest: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(manifest["metadata"]["name"], name);
            parcelhook_crds::manifest::check(manifest.clone()).unwrap();
            let url = format!("http://127.0.0.1:41231/{name}");
            assert_eq!(manifest["spec"]["endpoint"]["url"], url);
            // An event from before the group joined is delivered, too: nobody waits for the next.
            assert_eq!(manifest["spec"]["startFrom"], "Earliest");
        }
    }

    #[test]
    fn every_demo_topic_has_a_target() {
        let folder = Folder::create().unwrap();
        let directory = folder.write_manifests(RECEIVERS).unwrap();
        let expected = DEMO_TOPICS.map(str::to_owned).into();
        assert_eq!(topics_in(&directory).unwrap(), expected);
    }

    #[test]
    fn the_filter_that_the_user_is_told_to_try_is_valid_where_it_stands() {
        let (_, steady) = MANIFESTS[0];
        let text: String = steady
            .lines()
            .map(|line| line.replacen("      # ", "      ", 1) + "\n")
            .collect();
        let manifest: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let filter = &manifest["spec"]["sources"][0]["filter"];
        assert_eq!(filter["headers"][0]["name"], "region");
        assert_eq!(filter["headers"][0]["values"][0], "eu");
        parcelhook_crds::manifest::check(manifest).unwrap();
    }

    #[test]
    fn a_manifest_that_cannot_be_read_hides_no_other() {
        let folder = Folder::create().unwrap();
        let path = folder.0.path();
        fs::write(path.join("a.yaml"), "spec: [broken").unwrap();
        fs::write(
            path.join("b.json"),
            r#"{"spec":{"sources":[{"topic":"b"}]}}"#,
        )
        .unwrap();
        let documents = "spec: {sources: [{topic: c}]}\n---\nspec: {sources: [{topic: d}]}\n";
        fs::write(path.join("c.yml"), documents).unwrap();
        fs::write(path.join("notes.txt"), "spec: {sources: [{topic: e}]}").unwrap();
        let expected = ["b", "c", "d"].map(str::to_owned).into();
        assert_eq!(topics_in(path).unwrap(), expected);
    }

    #[test]
    fn nothing_is_left_behind() {
        let folder = Folder::create().unwrap();
        let path = folder.0.path().to_owned();
        folder.write_manifests(RECEIVERS).unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
