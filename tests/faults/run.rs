//! One run: the parts are brought up, faults follow each other while events flow, everything heals
//! and drains, and the judge is asked.
//!
//! A run stops at the first violation of liveness, because what stands stays; all other violations
//! are collected to the end.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    clock, directories, eventually,
    kafka::{Access, Kafka},
};

use serde_json::Value;

use crate::{
    fleet::{Bootstrap, Fleet},
    inject::{Done, Injector},
    judge::{Invariant, Judge, Lane},
    load::Load,
    manifest::Manifests,
    plan::{Plan, Step, Then},
    receiver::Receivers,
    report::{Report, Row},
    roster::{self, STEADY, STUBBORN, TARGETS},
    source::{LARGEST_EVENT_BYTES, PARTITIONS, Place, Source, TOPICS},
    tail::RETRY,
    watch::Watch,
    witness::Witness,
};

/// How long the steady target may take to catch up after a step: a session of 6 s, rebalances, and
/// a loaded machine.
const SETTLES: Duration = Duration::from_secs(90);

/// How long all targets may take: the same, the longest backoff, and what has gathered.
const DRAINS: Duration = Duration::from_secs(120);

const MIB: u64 = 1 << 20;

/// The most memory that a worker may have: it begins with 50 MiB unoptimized, may have 16 MiB of events
/// in flight and 12 MiB fetched, the same again in buffers that grow, and a request a lane.
const MEMORY_MIB: u64 = 192;

/// When a run ends, and of what it is made.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// Ends after so many faults.
    pub(crate) faults: u64,
    /// Ends after this time.
    pub(crate) lasts: Option<Duration>,
    /// Events a second and partition.
    pub(crate) rate: u32,
    /// Whether every sort of fault comes by itself first.
    pub(crate) alone: bool,
}

/// A run in progress.
struct Run {
    settings: Settings,
    /// The steps so far.
    plan: File,
    injector: Injector,
    tally: Tally,
}

/// What the run itself counts.
#[derive(Default)]
struct Tally {
    steps: u64,
    faults: u64,
    by_kind: BTreeMap<String, u64>,
    not_reached: u64,
    slowest_drain_ms: u64,
}

/// Runs, and returns the report and the directory of all that was written.
///
/// # Errors
/// When the environment fails. Broken promises are no error; they are in the report.
pub(crate) async fn run(settings: Settings) -> Result<(Report, PathBuf)> {
    let directory = directories::fresh("faults")?;
    let (mut run, watch) = Box::pin(Run::start(settings, &directory)).await?;
    let flows = Box::pin(run.storm()).await?;
    if !flows {
        run.say("something stands still: the run ends here")?;
    }
    run.injector.load.stop().await?;
    Box::pin(run.heal()).await?;
    let looks = watch.stop().await?;
    Ok((run.report(looks), directory))
}

impl Run {
    async fn start(settings: Settings, directory: &Path) -> Result<(Self, Watch)> {
        let kafka = Arc::new(Kafka::cluster(3).await?);
        let mut topics = Vec::new();
        for _ in 0..TOPICS {
            let topic = eventually("a source topic", SETTLES, async || {
                // One that was made after all, by a call that took too long, harms nobody.
                kafka.create_topic("faults", PARTITIONS.into(), &[]).await
            });
            topics.push(topic.await?);
        }
        let source = Source::new(settings.seed);
        let witness = Arc::new(Witness::new(source, &directory.join("journal.jsonl"))?);
        let numbers: BTreeMap<String, u8> = topics.iter().cloned().zip(0..).collect();
        let receivers = Receivers::start(source, &numbers, &witness)?;
        let worker_group = format!("faults-{}", settings.seed);
        let group = format!("parcelhook.default.{worker_group}");
        let manifests = Manifests::new(&worker_group, &topics, &receivers)?;
        let bootstrap = Bootstrap {
            direct: kafka.bootstrap(Access::Plaintext),
            linked: kafka.bootstrap(Access::Proxied),
        };
        let fleet = Fleet::new(bootstrap, worker_group, manifests, Arc::clone(&witness));
        let fleet = Arc::new(fleet);
        fleet.muster().await?;
        take_larger_events(&kafka, &topics).await?;
        let load = Load::start(&kafka, &topics, source, settings.rate, &witness).await?;
        let watch = Watch::start(&kafka, (&group, source), &topics, &fleet, &witness)?;
        let plan = directory.join("plan.txt");
        let run = Self {
            plan: File::create(&plan).with_context(|| format!("make {}", plan.display()))?,
            settings,
            injector: Injector {
                kafka,
                fleet,
                receivers,
                load,
                witness,
                group,
                topics,
            },
            tally: Tally::default(),
        };
        Ok((run, watch))
    }

    /// Step after step. Returns whether nothing stands still.
    async fn storm(&mut self) -> Result<bool> {
        self.events_flow().await?;
        if !self.drain(false).await? {
            return Ok(false);
        }
        for step in Plan::new(self.settings.seed, self.settings.alone) {
            let elapsed = self.injector.witness.elapsed();
            let in_time = self.settings.lasts.is_none_or(|lasts| elapsed < lasts);
            if self.tally.faults >= self.settings.faults || !in_time {
                break;
            }
            self.say(&step.to_string())?;
            let done = Box::pin(self.injector.perform(&step)).await;
            let done = done.with_context(|| step.to_string())?;
            self.tally.count(&step, &done);
            let goes_on = match step.then {
                Then::GoOn => true,
                Then::Settle => self.settle().await?,
                Then::Drain => self.drain(false).await?,
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until every partition has an event, so that there is something to wait for.
    async fn events_flow(&self) -> Result<()> {
        let witness = &self.injector.witness;
        let places = Place::first().count();
        eventually("an event in every partition", SETTLES, async || {
            let written = witness.ask(|judge| judge.ends().len());
            ensure!(written == places, "in {written} of {places}");
            Ok(())
        })
        .await
    }

    /// Waits until the steady target has everything that is in Kafka now.
    async fn settle(&self) -> Result<bool> {
        self.injector.fleet.muster().await?;
        self.caught_up(&[STEADY], SETTLES).await
    }

    /// Calms the receivers, and waits until every target has everything that is in Kafka now, and all
    /// workers say so; the stubborn target only when the run is over.
    async fn drain(&mut self, over: bool) -> Result<bool> {
        self.injector.fleet.muster().await?;
        self.injector.receivers.calm(over);
        let began = clock::now();
        let targets = roster::all().map(|(target, _)| target);
        let targets: Vec<u8> = targets
            .filter(|target| over || *target != STUBBORN)
            .collect();
        let drained = self.caught_up(&targets, DRAINS).await?;
        let took = clock::now().saturating_duration_since(began).as_millis();
        let slowest = &mut self.tally.slowest_drain_ms;
        *slowest = u64::try_from(took)?.max(*slowest);
        if drained {
            self.all_up(&targets).await?;
        }
        self.injector.receivers.as_usual();
        Ok(drained)
    }

    async fn caught_up(&self, targets: &[u8], within: Duration) -> Result<bool> {
        let witness = &self.injector.witness;
        let ends = witness.ask(|judge| judge.ends().clone());
        let waited = eventually("everything delivered", within, async || {
            let behind = |judge: &Judge| -> Vec<(Lane, i64)> {
                let targets = targets.iter();
                targets
                    .flat_map(|target| judge.behind(*target, &ends))
                    .collect()
            };
            let behind = witness.ask(behind);
            ensure!(behind.is_empty(), "missing {}", lanes(&behind));
            Ok(())
        })
        .await;
        let found = waited.map_err(|error| format!("{error:#}"));
        let stands = found.is_err();
        witness.waited(Invariant::Liveness, found);
        Ok(!stands)
    }

    /// Waits until every worker calls these targets UP.
    async fn all_up(&self, targets: &[u8]) -> Result<()> {
        let names = targets
            .iter()
            .map(|target| TARGETS[usize::from(*target)].name);
        let names: Vec<&str> = names.collect();
        let found = eventually("every target UP at every worker", SETTLES, async || {
            for slot in self.injector.fleet.slots() {
                let slot = slot.lock().await;
                let Some(member) = slot.as_ref() else {
                    continue;
                };
                let page = member.worker.targets().await?;
                let targets = page["targets"].as_array().context("no targets")?;
                let of_ours = |target: &&Value| names.iter().any(|name| target["name"] == *name);
                for target in targets.iter().filter(of_ours) {
                    let (name, state) = (&target["name"], &target["state"]);
                    ensure!(state == "UP", "worker {}: {name} is {state}", member.number);
                }
            }
            Ok(())
        })
        .await;
        let found = found.map_err(|error| format!("{error:#}"));
        self.injector.witness.waited(Invariant::Agreement, found);
        Ok(())
    }

    /// Heals and drains everything, and ends the workers.
    async fn heal(&mut self) -> Result<()> {
        if self.drain(true).await? {
            self.all_committed().await;
        }
        self.within_memory();
        let fleet = &self.injector.fleet;
        for slot in fleet.slots() {
            if let Some(member) = slot.lock().await.take() {
                fleet.terminate(member).await?;
            }
        }
        self.injector.witness.close()
    }

    /// Waits until the group has committed all that there is.
    async fn all_committed(&self) {
        let witness = &self.injector.witness;
        let found = eventually("everything committed", SETTLES, async || {
            let (ends, commits) =
                witness.ask(|judge| (judge.ends().clone(), judge.commits().clone()));
            ensure!(ends == commits, "{commits:?} of {ends:?}");
            Ok(())
        })
        .await;
        let found = found.map_err(|error| format!("{error:#}"));
        witness.waited(Invariant::Liveness, found);
    }

    /// Looks at the most memory that a worker ever had.
    fn within_memory(&self) {
        let Injector { fleet, witness, .. } = &self.injector;
        fleet.sample();
        let (largest, most) = (fleet.largest(), MEMORY_MIB);
        let (peak, worker) = (largest.bytes / MIB, largest.worker);
        let found = match peak <= most {
            true => Ok(()),
            false => Err(format!(
                "worker {worker} had {peak} MiB, the bound is {most} MiB"
            )),
        };
        witness.waited(Invariant::Memory, found);
    }

    fn report(&self, looks: u64) -> Report {
        let Injector { fleet, witness, .. } = &self.injector;
        let (settings, tally) = (&self.settings, &self.tally);
        let seconds = witness.elapsed().as_secs();
        witness.ask(|judge| {
            let verdict = judge.verdict();
            Report {
                seed: settings.seed,
                seconds,
                steps: tally.steps,
                faults: tally.faults,
                faults_by_kind: tally.by_kind.clone(),
                failpoints_not_reached: tally.not_reached,
                events: judge.ends().values().sum::<i64>().unsigned_abs(),
                counts: judge.counts().clone(),
                out_of_order: verdict.tally(Invariant::Order).violated,
                repeated_by_cause: judge.causes().clone(),
                invariants: Row::all(|invariant| verdict.tally(invariant)),
                violations: verdict.violations().to_vec(),
                sometimes: fleet.evidence().paths(judge.counts(), judge.causes()),
                rounds: 1,
                p99: judge.waits(),
                looks,
                slowest_drain_ms: tally.slowest_drain_ms,
                workers: fleet.started(),
                peak_bytes: fleet.largest().bytes,
            }
        })
    }

    /// Tells the person who waits, and whoever reads the directory later.
    fn say(&mut self, what: &str) -> Result<()> {
        let seconds = self.injector.witness.elapsed().as_secs_f64();
        let line = format!("{seconds:>8.1} s  {what}\n");
        self.plan
            .write_all(line.as_bytes())
            .context("write the plan")?;
        // Nobody reads a closed standard error.
        let _ = std::io::stderr().write_all(line.as_bytes());
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, step: &Step, done: &[Done]) {
        self.steps += 1;
        for (fault, done) in step.tracks.iter().flatten().zip(done) {
            match done {
                Done::Injected => {
                    self.faults += 1;
                    *self.by_kind.entry(fault.kind().name()).or_default() += 1;
                }
                Done::NotReached => self.not_reached += 1,
            }
        }
    }
}

/// Lets source topics take events that are too large to be parked as they are: the workers made their
/// own topics for smaller ones.
async fn take_larger_events(kafka: &Kafka, topics: &[String]) -> Result<()> {
    eventually("the workers' own topics", SETTLES, async || {
        let partitions = kafka.partitions(RETRY).await?;
        ensure!(!partitions.is_empty(), "no {RETRY}");
        Ok(())
    })
    .await?;
    for topic in topics {
        let larger = [("max.message.bytes", LARGEST_EVENT_BYTES)];
        kafka.configure_patiently(topic, &larger).await?;
    }
    Ok(())
}

/// Lanes with their first missing offsets.
fn lanes(behind: &[(Lane, i64)]) -> String {
    let texts = behind
        .iter()
        .map(|(Lane { target, place }, offset)| format!("target {target} {place}/{offset}"));
    texts.collect::<Vec<_>>().join(", ")
}
