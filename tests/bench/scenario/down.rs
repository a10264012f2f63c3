//! What targets that are DOWN cost the others: half of 200 fail, and share their topics with the other
//! half.
//!
//! What an event costs is the CPU time for all, over those that were delivered or parked. Events come at a
//! steady rate that the machine can easily bear. In the run that is compared with, the same half delivers
//! too, to a receiver of its own, so that the other half's receiver always gets the same. At the end of every
//! run all targets take everything, and nothing may be lost of what was parked.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use parcelhook_env::network;
use serde_json::json;

use super::stage::{Stage, group};
use crate::{
    flow::Flow,
    load::Shape,
    manifest::{Format, Manifests, Spec},
    measure::{self, Run, Sample},
    receiver::{Counts, Mood, Receiver},
    report::{Findings, Report, Target},
    rounds::Rounds,
};

/// Rounds when no other number is asked for.
const ROUNDS: u32 = 1;

const TARGETS: usize = 200;
/// Every topic has 20 targets, ten of each half.
const SHAPE: Shape = Shape {
    topics: 10,
    partitions: 4,
    events: 6_000,
    event_bytes: 1_024,
};
/// Events a second; each is delivered twenty times, or ten.
const RATE: f64 = 100.0;

/// The failing half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Well,
    Refused,
    Unavailable,
    Silent,
}

impl Others {
    const DOWN: [Self; 3] = [Self::Refused, Self::Unavailable, Self::Silent];

    fn name(self) -> &'static str {
        match self {
            Self::Well => "none-down",
            Self::Refused => "refused",
            Self::Unavailable => "503",
            Self::Silent => "hanging",
        }
    }
}

/// Where the failing half delivers to.
struct Half {
    address: SocketAddr,
    receiver: Option<Receiver>,
    takes: bool,
}

impl Half {
    async fn start(shape: Shape, others: Others) -> Result<Self> {
        let mood = match others {
            Others::Well => Mood::Well,
            Others::Unavailable => Mood::Unavailable,
            Others::Silent => Mood::Silent,
            Others::Refused => {
                let host = network::fresh_host();
                let [port] = network::free_ports(host)?;
                return Ok(Self {
                    address: SocketAddr::from((host, port)),
                    receiver: None,
                    takes: false,
                });
            }
        };
        let receiver = Receiver::start_as(shape, mood).await?;
        Ok(Self {
            address: receiver.address(),
            receiver: Some(receiver),
            takes: mood == Mood::Well,
        })
    }

    async fn counts(&self) -> Result<Counts> {
        match &self.receiver {
            Some(receiver) => receiver.counts().await,
            None => Ok(Counts::default()),
        }
    }

    /// From now on it takes everything.
    async fn heal(&mut self, shape: Shape) -> Result<()> {
        if !self.takes {
            // The port must be free first.
            self.receiver = None;
            self.receiver = Some(Receiver::start_at(shape, self.address).await?);
        }
        Ok(())
    }
}

/// None DOWN, and each way of being DOWN.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let shape = Shape {
        events: stage.events(SHAPE.events),
        ..SHAPE
    };
    let arms = [
        Others::Well,
        Others::Refused,
        Others::Unavailable,
        Others::Silent,
    ];
    let run_one = async |others| run(stage, shape, others).await;
    let rounds = Rounds::run(&arms, stage.rounds(ROUNDS), stage.options.seed, run_one).await?;
    let about = format!("{RATE} events/s for {TARGETS} targets, half of them DOWN, Json, signed");
    let mut findings = Findings::new("down", about, shape);
    for (others, runs) in rounds.by_arm() {
        findings.arm(others.name(), runs);
    }
    let p99 = |run: &Run| run.latencies.map_or(f64::NAN, |latencies| latencies.p99_ms);
    let unhindered = rounds
        .by_arm()
        .next()
        .and_then(|(_, runs)| runs.first().map(p99));
    let unhindered = unhindered.context("no rounds")?;
    findings.target(Target::told("none-down: p99, ms", unhindered));
    for down in Others::DOWN {
        let name = down.name();
        let rate = rounds.ratio(down, Others::Well, healthy_rate);
        let rate = rate.context("no rounds")?;
        findings.target(Target::at_least(format!("{name}: rate"), rate, 0.97));
        let slower = rounds.ratio(down, Others::Well, p99).context("no rounds")?;
        findings.target(Target::at_most(format!("{name}: p99"), slower, 1.5));
        let cpu = rounds.cpu_ratio(down, Others::Well).context("no rounds")?;
        let what = format!("{name}: CPU an event that is delivered or parked");
        findings.target(Target::at_most(what, cpu, 1.15));
    }
    report.add(findings)
}

/// First deliveries a second to the half that is well.
fn healthy_rate(run: &Run) -> f64 {
    let events = run.latencies.map_or(f64::NAN, |these| these.events as f64);
    events / run.cost.seconds
}

/// Backoff ends early enough that no run waits long for what was parked.
fn spec() -> Spec {
    Spec {
        format: Format::Json,
        retry: Some(json!({ "maxBackoff": "16s" })),
    }
}

async fn run(stage: &Stage<'_>, shape: Shape, others: Others) -> Result<Run> {
    let mut flow = Flow::new(stage.kafka, shape, RATE, stage.options.seed).await?;
    let healthy = Receiver::start(shape, Duration::ZERO).await?;
    let mut half = Half::start(shape, others).await?;
    let urls = (0..TARGETS).map(|number| {
        let fails = (number / shape.topics) % 2 == 1;
        let address = if fails {
            half.address
        } else {
            healthy.address()
        };
        format!("http://{address}/{number}")
    });
    let prefix = group();
    let manifests = Manifests::write(prefix.clone(), urls, flow.topics(), &spec())?;
    let settings = stage.settings(&manifests).flag("--prefix", &prefix);
    let worker = settings.start().await?;
    let process = worker.process();
    let delivered = async |half: &Half| {
        let counts = healthy.counts().await?.and(half.counts().await?);
        anyhow::Ok(counts.events)
    };
    let handled = async |half: &Half| {
        let metrics = worker.metrics().await?;
        let parked = metrics.sum("parcelhook_target_events_parked_total", &[]);
        anyhow::Ok(delivered(half).await? + parked.unwrap_or(0.0) as u64)
    };

    // Until then whatever hangs has run into its deadline for the first time.
    flow.until(stage.kafka, shape.events / 3).await?;
    healthy.latencies().await?;
    let begin = Sample::take(process, handled(&half).await?)?;
    flow.until(stage.kafka, shape.events).await?;
    let end = Sample::take(process, handled(&half).await?)?;
    let latencies = healthy.latencies().await?;

    half.heal(shape).await?;
    let expected = shape.events * (TARGETS / shape.topics) as u64;
    let seen = async || delivered(&half).await;
    let lost = match measure::reach(process, expected, &seen).await {
        Ok(_) => 0,
        Err(_stuck) => expected.saturating_sub(seen().await?),
    };
    let run = Run {
        cost: begin.until(end),
        peak_bytes: worker.usage()?.peak_resident_bytes,
        lost,
        counts: Some(healthy.counts().await?.and(half.counts().await?)),
        latencies: Some(latencies),
    };
    drop(worker);
    flow.delete(stage.kafka).await?;
    stage.delete_own_topics(&prefix).await?;
    Ok(run)
}
