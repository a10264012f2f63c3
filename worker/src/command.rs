//! The command line's three commands, from arguments to exit code.
//!
//! Owns signals and what is printed. `run` ends at the first SIGTERM or SIGINT by letting go, at the
//! second at once.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{
    Cli, Command, Config, DevOptions, Environment, Exit, Faults, Options, TargetsFrom,
};
use crate::dev::{self, DevError, Kind, Screen};
use crate::park::Names;
use crate::park::reader::ReaderError;
use crate::park::topics::TopicsError;
use crate::run::{StartError, Worker, limit_arenas};
use crate::source::SourceError;
use crate::targets::{Place, compile::Rules};
use crate::telemetry::logs::{self, Telemetry};

mod demo;

/// How long the last traces may take to be exported.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// Threads for what blocks: names that are resolved, files that are read.
const BLOCKING_THREADS: usize = 8;

/// The worker's `main`.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(options) => run(&options),
        Command::Check(options) => check(&options),
        Command::Dev(options) => demo(&options),
    };
    exit.into()
}

fn run(options: &Options) -> Exit {
    let config = match load(options) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    // Before there are threads.
    limit_arenas(config.shards.get());
    let telemetry = match logs::init(config.log.format, &config.log.level) {
        Ok(telemetry) => telemetry,
        Err(error) => return complain(&error, Exit::Configuration),
    };
    let exit = block_on(serve(&config));
    Telemetry::shutdown(telemetry, LAST_TRACES);
    exit
}

async fn serve(config: &Config) -> Exit {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return complain(&error, Exit::Internal),
    };
    let started = tokio::select! {
        started = Worker::start(config) => started,
        () = signals.next() => {
            tracing::info!("ended before it had begun");
            return Exit::Clean;
        }
    };
    let worker = match started {
        Ok(worker) => worker,
        Err(error) => {
            tracing::error!(%error, "the worker does not start");
            return exit_of(&error);
        }
    };
    let reason = tokio::select! {
        () = signals.next() => Exit::Clean,
        error = worker.failed() => {
            tracing::error!(%error, "the worker cannot go on");
            Exit::Kafka
        }
    };
    tracing::info!("letting go; a second signal ends at once");
    tokio::select! {
        leftover = worker.stop() => {
            if reason == Exit::Clean && !leftover.cancelled.is_empty() {
                return Exit::Unfinished;
            }
            tracing::info!("ended");
            reason
        }
        () = signals.next() => {
            tracing::warn!("ended by a second signal; what was in flight may come again");
            Exit::Unfinished
        }
    }
}

const fn exit_of(error: &StartError) -> Exit {
    match error {
        StartError::Targets(_)
        | StartError::Kubernetes(_)
        | StartError::Admin(_)
        | StartError::Producer(_)
        | StartError::Reader(ReaderError::Configuration(_))
        | StartError::Topics(TopicsError::Configuration(_))
        | StartError::Source(SourceError::Configuration(_)) => Exit::Configuration,
        StartError::Source(_) | StartError::Topics(_) => Exit::Kafka,
        StartError::Reader(ReaderError::Thread(_)) => Exit::Internal,
        StartError::Thread(_) => Exit::Internal,
    }
}

fn check(options: &Options) -> Exit {
    let config = match load(options) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let place = match config.targets {
        TargetsFrom::Directory { manifests, secrets } => Place {
            targets: manifests,
            secrets,
        },
        TargetsFrom::Kubernetes { .. } => {
            // Nobody is left to hear that standard output is closed.
            let _ = writeln!(
                io::stdout(),
                "the targets are in Kubernetes, which has checked them"
            );
            return Exit::Clean;
        }
    };
    let rules = Rules::new(Names::new(&config.prefix));
    match crate::targets::check(place, &config.worker_group, rules, &mut io::stdout()) {
        Ok(exit) => exit,
        Err(error) => complain(&error, Exit::Internal),
    }
}

fn demo(options: &DevOptions) -> Exit {
    let mut screen = Screen::new(io::stdout(), Kind::of_stdout());
    block_on(async {
        match dev::run::<demo::Demo>(options, &mut screen).await {
            Ok(()) => Exit::Clean,
            Err(error) => complain(&error, exit_of_demo(&error)),
        }
    })
}

const fn exit_of_demo(error: &DevError) -> Exit {
    match error {
        DevError::TooMuch(_) | DevError::Targets { .. } | DevError::TooManyTopics(_) => {
            Exit::Configuration
        }
        DevError::Folder(_)
        | DevError::Broker(_)
        | DevError::Producer(_)
        | DevError::Receivers(_)
        | DevError::Signals(_)
        | DevError::Worker(_)
        | DevError::Screen(_) => Exit::Internal,
    }
}

fn load(options: &Options) -> Result<Config, Exit> {
    Config::load(options, &Environment::of_process())
        .map_err(|faults: Faults| complain(&faults, Exit::Configuration))
}

/// Says on standard error why the process ends. Logs may not have begun.
fn complain(error: &dyn std::fmt::Display, exit: Exit) -> Exit {
    // Nobody is left to hear that standard error is closed.
    let _ = writeln!(io::stderr(), "parcelhook-worker: {error}");
    exit
}

/// A runtime for what is rare: configuration, signals, the demo.
fn block_on(future: impl Future<Output = Exit>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(future);
            // A question that brokers do not answer must not hold up the end.
            runtime.shutdown_background();
            exit
        }
        Err(error) => complain(&error, Exit::Internal),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
