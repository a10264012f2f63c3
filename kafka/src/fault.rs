//! What is wrong with a configuration: every fault at once, each with its key, where the value came
//! from, and the way out. Never the value of a secret.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, by this flag (without dashes).
    Flag(&'static str),
    /// By this environment variable.
    Variable(&'static str),
    /// In the file, at this line.
    File {
        /// The file, as it was named.
        file: Arc<Path>,
        /// Line, from 1; 0 when it is not known.
        line: u64,
    },
    /// Nowhere: it is the default, or missing.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File { file, line: 0 } => write!(f, "{}", file.display()),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Nowhere => f.write_str("not set"),
        }
    }
}

/// A value and where it was given. `Debug` does not show the value: it may be a secret.
#[derive(Clone)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was given.
    pub origin: Origin,
}

impl<T> fmt::Debug for Sourced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sourced")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} ({origin}): {message}")]
pub struct Fault {
    /// The key as the file names it, such as `kafka.tls.ca`.
    pub key: String,
    /// Where its value was given.
    pub origin: Origin,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Fault {
    /// Something that is wrong with a setting.
    pub fn new(key: impl Into<String>, origin: Origin, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            origin,
            message: message.into(),
        }
    }
}

/// Everything that is wrong, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
