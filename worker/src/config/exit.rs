//! Exit codes of the process: one table for `main`, `--help` and the documentation.

use std::fmt::Write;
use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for was done, and everything delivered was committed.
    Clean,
    /// A fault of the worker itself, or of the machine it runs on.
    Internal,
    /// The command line, the configuration or, for `check`, a manifest is wrong.
    Configuration,
    /// Kafka ended this worker for good.
    Kafka,
    /// The process ended before it had let go.
    Unfinished,
}

impl Exit {
    /// Every way to end, by code.
    pub const ALL: [Self; 5] = [
        Self::Clean,
        Self::Internal,
        Self::Configuration,
        Self::Kafka,
        Self::Unfinished,
    ];

    /// The code, as the shell sees it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Internal => 1,
            // What clap itself uses for a wrong command line.
            Self::Configuration => 2,
            Self::Kafka => 3,
            Self::Unfinished => 4,
        }
    }

    /// What it says, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "clean: what was delivered is committed",
            Self::Internal => "internal failure; the log says which",
            Self::Configuration => "wrong usage, configuration or (check) manifest",
            Self::Kafka => {
                "Kafka ended this worker for good, for instance a fenced group.instance.id"
            }
            Self::Unfinished => {
                "ended before letting go was done: a second signal came, or a part did not end in time; some events may be delivered again"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The paragraph of `--help`.
pub(super) fn help() -> String {
    let mut text = String::from("Exit codes:");
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {}  {}", exit.code(), exit.meaning());
    }
    text
}
