//! The one place where everything that is seen gets its order: the journal's file and the judge are
//! behind one lock.
//!
//! A receiver tells what it is about to do before it does it, so whatever follows from a delivery, a
//! commit above all, comes later in this order than the delivery.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use parcelhook_env::clock;
use serde::{Deserialize, Serialize};

use crate::{
    judge::{Invariant, Judge, Seen},
    load::now_ms,
    source::Source,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Witness {
    began: Instant,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    judge: Judge,
    journal: BufWriter<File>,
    /// The first line that could not be written.
    failed: Option<std::io::Error>,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Line<S> {
    /// Milliseconds since the run began.
    ms: u64,
    seen: S,
}

/// Judges a run again by its journal.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) fn judge_again(source: Source, journal: &Path) -> Result<Judge> {
    let mut judge = Judge::new(source);
    let mut last_ms = 0;
    let file = File::open(journal).with_context(|| format!("open {}", journal.display()))?;
    for line in BufReader::new(file).lines() {
        let line: Line<Seen> = serde_json::from_str(&line.context("read the journal")?)?;
        judge.see(line.ms, &line.seen);
        last_ms = line.ms;
    }
    judge.close(last_ms);
    Ok(judge)
}

impl Witness {
    /// Begins a run whose journal is `path`.
    pub(crate) fn new(source: Source, path: &Path) -> Result<Self> {
        let journal = File::create(path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self {
            began: clock::now(),
            book: Mutex::new(Book {
                judge: Judge::new(source),
                journal: BufWriter::new(journal),
                failed: None,
            }),
        })
    }

    /// How long the run has lasted.
    pub(crate) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    /// A time of day (milliseconds since the Unix epoch), in milliseconds since the run began.
    pub(crate) fn run_ms(&self, unix_ms: u64) -> u64 {
        let ago_ms = now_ms().saturating_sub(unix_ms);
        self.ms().saturating_sub(ago_ms)
    }

    /// Takes note.
    pub(crate) fn see(&self, seen: &Seen) {
        let mut book = self.book();
        // Under the lock, so that times rise from line to line.
        let ms = self.ms();
        book.judge.see(ms, seen);
        if let Err(error) = write(&mut book.journal, &Line { ms, seen }) {
            book.failed.get_or_insert(error);
        }
    }

    /// Takes note of what a shell found out by waiting.
    pub(crate) fn waited(&self, invariant: Invariant, found: Result<(), String>) {
        let ms = self.ms();
        self.book().judge.waited(ms, invariant, found);
    }

    /// Asks the judge something.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Judge) -> T) -> T {
        question(&self.book().judge)
    }

    /// The run is over: looks for what was lost, and finishes the journal.
    ///
    /// # Errors
    /// When the journal could not be written.
    pub(crate) fn close(&self) -> Result<()> {
        let ms = self.ms();
        let mut book = self.book();
        book.judge.close(ms);
        book.journal.flush().context("write the journal")?;
        match book.failed.take() {
            Some(error) => Err(error).context("write the journal"),
            None => Ok(()),
        }
    }

    /// Milliseconds since the run began.
    pub(crate) fn ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(journal: &mut BufWriter<File>, line: &Line<&Seen>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *journal, line)?;
    journal.write_all(b"\n")
}
