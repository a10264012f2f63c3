//! The fault programme: real workers on real Kafka while both, and the receivers, are disturbed in
//! every way, and a judge who reads what the receivers saw and what was committed.
//!
//!     cargo run --release -p parcelhook-tests --bin faults -- --faults 2000 --seed 1 --report report.json
//!
//! The seed decides what is written and which faults come when; `--minutes` ends a run by time. More
//! than 200 faults are done in rounds, each in a process of its own; `--resume` goes on with a run by its
//! report. The run ends with 0 when every promise was kept, with 1 when one was broken, with 2 when the
//! environment failed and with 3 when a long run never took a path that it must have taken. What was written then stays where the last lines say: the journal of all that
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
//! | `rounds`, `sum` | a long run in rounds |

mod fleet;
mod inject;
mod judge;
mod letter;
mod load;
mod manifest;
mod plan;
mod receiver;
mod report;
mod roster;
mod rounds;
mod run;
mod sometimes;
mod source;
mod sum;
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
    /// Begins with several faults at a time, without each sort by itself first.
    #[arg(long)]
    together: bool,
    /// Goes on with the run whose report is that of --report.
    #[arg(long, requires = "report")]
    resume: bool,
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
    let ended = match &cli.journal {
        Some(journal) => again(cli.seed, journal),
        None if cli.faults > rounds::ROUND => long(&cli),
        None => programme(&cli),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("faults: the environment failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// One run.
fn programme(cli: &Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("make a runtime")?;
    let settings = run::Settings {
        seed: cli.seed,
        faults: cli.faults,
        lasts: lasts(cli),
        rate: cli.rate,
        alone: !cli.together,
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
    Ok(code(&report))
}

/// A run in rounds.
fn long(cli: &Cli) -> Result<ExitCode> {
    let rounds = rounds::Rounds {
        seed: cli.seed,
        faults: cli.faults,
        lasts: lasts(cli),
        rate: cli.rate,
        alone: !cli.together,
        report: cli.report.clone(),
        goes_on: cli.resume,
    };
    let runtime = tokio::runtime::Runtime::new().context("make a runtime")?;
    let report = runtime.block_on(rounds.run())?;
    write!(std::io::stdout(), "{}", report.table()).context("print the report")?;
    Ok(code(&report))
}

fn lasts(cli: &Cli) -> Option<Duration> {
    cli.minutes.map(|minutes| Duration::from_secs(60 * minutes))
}

/// How a run ends that came to this.
fn code(report: &report::Report) -> ExitCode {
    match (report.kept(), report.never().next()) {
        (false, _) => ExitCode::from(1),
        (true, Some(_)) => ExitCode::from(3),
        (true, None) => ExitCode::SUCCESS,
    }
}

/// Prints what the judge finds in a journal.
fn again(seed: u64, journal: &Path) -> Result<ExitCode> {
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
    Ok(ExitCode::from(u8::from(!violations.is_empty())))
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
