//! The bench: what the worker costs, beside the loops that one would write without it.
//!
//! Run by command, never as a test: `docs/benchmarks.md` says how, and what the figures mean. This
//! file owns the command line. Every part that is measured, or that stands on the other side, is
//! this same program in a process of its own: the arms, the receiver, and the worker itself, which
//! is entered by its own first argument. So all arms are compiled in the same way.

mod arm;
mod flow;
mod load;
mod manifest;
mod measure;
mod receiver;
mod report;
mod rounds;
mod scenario;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::scenario::Scenario;

/// Measures the worker. Needs real Kafka, which it fetches and starts by itself.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

/// What this program is when it is not the one that measures.
#[derive(Debug, Subcommand)]
enum Part {
    /// A loop to compare with.
    #[command(hide = true)]
    Arm(arm::Task),
    /// What the loops and the worker deliver to.
    #[command(hide = true)]
    Receive(receiver::Settings),
}

/// What to measure, and how often.
#[derive(Debug, Args)]
struct Options {
    /// Scenarios, in this order; all when none is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// Rounds of the scenarios that compare arms, instead of each scenario's own number. Every
    /// round runs each arm once; the order is reversed from round to round.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Events a run, instead of each scenario's own number.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: Option<u64>,
    /// About how many bytes of a partition lie together in Kafka, as a producer's batch; as much as comes
    /// together by itself when it is not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..))]
    batch_bytes: Option<u32>,
    /// Decides what the events contain and which order comes first.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes all figures, those of single runs included, to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The worker's executable, instead of the worker that is compiled into the bench.
    #[arg(long)]
    worker: Option<PathBuf>,
    /// The executable of an earlier worker, for the scenario that compares with it.
    #[arg(long)]
    earlier: Option<PathBuf>,
}

fn main() -> ExitCode {
    // The worker reads the command line by itself.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == "run")
    {
        return parcelhook_worker::command::main();
    }
    let cli = Cli::parse();
    let ended = match cli.part {
        Some(Part::Arm(task)) => arm::run(&task),
        Some(Part::Receive(settings)) => receiver::serve(&settings),
        None => scenario::measure(&cli.options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
