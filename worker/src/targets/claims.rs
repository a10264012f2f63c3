//! Who a target's name belongs to, when some documents are bad. Pure.
//!
//! Invariant: while a file is broken — unreadable, or with a bad document — none of its targets ends.
//! It counts as holding, beside its good documents, the targets that last came from it; a target ends
//! only when its file is gone, or is whole and does not hold it. Of two documents with one name, the
//! first by file name and document wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelhook_crds::compiled::CompiledTarget;

use super::Problem;
use super::document::Name;

/// Longest message of a problem: parsers repeat names of any length.
const MAX_MESSAGE_BYTES: usize = 2048;

/// A target that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) target: Arc<CompiledTarget>,
    /// The file that it last came from.
    pub(super) file: String,
}

/// A document that cannot run.
pub(super) struct Bad {
    pub(super) file: String,
    /// 0: the whole file.
    pub(super) document: usize,
    pub(super) name: Option<Name>,
    pub(super) message: String,
}

/// Whom a name belongs to.
pub(super) struct Claim {
    pub(super) running: Running,
    /// The document that defines it now; none when a broken file holds the last good version.
    pub(super) document: Option<usize>,
}

impl Bad {
    /// A file that is unusable as a whole.
    pub(super) fn whole(file: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            document: 0,
            name: None,
            message,
        }
    }
}

/// One application of a scan.
pub(super) struct Round<'a> {
    before: &'a BTreeMap<Name, Running>,
    claims: BTreeMap<Name, Claim>,
    bad: Vec<Bad>,
    duplicates: Vec<Problem>,
}

impl<'a> Round<'a> {
    pub(super) fn new(before: &'a BTreeMap<Name, Running>, bad: Vec<Bad>) -> Self {
        Self {
            before,
            claims: BTreeMap::new(),
            bad,
            duplicates: Vec::new(),
        }
    }

    /// Decides what runs, and what is said about the rest.
    ///
    /// `good` are the documents that compiled, in the order of files and documents.
    pub(super) fn decide(
        mut self,
        good: Vec<(Name, Claim)>,
    ) -> (BTreeMap<Name, Running>, Vec<Problem>) {
        self.claim(good);
        self.keep_named();
        self.finish()
    }

    /// Hands the names out, file by file: first to a file's good documents, then, when the file is
    /// broken, the rest of what it held.
    fn claim(&mut self, good: Vec<(Name, Claim)>) {
        let mut files: BTreeMap<String, (Vec<(Name, Claim)>, bool)> = BTreeMap::new();
        for (name, claim) in good {
            let file = claim.running.file.clone();
            files.entry(file).or_default().0.push((name, claim));
        }
        for bad in &self.bad {
            files.entry(bad.file.clone()).or_default().1 = true;
        }
        let mut held: BTreeMap<&str, Vec<(&Name, &Running)>> = BTreeMap::new();
        for (name, running) in self.before {
            held.entry(&running.file).or_default().push((name, running));
        }
        for (file, (good, broken)) in files {
            for (name, claim) in good {
                self.claim_one(name, claim);
            }
            let held = held.get(file.as_str()).filter(|_| broken);
            for (name, running) in held.into_iter().flatten() {
                self.hold(name, (*running).clone());
            }
        }
    }

    fn claim_one(&mut self, name: Name, claim: Claim) {
        let Some(first) = self.claims.get(&name) else {
            self.claims.insert(name, claim);
            return;
        };
        let file = &first.running.file;
        let message = match first.document {
            Some(document) => format!(
                "{name} is defined twice: in {file}, document {document}, which wins, and here; remove or rename one"
            ),
            None => format!(
                "{name} still runs as it last was in {file}, which has a problem; mend or remove that file first"
            ),
        };
        self.duplicates.push(Problem {
            file: claim.running.file,
            document: claim.document.unwrap_or(0),
            message,
            last_good_runs: first.document.is_none(),
        });
    }

    fn hold(&mut self, name: &Name, running: Running) {
        let claim = Claim {
            running,
            document: None,
        };
        self.claims.entry(name.clone()).or_insert(claim);
    }

    /// A target that moved to another file and broke on the way: its name tells.
    fn keep_named(&mut self) {
        let mut moved = Vec::new();
        for bad in &self.bad {
            let Some(name) = &bad.name else { continue };
            if let Some(running) = self.before.get(name) {
                let running = Running {
                    target: Arc::clone(&running.target),
                    file: bad.file.clone(),
                };
                moved.push((name.clone(), running));
            }
        }
        for (name, running) in moved {
            self.hold(&name, running);
        }
    }

    fn finish(self) -> (BTreeMap<Name, Running>, Vec<Problem>) {
        let mut problems = self.duplicates;
        for bad in self.bad {
            let is_held = |claim: &Claim| claim.document.is_none();
            let last_good_runs = match &bad.name {
                Some(name) => self.claims.get(name).is_some_and(is_held),
                None => self
                    .claims
                    .values()
                    .any(|claim| is_held(claim) && claim.running.file == bad.file),
            };
            problems.push(Problem {
                file: bad.file,
                document: bad.document,
                message: bounded(bad.message),
                last_good_runs,
            });
        }
        problems.sort_by(|a, b| (&a.file, a.document).cmp(&(&b.file, b.document)));
        let running = self
            .claims
            .into_iter()
            .map(|(name, claim)| (name, claim.running))
            .collect();
        (running, problems)
    }
}

fn bounded(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}
