//! What a child wrote to one of its streams, as a file that tests search.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file that a child writes and tests read.
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that was written so far; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn text(&self) -> Result<String> {
        let bytes =
            std::fs::read(&self.path).with_context(|| format!("read {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first whole line that contains `needle`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn line_with(&self, needle: &str) -> Result<Option<String>> {
        Ok(whole_line_with(&self.text()?, needle))
    }

    /// The last `lines` lines, for a message to a person. Empty when there is nothing to read.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text().unwrap_or_default();
        let skipped = text.lines().count().saturating_sub(lines);
        text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }
}

/// A line that is still being written could lack its end, so it does not count yet.
fn whole_line_with(text: &str, needle: &str) -> Option<String> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .find(|line| line.contains(needle))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_only_when_it_is_whole() {
        assert_eq!(whole_line_with("a\nport 80", "port"), None);
        assert_eq!(
            whole_line_with("a\nport 8080\nport 1\n", "port").as_deref(),
            Some("port 8080")
        );
    }

    #[test]
    fn the_tail_is_the_end_of_the_log() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\ntwo\nthree\n").unwrap();
        let log = Log::new(file.path().to_owned());
        assert_eq!(log.tail(2), "two\nthree");
        assert_eq!(log.tail(9), "one\ntwo\nthree");
    }
}
