//! One run of one process: its cost between two moments, and the most memory it ever used.
//!
//! The first moment is when a tenth of the events has come, the second when nine tenths have: the
//! start of a process and the last events of uneven partitions belong to no event. Memory is that
//! of the whole life, so the start counts there.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use parcelhook_env::{clock, process::Process};
use serde::Serialize;

use crate::receiver::{Counts, Latencies};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// How long it may take until the next event comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    events: u64,
    at: Instant,
    cpu: Duration,
    switches: u64,
}

impl Sample {
    /// `process` now, when it has done `events` events.
    pub(crate) fn take(process: &Process, events: u64) -> Result<Self> {
        Ok(Self {
            events,
            at: clock::now(),
            cpu: process.usage()?.cpu,
            switches: switches(process.pid())?,
        })
    }

    /// What lies between this sample and a later one.
    pub(crate) fn until(self, later: Self) -> Cost {
        let events = (later.events - self.events) as f64;
        let wall = later.at.saturating_duration_since(self.at).as_secs_f64();
        let cpu = later.cpu.saturating_sub(self.cpu).as_secs_f64();
        Cost {
            events: later.events - self.events,
            seconds: wall,
            cpu_seconds: cpu,
            cpu_micros_an_event: cpu * 1e6 / events,
            events_a_second: events / wall,
            switches_an_event: later.switches.saturating_sub(self.switches) as f64 / events,
        }
    }
}

/// What a number of events cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Events between the two moments.
    pub(crate) events: u64,
    /// Wall time.
    pub(crate) seconds: f64,
    /// CPU time, user and system, of all threads of the process.
    pub(crate) cpu_seconds: f64,
    /// The same for one event, microseconds.
    pub(crate) cpu_micros_an_event: f64,
    /// Throughput.
    pub(crate) events_a_second: f64,
    /// Context switches of all threads, voluntary or not.
    pub(crate) switches_an_event: f64,
}

/// A whole run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Run {
    /// What the middle part cost.
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// The most memory that was ever resident, bytes.
    pub(crate) peak_bytes: u64,
    /// Events that were expected and never came.
    pub(crate) lost: u64,
    /// What the receiver counted; nothing for an arm that only reads.
    pub(crate) counts: Option<Counts>,
    /// How long events were under way, where they are stamped.
    pub(crate) latencies: Option<Latencies>,
}

/// Follows `process` until it has done `expected` events; `seen` says how many it has done.
///
/// # Errors
/// When it ends, or when nothing comes any more before the window is over. Events that are missing
/// after it are no error, but the result.
pub(crate) async fn follow(
    process: &Process,
    expected: u64,
    seen: impl AsyncFn() -> Result<u64>,
) -> Result<Run> {
    let begin = reach(process, expected / 10, &seen).await?;
    let end = reach(process, expected * 9 / 10, &seen).await?;
    let all = reach(process, expected, &seen).await;
    let done = match all {
        Ok(sample) => sample.events,
        Err(_stuck) => seen().await?,
    };
    Ok(Run {
        cost: begin.until(end),
        peak_bytes: process.usage()?.peak_resident_bytes,
        lost: expected.saturating_sub(done),
        counts: None,
        latencies: None,
    })
}

/// Waits until `process` has done `wanted` events, and samples it then.
///
/// # Errors
/// When it ends, or when nothing comes any more before.
pub(crate) async fn reach(
    process: &Process,
    wanted: u64,
    seen: &impl AsyncFn() -> Result<u64>,
) -> Result<Sample> {
    let (mut last, mut since) = (0, clock::now());
    loop {
        let events = seen().await?;
        if events >= wanted {
            return Sample::take(process, events);
        }
        if let Some(status) = process.exit_status()? {
            bail!("{} ended ({status}):\n{}", process.name(), process.tail());
        }
        if events > last {
            (last, since) = (events, clock::now());
        }
        ensure!(
            clock::now() < since + PATIENCE,
            "{} stands at {events} of {wanted} events:\n{}",
            process.name(),
            process.tail()
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Context switches of all living threads.
fn switches(pid: u32) -> Result<u64> {
    let threads = format!("/proc/{pid}/task");
    let mut sum = 0;
    for thread in fs::read_dir(&threads).with_context(|| format!("list {threads}"))? {
        // A thread may have ended meanwhile.
        let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        sum += status
            .lines()
            .filter_map(|line| line.split_once("ctxt_switches:"))
            .filter_map(|(_, number)| number.trim().parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(sum)
}
