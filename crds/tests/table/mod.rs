//! The table of good and bad manifests in `manifests/`, for whoever judges them.
//!
//! A bad manifest begins with the field and a part of the message that it must be refused with:
//!
//! ```yaml
//! # field: spec.endpoint.url
//! # message: must not contain a fragment
//! ```
//!
//! `# api-server: other` marks those that an API server refuses too, but in other words, because
//! it does not get as far as the resource's own rules.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A manifest of the table.
pub(crate) struct Entry {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

impl Entry {
    /// The field that a bad one is refused for.
    pub(crate) fn field(&self) -> &str {
        self.heading("field")
    }

    /// A part of the message that it is refused with.
    pub(crate) fn message(&self) -> &str {
        self.heading("message")
    }

    /// The value of a `# name: value` line.
    fn heading(&self, name: &str) -> &str {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("# {name}: ")))
            .unwrap()
    }
}

/// The good ones.
pub(crate) fn good() -> Vec<Entry> {
    let entries = entries("good");
    assert!(entries.len() >= 20, "{} files", entries.len());
    entries
}

/// The bad ones.
pub(crate) fn bad() -> Vec<Entry> {
    let entries = entries("bad");
    assert!(entries.len() >= 60, "{} files", entries.len());
    entries
}

fn entries(folder: &str) -> Vec<Entry> {
    // Read by the tests of more than one crate.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crds/tests/manifests")
        .join(folder);
    let mut entries: Vec<Entry> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            Entry { file, text }
        })
        .collect();
    entries.sort_by(|one, other| one.file.cmp(&other.file));
    entries
}
