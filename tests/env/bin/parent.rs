//! A program that has a child and never ends: for the test that kills it and looks for the child.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use parcelhook_env::process::Launch;

fn main() -> Result<()> {
    // On a thread that ends, as tests' threads do: the child must live on all the same.
    let start = || Launch::new("sleeper", "sleep").arg("infinity").start();
    let thread = std::thread::Builder::new().spawn(start)?;
    let child = thread.join().ok().context("the thread panicked")??;
    writeln!(std::io::stdout(), "the child is {}.", child.pid())?;
    loop {
        std::thread::park();
    }
}
