//! Real processes under test: started, watched, signalled, and gone with the run.
//!
//! A [`Process`] is signalled by its own id, and only while that id is surely its own: it is
//! reaped nowhere else, and never signalled after that.

mod log;
mod nursery;
mod usage;

pub use log::Log;
pub use usage::Usage;

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::{directories, eventually};

/// How much of a log a failure shows: enough for a Java stack trace.
const TAIL_LINES: usize = 40;

/// A program about to be started.
#[derive(Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Launch {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Launch {
    /// `name` is what messages and the log's directory call it.
    pub fn new(name: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment, which is otherwise this process's own.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the working directory; otherwise it is that of this process.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Starts it, with an empty standard input and both output streams going to files.
    ///
    /// # Errors
    /// When `setpriv` cannot be started. A missing program shows as an early end, with the
    /// shell's message in the log.
    pub fn start(self) -> Result<Process> {
        let logs = directories::fresh(&self.name)?;
        let (stdout, stdout_file) = stream(logs.join("stdout"))?;
        let (stderr, stderr_file) = stream(logs.join("stderr"))?;
        let name = self.name.clone();
        let child = self.born(stdout_file.into(), stderr_file.into())?;
        Ok(Process {
            name,
            pid: child.id(),
            child: Mutex::new(child),
            stdout,
            stderr,
        })
    }

    /// Runs it to its end, blocking, and returns what it wrote to standard output.
    ///
    /// # Errors
    /// When it ends with anything but success; the error shows what it wrote.
    pub fn run(self) -> Result<String> {
        let name = self.name.clone();
        let child = self.born(Stdio::piped(), Stdio::piped())?;
        let output = child
            .wait_with_output()
            .with_context(|| format!("wait for {name}"))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{name} failed ({}):\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(stdout)
    }

    fn born(self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        nursery::start(self.program, self.arguments, |command| {
            command
                .envs(self.environment)
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(stderr);
            if let Some(directory) = self.directory {
                command.current_dir(directory);
            }
        })
        .with_context(|| format!("start {}", self.name))
    }
}

fn stream(path: PathBuf) -> Result<(Log, File)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    Ok((Log::new(path), file))
}

/// A child of this process. Killed when dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    stdout: Log,
    stderr: Log,
}

impl Process {
    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> &Log {
        &self.stdout
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> &Log {
        &self.stderr
    }

    /// What it uses.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to end as Ctrl-C does (SIGINT).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Ends it without a chance to tidy up (SIGKILL).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Stops it where it stands (SIGSTOP): its sockets stay open and nobody answers.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Lets it have no more files and sockets than it has open now.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn freeze_files(&self) -> Result<()> {
        let open = format!("/proc/{}/fd", self.pid);
        let open = std::fs::read_dir(&open).with_context(|| format!("list {open}"))?;
        self.limit_files(Some(open.count() as u64))
    }

    /// Lets it have as many files and sockets as this process.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn thaw_files(&self) -> Result<()> {
        self.limit_files(rustix::process::getrlimit(Resource::Nofile).current)
    }

    /// Lets it write nothing more into any file, as on a full disk: what would make one longer fails.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn fill_disk(&self) -> Result<()> {
        let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
        let current = Some(0);
        let limit = Rlimit { current, maximum };
        self.while_its_own(|pid| prlimit(Some(pid), Resource::Fsize, limit))
            .with_context(|| format!("limit what {} writes", self.name))?;
        Ok(())
    }

    fn limit_files(&self, current: Option<u64>) -> Result<()> {
        let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current, maximum };
        self.while_its_own(|pid| prlimit(Some(pid), Resource::Nofile, limit))
            .with_context(|| format!("limit the files of {}", self.name))?;
        Ok(())
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| format!("look after {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `within`; shows the end of its log.
    pub async fn ended(&self, within: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {} (pid {})", self.name, self.pid);
        eventually(&what, within, async || {
            self.exit_status()?.context("it still runs")
        })
        .await
        .with_context(|| self.tail())
    }

    /// Waits until a line that contains `needle` is in one of its logs, and returns that line.
    ///
    /// # Errors
    /// When it does not come `within`, at once when the process ends without it; shows the end of
    /// its log.
    pub async fn says(&self, needle: &str, within: Duration) -> Result<String> {
        let what = format!("{:?} from {} (pid {})", needle, self.name, self.pid);
        let line = eventually(&what, within, async || {
            // Asked before the logs are read: what it wrote before its end is in them then.
            let ended = self.exit_status()?.is_some();
            let line = self.line_with(needle)?;
            ensure!(line.is_some() || ended, "no such line");
            Ok(line)
        })
        .await
        .with_context(|| self.tail())?;
        line.with_context(|| format!("{what}: it ended without\n{}", self.tail()))
    }

    fn line_with(&self, needle: &str) -> Result<Option<String>> {
        match self.stderr.line_with(needle)? {
            Some(line) => Ok(Some(line)),
            None => self.stdout.line_with(needle),
        }
    }

    /// The end of both logs, for a message to a person.
    pub fn tail(&self) -> String {
        let tail = |log: &Log| format!("{}:\n{}", log.path().display(), log.tail(TAIL_LINES));
        format!("{}\n{}", tail(&self.stdout), tail(&self.stderr))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.while_its_own(|pid| kill_process(pid, signal))
            .with_context(|| format!("send {signal:?} to {}", self.name))
    }

    /// Does something to the process by its id.
    fn while_its_own<T>(&self, act: impl FnOnce(Pid) -> rustix::io::Result<T>) -> Result<T> {
        // The lock keeps others from reaping it, so the id is its own until we are done.
        let mut child = self.child();
        let status = child
            .try_wait()
            .with_context(|| format!("look after {}", self.name))?;
        if let Some(status) = status {
            bail!("it has ended ({status})");
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} is no process id", self.pid))?;
        Ok(act(pid)?)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Both fail only when it has ended and been reaped.
        let _ = child.kill();
        let _ = child.wait();
    }
}
