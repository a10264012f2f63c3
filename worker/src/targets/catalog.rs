//! The targets of a directory, through whatever happens to its files. Pure.
//!
//! Owns what is known of each file and the snapshot that was last given out. Invariants: a target
//! that did not change keeps its `Arc`, and nothing is published when nothing changed. Which version
//! of a target runs while its file is broken is decided in `claims`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

use super::claims::{Bad, Claim, Round, Running};
use super::compile::Compiler;
use super::document::{self, Name};
use super::release::{self, Held, Release};
use super::scan::{Scan, Secrets};
use super::{Problem, Snapshot};

/// Faults of one document that are told; further ones are counted.
const MAX_FAULTS_TOLD: usize = 10;

/// Manifests by file, and the targets that run because of them.
pub(super) struct Catalog<C: Compiler> {
    compiler: C,
    worker_group: String,
    release: Release,
    files: BTreeMap<String, File<C::Manifest>>,
    running: BTreeMap<Name, Running>,
    last: Option<Snapshot>,
}

/// A file that could be read, as it was last seen. Kept because validating costs more than
/// everything else, and most files stay the same.
struct File<M> {
    bytes: Arc<[u8]>,
    /// `Err`: the file as a whole is unusable.
    documents: Result<Vec<Document<M>>, String>,
}

struct Document<M> {
    number: usize,
    content: Validated<M>,
}

enum Validated<M> {
    Manifest { name: Name, manifest: M },
    OfOtherGroup,
    Bad { name: Option<Name>, message: String },
}

impl<C: Compiler> Catalog<C> {
    pub(super) fn new(worker_group: impl Into<String>, compiler: C) -> Self {
        Self {
            compiler,
            worker_group: worker_group.into(),
            release: Release::default(),
            files: BTreeMap::new(),
            running: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes the directories as they are now. None when nothing changed since the last snapshot.
    pub(super) fn apply(&mut self, scan: Scan) -> Option<Snapshot> {
        let files = match scan.files {
            Ok(files) => files,
            Err(message) => return self.directory_lost(message),
        };
        let held = self.release.take(scan.revision, files);
        let mut bad = self.parse_all();
        let good = self.compile(&scan.secrets, &mut bad);
        let (running, problems) = Round::new(&self.running, bad).decide(good);
        self.running = running;
        let held = held.as_ref().map(problem);
        self.publish(problems.into_iter().chain(held).collect())
    }

    /// The directory itself cannot be read: everything goes on.
    fn directory_lost(&mut self, message: String) -> Option<Snapshot> {
        self.publish(vec![Problem {
            file: ".".to_owned(),
            document: 0,
            message,
            last_good_runs: !self.running.is_empty(),
        }])
    }

    /// Parses the files that count. Returns those that could not be read.
    fn parse_all(&mut self) -> Vec<Bad> {
        let mut bad = Vec::new();
        let mut present = BTreeMap::new();
        for (file, content) in self.release.files().clone() {
            match content {
                Ok(bytes) => {
                    let parsed = self.parse(&file, bytes);
                    present.insert(file, parsed);
                }
                Err(message) => bad.push(Bad::whole(&file, message)),
            }
        }
        self.files = present;
        bad
    }

    fn parse(&mut self, file: &str, bytes: Arc<[u8]>) -> File<C::Manifest> {
        if let Some(known) = self.files.remove(file).filter(|known| known.bytes == bytes) {
            return known;
        }
        let documents = document::documents(file, &bytes, &self.worker_group);
        let validate = |document: document::Document| Document {
            number: document.number,
            content: self.validate(document.content),
        };
        let documents = documents.map(|documents| documents.into_iter().map(validate).collect());
        File { bytes, documents }
    }

    fn validate(&self, content: document::Content) -> Validated<C::Manifest> {
        let (name, value) = match content {
            document::Content::Ours { name, value } => (name, value),
            document::Content::OfOtherGroup => return Validated::OfOtherGroup,
            document::Content::Unusable { name, message } => {
                return Validated::Bad { name, message };
            }
        };
        match guarded(|| self.compiler.validate(value)) {
            Ok(manifest) => Validated::Manifest { name, manifest },
            Err(faults) => Validated::Bad {
                message: describe(&name, &faults),
                name: Some(name),
            },
        }
    }

    /// Compiles every valid manifest, in the order of files and documents. What fails goes to `bad`.
    fn compile(&self, secrets: &Secrets, bad: &mut Vec<Bad>) -> Vec<(Name, Claim)> {
        let mut good = Vec::new();
        for (file, parsed) in &self.files {
            match &parsed.documents {
                Err(message) => bad.push(Bad::whole(file, message.clone())),
                Ok(documents) => {
                    for document in documents {
                        match self.compile_one(file, document, secrets) {
                            Some(Ok(claim)) => good.push(claim),
                            Some(Err(one)) => bad.push(one),
                            None => {}
                        }
                    }
                }
            }
        }
        good
    }

    /// None for a document that is not ours to judge.
    fn compile_one(
        &self,
        file: &str,
        document: &Document<C::Manifest>,
        secrets: &Secrets,
    ) -> Option<Result<(Name, Claim), Bad>> {
        let number = document.number;
        let bad = |name: Option<Name>, message: String| Bad {
            file: file.to_owned(),
            document: number,
            name,
            message,
        };
        let (name, manifest) = match &document.content {
            Validated::OfOtherGroup => return None,
            Validated::Bad { name, message } => {
                return Some(Err(bad(name.clone(), message.clone())));
            }
            Validated::Manifest { name, manifest } => (name, manifest),
        };
        Some(match guarded(|| self.compiler.compile(manifest, secrets)) {
            Ok(target) => {
                let running = self.same_or_new(name, target, file);
                let document = Some(number);
                Ok((name.clone(), Claim { running, document }))
            }
            Err(faults) => Err(bad(Some(name.clone()), describe(name, &faults))),
        })
    }

    /// Keeps the identity of a target that did not change.
    fn same_or_new(&self, name: &Name, target: CompiledTarget, file: &str) -> Running {
        let known = self.running.get(name).map(|running| &running.target);
        let target = match known.filter(|known| ***known == target) {
            Some(known) => Arc::clone(known),
            None => Arc::new(target),
        };
        Running {
            target,
            file: file.to_owned(),
        }
    }

    fn publish(&mut self, problems: Vec<Problem>) -> Option<Snapshot> {
        let targets: Vec<Arc<CompiledTarget>> = self
            .running
            .values()
            .map(|running| Arc::clone(&running.target))
            .collect();
        let documents = self
            .files
            .values()
            .filter_map(|file| file.documents.as_ref().ok());
        let of_other_groups = documents
            .flatten()
            .filter(|document| matches!(document.content, Validated::OfOtherGroup))
            .count();
        let same = self.last.as_ref().is_some_and(|last| {
            last.problems == problems
                && last.revision == self.release.revision()
                && last.of_other_groups == of_other_groups
                && last.targets.len() == targets.len()
                && last
                    .targets
                    .iter()
                    .zip(&targets)
                    .all(|(a, b)| Arc::ptr_eq(a, b))
        });
        if same {
            return None;
        }
        let snapshot = Snapshot {
            changes: self.last.as_ref().map_or(1, |last| last.changes + 1),
            revision: self.release.revision(),
            targets,
            ended: Vec::new(),
            problems,
            rejected: Vec::new(),
            of_other_groups,
        };
        self.last = Some(snapshot.clone());
        Some(snapshot)
    }
}

/// The directory holds something else than what runs, and it does not count.
fn problem(held: &Held) -> Problem {
    Problem {
        file: release::FILE.to_owned(),
        document: 0,
        message: held.to_string(),
        last_good_runs: false,
    }
}

/// Runs the rules of the resource on a foreign document. One that makes them panic is bad by itself;
/// it must not take the others with it.
fn guarded<T>(rules: impl FnOnce() -> Result<T, Vec<String>>) -> Result<T, Vec<String>> {
    catch_unwind(AssertUnwindSafe(rules)).unwrap_or_else(|_| {
        let fault = "makes the validation itself fail; please report it as a bug";
        Err(vec![fault.to_owned()])
    })
}

fn describe(name: &Name, faults: &[String]) -> String {
    let told = &faults[..faults.len().min(MAX_FAULTS_TOLD)];
    let more = match faults.len() - told.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{name}: {}{more}", told.join("; "))
}

#[cfg(test)]
mod tests;
