//! Which events a target wants.

/// Whether events are kept while the target is DOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceClass {
    /// Kept and delivered later.
    #[default]
    Persistent,
    /// Dropped and counted.
    Ephemeral,
}

/// Where the first delivery of a topic starts that the worker group has never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// The end of the topic.
    #[default]
    Latest,
    /// Its beginning.
    Earliest,
    /// The first record at or after this time, milliseconds since the Unix epoch.
    Timestamp(i64),
}

/// Which events of a topic are wanted: all header matches and, when keys are given, one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Headers that must all match.
    pub headers: Vec<HeaderMatch>,
    /// Keys of which one must match; empty matches every key, also none.
    pub keys: Vec<KeyMatch>,
}

/// A header that must have one of the values, compared as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Name of the Kafka header.
    pub name: String,
    /// Accepted values.
    pub values: Vec<String>,
}

/// A key, compared as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMatch {
    /// The whole key.
    Exact(String),
    /// Its beginning.
    Prefix(String),
}
