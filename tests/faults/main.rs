//! The fault programme: real workers on real Kafka while both, and the receivers, are disturbed in
//! every way, and a judge who reads what the receivers saw and what was committed.
//!
//!     cargo run --release -p parcelhook-tests --bin faults -- --faults 2000 --seed 1 --report report.json
//!
//! The seed decides what is written and which faults come when; `--minutes` ends a run by time. The
//! run ends with 0 when every promise was kept, with 1 when one was broken and with 2 when the
//! environment failed. What was written then stays where the last lines say: the journal of all that
//! was seen, the plan, the logs of all processes.
//!
//! | module | owns |
//! |---|---|
//! | `plan` | which faults come when (pure) |
//! | `source`, `roster` | what is written, who wants it (pure) |
//! | `judge` | what must hold, found out from what was seen (pure) |
//! | `witness` | the one order of all that is seen |
//! | `receiver`, `load`, `watch`, `tail` | those who see |
//! | `fleet`, `inject` | what is done to workers, brokers and receivers |
//! | `run`, `report`, `sometimes` | one run, and what it came to |

mod fleet;
mod inject;
mod judge;
mod load;
mod manifest;
mod plan;
mod receiver;
mod report;
mod roster;
mod run;
mod sometimes;
mod source;
mod tail;
mod watch;
mod witness;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Parser;
use parcelhook_env::directories;

/// Disturbs workers, brokers and receivers while events flow, and checks what is promised.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Cli {
    /// Ends after so many faults.
    #[arg(long, default_value_t = 60)]
    faults: u64,
    /// Ends after so many minutes, however many faults there were.
    #[arg(long)]
    minutes: Option<u64>,
    /// Decides what is written, and which faults come when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events a second and partition.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..1_000))]
    rate: u32,
    /// Runs nothing, and judges a run of this seed again by its journal.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Writes all figures to this file.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    // The worker reads the command line by itself: it is this same program in other processes.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == "run")
    {
        return parcelhook_worker::command::main();
    }
    let cli = Cli::parse();
    let kept = match &cli.journal {
        Some(journal) => again(cli.seed, journal),
        None => programme(&cli),
    };
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("faults: the environment failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether every promise was kept.
fn programme(cli: &Cli) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new().context("make a runtime")?;
    let settings = run::Settings {
        seed: cli.seed,
        faults: cli.faults,
        lasts: cli.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        rate: cli.rate,
    };
    let (report, directory) = runtime.block_on(run::run(settings))?;
    write!(std::io::stdout(), "{}", report.table()).context("print the report")?;
    report.write(&directory.join("report.json"))?;
    if let Some(path) = &cli.report {
        report.write(path)?;
    }
    if !report.kept() {
        let kept = keep(&directory, cli.seed)?;
        eprintln!(
            "faults: seed {} broke a promise; everything is in {}",
            cli.seed,
            kept.display()
        );
    }
    Ok(report.kept())
}

/// Prints what the judge finds in a journal. Returns whether every promise was kept.
fn again(seed: u64, journal: &Path) -> Result<bool> {
    let judge = witness::judge_again(source::Source::new(seed), journal)?;
    let violations = judge.verdict().violations();
    let mut out = std::io::stdout();
    for violation in violations {
        let (at, name) = (violation.at_ms, violation.invariant.name());
        writeln!(out, "VIOLATED {name} at {at} ms: {}", violation.what)?;
    }
    writeln!(
        out,
        "{:#?}\nrepeated: {:#?}",
        judge.counts(),
        judge.causes()
    )?;
    Ok(violations.is_empty())
}

/// Puts the directory of this run where later runs do not sweep it away.
fn keep(directory: &Path, seed: u64) -> Result<PathBuf> {
    let whole = directory.parent().context("a directory of this run")?;
    let kept = directories::cache().join("kept-faults");
    fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
    let place = kept.join(format!("seed-{seed}-{}", std::process::id()));
    fs::rename(whole, &place).with_context(|| format!("keep {}", place.display()))?;
    Ok(place)
}
