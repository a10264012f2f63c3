//! The real worker as a process: started with its flags, observed through its admin port, ended by
//! signals.

mod metrics;

pub use metrics::Metrics;

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    eventually, fetch,
    process::{Launch, Process, Usage},
};

/// How long a worker may take to listen and to be ready. Seconds, also on a loaded machine.
const START: Duration = Duration::from_secs(60);

/// The line of its log that tells the address of the admin port.
const LISTENING: &str = "admin listening";

/// A worker about to be started.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before `start`"]
pub struct Settings {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// The network that is allowed as a destination besides the public ones.
    egress: Option<&'static str>,
    creates_topics: bool,
}

impl Settings {
    /// `binary run` for this worker group, with the directory of its targets, at the brokers
    /// `bootstrap`. The admin port is chosen by the kernel, and all of 127.0.0.0/8 is allowed as
    /// a destination.
    pub fn new(
        binary: impl Into<PathBuf>,
        bootstrap: &str,
        worker_group: &str,
        targets: &Path,
    ) -> Self {
        Self::without_targets(binary, bootstrap, worker_group).flag("--targets", targets)
    }

    /// As [`Settings::new`], with the targets from the Secrets of a namespace. `kubeconfig` is the way
    /// to the API server.
    pub fn in_kubernetes(
        binary: impl Into<PathBuf>,
        bootstrap: &str,
        worker_group: &str,
        (namespace, kubeconfig): (&str, &Path),
    ) -> Self {
        let kubeconfig = kubeconfig.display().to_string();
        Self::without_targets(binary, bootstrap, worker_group)
            .switch("--kubernetes")
            .flag("--kubernetes-namespace", namespace)
            .env("KUBECONFIG", &kubeconfig)
    }

    fn without_targets(binary: impl Into<PathBuf>, bootstrap: &str, worker_group: &str) -> Self {
        let settings = Self {
            binary: binary.into(),
            arguments: vec!["run".into()],
            environment: vec![("NO_COLOR".into(), "1".into())],
            egress: Some("127.0.0.0/8"),
            creates_topics: true,
        };
        settings
            .flag("--bootstrap-servers", bootstrap)
            .flag("--worker-group", worker_group)
            .flag("--admin-listen", "127.0.0.1:0")
    }

    /// Allows public destinations alone, as a worker does by itself.
    pub fn only_public_egress(mut self) -> Self {
        self.egress = None;
        self
    }

    /// Leaves topics that the cluster lacks to somebody else.
    pub fn without_creating_topics(mut self) -> Self {
        self.creates_topics = false;
        self
    }

    /// The command to run instead of `run`, such as `check`.
    pub fn command(mut self, command: &str) -> Self {
        self.arguments[0] = command.into();
        self
    }

    /// Adds the directory of its secrets.
    pub fn secrets(self, directory: &Path) -> Self {
        self.flag("--secrets-dir", directory)
    }

    /// Adds a flag with its value.
    pub fn flag(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([flag.into(), value.into()]);
        self
    }

    /// Adds a flag that has no value.
    pub fn switch(mut self, flag: &str) -> Self {
        self.arguments.push(flag.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends before, or is not ready within a minute; shows the end of its log.
    pub async fn start(self) -> Result<Worker> {
        let worker = self.listen().await?;
        worker.ready(START).await?;
        Ok(worker)
    }

    /// Starts it, and waits until its admin port listens: for a worker that is not to become
    /// ready.
    ///
    /// # Errors
    /// When it ends before; shows the end of its log.
    pub async fn listen(self) -> Result<Worker> {
        let process = self.launch()?;
        let line = process.says(LISTENING, START).await?;
        let admin = socket_address(&line).with_context(|| format!("no address in {line:?}"))?;
        Ok(Worker { process, admin })
    }

    /// Starts it and waits for nothing: for a worker that is to refuse its configuration.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn launch(mut self) -> Result<Process> {
        if let Some(network) = self.egress {
            self = self.flag("--egress-allow", network);
        }
        if self.creates_topics {
            self = self.switch("--create-topics");
        }
        let mut launch = Launch::new("worker", self.binary).args(self.arguments);
        for (name, value) in self.environment {
            launch = launch.env(name, value);
        }
        launch.start()
    }
}

/// A running worker. Killed when dropped, and with the run.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    admin: SocketAddr,
}

impl Worker {
    /// Its process: signals, usage, logs.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where its admin port listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When it does not `within`; shows the end of its log.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let what = format!("a ready worker (pid {})", self.process.pid());
        eventually(&what, within, async || {
            let page = fetch::get(self.admin, "/readyz").await?;
            ensure!(page.status.is_success(), "{}: {}", page.status, page.body);
            Ok(())
        })
        .await
        .with_context(|| self.process.tail())
    }

    /// A page of its admin port.
    ///
    /// # Errors
    /// When there is no answer, or its status is no 2xx.
    pub async fn page(&self, path: &str) -> Result<String> {
        let page = fetch::get(self.admin, path).await?;
        ensure!(page.status.is_success(), "{path}: {}", page.status);
        Ok(page.body)
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When they cannot be fetched or read.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::parse(&self.page("/metrics").await?)
    }

    /// Its targets as `/targets` reports them.
    ///
    /// # Errors
    /// When they cannot be fetched or read.
    pub async fn targets(&self) -> Result<serde_json::Value> {
        let body = self.page("/targets").await?;
        serde_json::from_str(&body).with_context(|| format!("/targets is no JSON: {body}"))
    }

    /// What it uses now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Errors
    /// When it has ended before, or does not `within`.
    pub async fn stop(&self, within: Duration) -> Result<ExitStatus> {
        self.process.terminate()?;
        self.process.ended(within).await
    }

    /// Ends it as a power cut would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When it has ended before.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill()?;
        self.process.ended(START).await?;
        Ok(())
    }

    /// All that it wrote to both its streams, for searches.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(self.process.stdout().text()? + &self.process.stderr().text()?)
    }
}

/// The first socket address in a line of a log, whatever stands around it: text or JSON.
fn socket_address(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')))
        .map(|word| word.trim_matches(['.', ':']))
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_found_in_text_and_in_json() {
        for line in [
            "2026-01-02T03:04:05.678Z INFO admin: admin listening on 127.0.0.1:8080.",
            "2026-01-02T03:04:05.678Z INFO admin listening address=127.0.0.1:8080",
            r#"{"timestamp":"2026-01-02T03:04:05Z","message":"admin listening","address":"127.0.0.1:8080"}"#,
            r#"{"address":"127.0.0.1:8080","message":"admin listening","n":1}"#,
        ] {
            let expected = Some(SocketAddr::from(([127, 0, 0, 1], 8080)));
            assert_eq!(socket_address(line), expected, "{line}");
        }
        assert_eq!(
            socket_address("admin listening at 12:30 on 127.0.0.1"),
            None
        );
    }
}
