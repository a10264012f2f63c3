//! Histories of a directory: what runs, and what is said, after each step.

mod promises;
mod schedules;

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;
use parcelhook_crds::secret::Secret;

use super::*;
use crate::targets::fake::FakeCompiler;
use crate::targets::release::Said;
use crate::targets::scan::Content;

/// A directory in memory and the catalog that watches it.
struct History {
    files: BTreeMap<String, Content>,
    secrets: BTreeMap<String, String>,
    compiler: FakeCompiler,
    catalog: Catalog<FakeCompiler>,
    last: Snapshot,
}

impl History {
    fn new() -> Self {
        let compiler = FakeCompiler::default();
        Self {
            files: BTreeMap::new(),
            secrets: BTreeMap::new(),
            catalog: Catalog::new("default", compiler.clone()),
            compiler,
            last: Snapshot::default(),
        }
    }

    fn put(&mut self, file: &str, text: impl Into<String>) -> &mut Self {
        let bytes = Arc::from(text.into().into_bytes());
        self.files.insert(file.to_owned(), Ok(bytes));
        self
    }

    fn remove(&mut self, file: &str) -> &mut Self {
        self.files.remove(file);
        self
    }

    fn forbid(&mut self, file: &str) -> &mut Self {
        let message = Err("cannot be read: permission denied".to_owned());
        self.files.insert(file.to_owned(), message);
        self
    }

    fn secret(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.secrets.insert("key".to_owned(), value.to_owned()),
            None => self.secrets.remove("key"),
        };
        self
    }

    fn scan(&self) -> Scan {
        let value =
            |(key, value): (&String, &String)| (key.clone(), Ok(Secret::new(value.as_bytes())));
        let values = self.secrets.iter().map(value).collect();
        Scan {
            revision: Said::Nothing,
            files: Ok(self.files.clone()),
            secrets: Secrets {
                unreadable: None,
                values: BTreeMap::from([("secret".to_owned(), Ok(values))]),
            },
        }
    }

    /// Takes the state of the directory; whether there was a new snapshot.
    fn apply(&mut self) -> bool {
        let scan = self.scan();
        self.take(scan)
    }

    fn take(&mut self, scan: Scan) -> bool {
        let Some(snapshot) = self.catalog.apply(scan) else {
            return false;
        };
        assert_eq!(snapshot.changes, self.last.changes + 1);
        self.last = snapshot;
        true
    }

    /// What runs after taking the state, as `name=url`, and the problems.
    fn after(&mut self) -> (String, Vec<String>) {
        self.apply();
        (self.running(), self.problems())
    }

    fn running(&self) -> String {
        let targets = self.last.targets.iter();
        let shown: Vec<String> = targets
            .map(|target| format!("{}={}", target.name, target.endpoint.shown_url))
            .collect();
        shown.join(" ")
    }

    fn problems(&self) -> Vec<String> {
        self.last.problems.iter().map(Problem::to_string).collect()
    }

    fn target(&self, name: &str) -> Arc<CompiledTarget> {
        let mut targets = self.last.targets.iter();
        Arc::clone(targets.find(|target| target.name == name).unwrap())
    }
}
