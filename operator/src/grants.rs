//! The grants file: read at the start, and again whenever it says something else.
//!
//! A file that cannot be read, or says nothing that can be understood, changes nothing: what held before
//! goes on. A mounted ConfigMap is replaced as a whole, by a link, so half a file is never met there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::controller::Input;
use crate::metrics::Metrics;
use crate::policy::{Grants, GrantsError, Policy};

/// Largest grants file, bytes. A ConfigMap cannot be larger.
const MAX_BYTES: u64 = 1 << 20;

/// How often the file is read: a few hundred bytes, mostly. A kubelet takes up to a minute to bring a new
/// one, so this is no part of the wait.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub struct GrantsFile {
    path: PathBuf,
    /// What was read last, or why nothing was.
    last: Result<String, String>,
}

impl GrantsFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn open(path: &Path) -> Result<(Self, Grants), GrantsError> {
        let last = read(path);
        let grants = parse(&last)?;
        let path = path.to_owned();
        Ok((Self { path, last }, grants))
    }

    /// Reads it again and again, and hands on what is allowed then, until nobody listens.
    pub async fn follow(
        mut self,
        mut policy: Policy,
        inputs: mpsc::Sender<Input>,
        metrics: Arc<Metrics>,
    ) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look() {
                None => {}
                Some(Ok(grants)) => {
                    tracing::info!("the grants have changed; judging all targets anew");
                    metrics.grants_unreadable.set(0);
                    policy = policy.with_grants(grants);
                    if inputs.send(Input::Policy(policy.clone())).await.is_err() {
                        return;
                    }
                }
                Some(Err(error)) => {
                    metrics.grants_unreadable.set(1);
                    tracing::error!(%error, "the grants that held before go on");
                }
            }
        }
    }

    /// Reads it again; none when it says what it said before.
    ///
    /// # Errors
    /// When it cannot be read or understood. That is told once.
    pub fn look(&mut self) -> Option<Result<Grants, GrantsError>> {
        let now = read(&self.path);
        if now == self.last {
            return None;
        }
        self.last = now;
        Some(parse(&self.last))
    }
}

fn parse(read: &Result<String, String>) -> Result<Grants, GrantsError> {
    match read {
        Ok(text) => Grants::parse(text),
        Err(message) => Err(GrantsError(message.clone())),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_BYTES => Err(format!(
            "{} is larger than {MAX_BYTES} bytes",
            path.display()
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ALL: &str = "grants:\n- {namespaces: [shop], topics: ['*']}\n";

    #[test]
    fn a_change_is_told_once_and_a_file_that_is_no_longer_good_is_told_once_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grants.yaml");
        assert!(GrantsFile::open(&path).is_err(), "it is not there");
        fs::write(&path, ALL).unwrap();
        let (mut file, grants) = GrantsFile::open(&path).unwrap();
        assert!(grants.may_read("shop", "orders"));
        assert!(file.look().is_none());
        fs::write(&path, "grants: []\n").unwrap();
        let taken_back = file.look().unwrap().unwrap();
        assert!(!taken_back.may_read("shop", "orders"));
        fs::write(&path, "grants: nothing\n").unwrap();
        assert!(file.look().unwrap().is_err());
        assert!(file.look().is_none());
        fs::remove_file(&path).unwrap();
        let gone = file.look().unwrap().unwrap_err().to_string();
        assert!(gone.contains("grants.yaml"), "{gone}");
        fs::write(&path, ALL).unwrap();
        assert!(file.look().unwrap().unwrap().may_read("shop", "orders"));
    }
}
