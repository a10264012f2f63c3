//! Where the environment keeps its files, all under `target/parcelhook-env/`.
//!
//! * `<part>-<version>/`: what was provisioned. Made once, under a lock, by rename: it is whole or
//!   it is not there, however many runs want it at once.
//! * `runs/<pid>-…/`: data and logs of one run. They stay for a person to read, until the next run
//!   sweeps away those whose process has ended.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow};
use tempfile::TempDir;

use crate::announce;

/// The file in a run's directory that its process keeps locked for as long as it lives.
const IN_USE: &str = "in-use";

/// The root of all that the environment keeps between runs.
pub fn cache() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().unwrap_or(package);
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace.join(target).join("parcelhook-env")
}

/// A new directory of this run, named after what it is for.
///
/// # Errors
/// When it cannot be made.
pub fn fresh(purpose: &str) -> Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let directory = run()?.join(format!("{number:03}-{purpose}"));
    fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
    Ok(directory)
}

/// Makes `cache()/<name>` with `make`, unless it is there already.
///
/// `make` fills a directory that nobody else sees; it is renamed into place when `make` succeeds.
/// A second run that wants the same part waits for the first.
///
/// # Errors
/// Those of `make`, and of the file system.
pub fn provision(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    provision_in(&cache(), name, make)
}

fn provision_in(
    cache: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(cache).with_context(|| format!("make {}", cache.display()))?;
    let _lock = lock(&cache.join(format!("{name}.lock")))?;
    if place.is_dir() {
        return Ok(place);
    }
    // Under the lock, so what lies here was left by a run that was killed.
    let unfinished = cache.join(format!("{name}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("remove {}", unfinished.display()))?;
    }
    fs::create_dir(&unfinished).with_context(|| format!("make {}", unfinished.display()))?;
    make(&unfinished)?;
    fs::rename(&unfinished, &place).with_context(|| format!("put {} in place", place.display()))?;
    Ok(place)
}

/// This run's own directory.
fn run() -> Result<&'static Path> {
    static RUN: OnceLock<Result<(PathBuf, File), String>> = OnceLock::new();
    let made = RUN.get_or_init(|| start_run(&cache()).map_err(|error| format!("{error:#}")));
    match made {
        Ok((directory, _lock)) => Ok(directory),
        Err(error) => Err(anyhow!("make a directory for this run: {error}")),
    }
}

/// Sweeps, and makes a directory whose lock the returned file holds.
fn start_run(cache: &Path) -> Result<(PathBuf, File)> {
    let runs = cache.join("runs");
    fs::create_dir_all(&runs).with_context(|| format!("make {}", runs.display()))?;
    // Without this lock a sweep could take a directory that is made but not yet locked.
    let _sweeping = lock(&cache.join("runs.lock"))?;
    sweep(&runs)?;
    let directory = TempDir::with_prefix_in(format!("{}-", std::process::id()), &runs)
        .context("make it")?
        .keep();
    let in_use = lock(&directory.join(IN_USE))?;
    Ok((directory, in_use))
}

/// Removes the directories of runs that have ended.
fn sweep(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs).with_context(|| format!("list {}", runs.display()))? {
        let directory = entry.context("list a run")?.path();
        let ended = match File::open(directory.join(IN_USE)) {
            Ok(in_use) => in_use.try_lock().is_ok(),
            Err(_never_locked) => true,
        };
        if ended {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("remove {}", directory.display()))?;
        }
    }
    Ok(())
}

/// Opens `path` and waits until this process alone holds its lock, which ends with the file.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
    if file.try_lock().is_err() {
        announce(&format!(
            "waiting for another run to release {}",
            path.display()
        ));
        file.lock()
            .with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_part_is_made_once_however_many_want_it_at_once() {
        let cache = tempfile::tempdir().unwrap();
        let made = AtomicU32::new(0);
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    let place = provision_in(cache.path(), "part-1", |directory| {
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(fs::write(directory.join("file"), "whole")?)
                    });
                    assert_eq!(
                        fs::read_to_string(place.unwrap().join("file")).unwrap(),
                        "whole"
                    );
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_a_killed_run_left_half_made_is_made_anew() {
        let cache = tempfile::tempdir().unwrap();
        let failed = provision_in(cache.path(), "part-1", |directory| {
            fs::write(directory.join("half"), "")?;
            Err(anyhow!("killed"))
        });
        assert!(failed.is_err());
        let place = provision_in(cache.path(), "part-1", |_| Ok(())).unwrap();
        assert!(!place.join("half").exists());
    }

    #[test]
    fn a_sweep_takes_ended_runs_and_leaves_living_ones() {
        let cache = tempfile::tempdir().unwrap();
        let (living, _held) = start_run(cache.path()).unwrap();
        let (ended, released) = start_run(cache.path()).unwrap();
        drop(released);
        start_run(cache.path()).unwrap();
        assert!(living.exists() && !ended.exists());
    }

    #[test]
    fn two_directories_for_one_purpose_differ() {
        assert_ne!(fresh("same").unwrap(), fresh("same").unwrap());
    }
}
