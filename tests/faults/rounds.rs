//! A long run: rounds, each in a process of its own with brokers, topics and a seed of its own.
//!
//! So memory and disk of a run do not grow with its length, and any round can be repeated by its seed
//! alone. The sum so far is written after each round; a run that ended can go on with the next. A round
//! that breaks a promise ends the run, and its journal stays.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use parcelhook_env::{clock, directories, process::Launch};

use crate::report::Report;

/// Faults of one round.
pub(crate) const ROUND: u64 = 200;

/// Far longer than a round takes.
const AT_MOST: Duration = Duration::from_secs(3 * 3_600);
/// Lines of a round's log that tell of what it found.
const LINES: usize = 40;

/// What a long run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    pub(crate) seed: u64,
    /// Of all rounds.
    pub(crate) faults: u64,
    pub(crate) lasts: Option<Duration>,
    pub(crate) rate: u32,
    pub(crate) alone: bool,
    /// The sum so far; read when the run goes on.
    pub(crate) report: Option<PathBuf>,
    pub(crate) goes_on: bool,
}

impl Rounds {
    /// Runs the rounds, and returns the sum of their reports.
    ///
    /// # Errors
    /// When the environment fails.
    pub(crate) async fn run(&self) -> Result<Report> {
        let began = clock::now();
        let directory = directories::fresh("rounds")?;
        let mut sum = self.so_far()?;
        loop {
            let (rounds, faults) = sum.as_ref().map_or((0, 0), |sum| (sum.rounds, sum.faults));
            let kept = sum.as_ref().is_none_or(Report::kept);
            let elapsed = clock::now().saturating_duration_since(began);
            let left = self.lasts.map(|lasts| lasts.saturating_sub(elapsed));
            if faults >= self.faults || !kept || left.is_some_and(|left| left.is_zero()) {
                return sum.context("no time for a round");
            }
            let round = self.round(rounds + 1, self.faults - faults, left, &directory);
            let round = Box::pin(round).await?;
            match &mut sum {
                Some(sum) => sum.add(round)?,
                None => sum = Some(round),
            }
            if let Some((sum, path)) = sum.as_mut().zip(self.report.as_ref()) {
                sum.seed = self.seed;
                sum.write(path)?;
            }
        }
    }

    /// The sum of an earlier run that this one continues.
    fn so_far(&self) -> Result<Option<Report>> {
        let Some(path) = self.report.as_ref().filter(|_| self.goes_on) else {
            return Ok(None);
        };
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let sum: Report = serde_json::from_str(&text)?;
        let seed = sum.seed;
        ensure!(seed == self.seed, "{} is of seed {seed}", path.display());
        Ok(Some(sum))
    }

    async fn round(
        &self,
        number: u64,
        faults: u64,
        left: Option<Duration>,
        directory: &Path,
    ) -> Result<Report> {
        let seed = self.seed * 1_000 + number;
        let report = directory.join(format!("round-{number}.json"));
        let this = std::env::current_exe().context("find this executable")?;
        let mut round = Launch::new(format!("round-{number}"), this)
            .args(["--seed", &seed.to_string()])
            .args(["--faults", &faults.min(ROUND).to_string()])
            .args(["--rate", &self.rate.to_string()])
            .arg("--report")
            .arg(&report);
        if let Some(left) = left {
            let minutes = left.as_secs().div_ceil(60);
            round = round.args(["--minutes", &minutes.to_string()]);
        }
        // Every sort by itself in the first round; it takes as long as a hundred faults together.
        if number > 1 || !self.alone {
            round = round.arg("--together");
        }
        let round = round.start()?;
        let log = round.stderr().path().display();
        tell(&format!("round {number} is seed {seed}; see {log}"));
        let status = round.ended(AT_MOST).await?;
        match status.code() {
            Some(0) => {}
            Some(1) => tell(&round.stderr().tail(LINES)),
            Some(_) | None => bail!("round {number} failed: {status}\n{}", round.tail()),
        }
        let text = fs::read_to_string(&report).context("read a round's report")?;
        serde_json::from_str(&text).context("understand a round's report")
    }
}

/// Tells the person who waits.
fn tell(what: &str) {
    // Nobody reads a closed standard error.
    let _ = writeln!(std::io::stderr(), "{what}");
}
