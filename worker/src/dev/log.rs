//! The worker's log in a file, so that it does not run through the table.
//!
//! Owns the file and its bound: a demo may run for days.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

/// Largest log, bytes. What comes after is dropped, and the last line says so.
const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

const FULL: &[u8] = b"the log of a demo ends here: it has reached its bound\n";

/// Sends this process's log to a new file, unless the process has a log already.
///
/// # Errors
/// When the file cannot be made.
pub(super) fn to_file(path: &Path) -> io::Result<()> {
    let file = Bounded::new(File::create_new(path)?, MAX_LOG_BYTES);
    let filter = EnvFilter::new("info");
    let result = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(Mutex::new(file))
        .try_init();
    if result.is_err() {
        tracing::debug!("the process has a log already; the demo's file stays empty");
    }
    Ok(())
}

/// A writer that takes a bounded number of bytes. A line that does not fit is dropped whole, and all
/// after it.
struct Bounded<W> {
    out: W,
    left: u64,
}

impl<W> Bounded<W> {
    fn new(out: W, bytes: u64) -> Self {
        Self { out, left: bytes }
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        if self.left >= length {
            self.left -= length;
            self.out.write_all(line)?;
        } else if self.left > 0 {
            self.left = 0;
            self.out.write_all(FULL)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_says_so_once_and_takes_no_more() {
        let mut log = Bounded::new(Vec::new(), 10);
        for line in [&b"1234567\n"[..], b"123\n", b"1\n", b"2\n"] {
            assert_eq!(log.write(line).unwrap(), line.len());
        }
        assert_eq!(log.out, [&b"1234567\n"[..], FULL].concat());
    }
}
