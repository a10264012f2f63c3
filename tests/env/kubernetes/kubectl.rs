//! `kubectl` as a person would run it, with a configuration of its own.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};

use crate::process::Launch;

/// How long one command may take. Those that wait are told their own time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `kubectl` with the credentials of one client.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error, where warnings are too.
    pub stderr: String,
}

impl Kubectl {
    pub(super) fn new(program: PathBuf, kubeconfig: PathBuf, cache: PathBuf) -> Self {
        Self {
            program,
            kubeconfig,
            cache,
        }
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn run<A: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Said> {
        let process = Launch::new("kubectl", &self.program)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", &self.cache)
            .args(arguments)
            .start()?;
        let status = process.ended(PATIENCE).await?;
        Ok(Said {
            success: status.success(),
            stdout: process.stdout().text()?,
            stderr: process.stderr().text()?,
        })
    }

    /// Runs a command that is to succeed without a warning, and returns its standard output.
    ///
    /// # Errors
    /// When it fails, or says anything on standard error.
    pub async fn ok<A: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let said = self.run(arguments.clone()).await?;
        ensure!(
            said.success && said.stderr.is_empty(),
            "kubectl {arguments:?}: {said:#?}"
        );
        Ok(said.stdout)
    }
}
