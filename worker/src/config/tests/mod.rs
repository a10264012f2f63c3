//! Whole configurations, as they are given.

mod documents;
mod kafka;
mod precedence;
mod table;

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use tempfile::TempDir;

use super::*;

/// A configuration about to be loaded, in a directory of its own.
struct Given {
    directory: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Given {
    fn nothing() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The two settings that have no default.
    fn required() -> Self {
        let given = Self::nothing();
        let path = given.path("").display().to_string();
        given
            .flag(&format!("--targets={path}"))
            .flag("--bootstrap-servers=a:1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn named_file(self, flag: &str, text: &str) -> Self {
        let path = self.path(flag);
        fs::write(&path, text).unwrap();
        self.flag(&format!("--{flag}={}", path.display()))
    }

    fn file(self, text: &str) -> Self {
        self.named_file("config", text)
    }

    fn load(&self) -> Result<Config, Faults> {
        let arguments = ["parcelhook-worker", "run"].map(str::to_owned);
        let cli = Cli::parse_from(arguments.iter().chain(&self.flags));
        let Command::Run(options) = cli.command else {
            panic!("not run");
        };
        Config::load(&options, &self.variables.iter().cloned().collect())
    }

    /// The faults as a person reads them, without the name of the temporary directory.
    fn faults(&self) -> String {
        let faults = self.load().unwrap_err().to_string();
        faults.replace(&format!("{}/", self.directory.path().display()), "")
    }
}
