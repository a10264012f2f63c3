//! Rounds: arms that are compared run one after the other, in an order that is reversed each time.
//!
//! The speed of a shared machine wanders. Two arms that ran within the same round met nearly the
//! same machine, so it is their ratio that counts, and of all rounds' ratios the median.

use anyhow::Result;

use crate::{arm::Arm, measure::Run};

/// The runs of each round, in the order of the arms.
#[derive(Debug)]
pub(crate) struct Rounds {
    arms: Vec<Arm>,
    rounds: Vec<Vec<Run>>,
}

impl Rounds {
    /// Runs every arm `rounds` times. An odd `seed` reverses the first round.
    pub(crate) async fn run(
        arms: &[Arm],
        rounds: u32,
        seed: u64,
        run: impl AsyncFn(Arm) -> Result<Run>,
    ) -> Result<Self> {
        let mut done = Vec::new();
        for round in 0..u64::from(rounds) {
            let mut order: Vec<usize> = (0..arms.len()).collect();
            if (round + seed) % 2 == 1 {
                order.reverse();
            }
            let mut runs = Vec::with_capacity(arms.len());
            for index in order {
                runs.push((index, run(arms[index]).await?));
            }
            runs.sort_by_key(|(index, _)| *index);
            done.push(runs.into_iter().map(|(_, run)| run).collect());
        }
        Ok(Self {
            arms: arms.to_vec(),
            rounds: done,
        })
    }

    /// The arms with their runs.
    pub(crate) fn by_arm(&self) -> impl Iterator<Item = (Arm, Vec<Run>)> {
        self.arms.iter().enumerate().map(|(index, arm)| {
            let runs = self.rounds.iter().map(|round| round[index]);
            (*arm, runs.collect())
        })
    }

    /// How many times as much CPU time an event costs `one` as `other`: the median of the rounds.
    pub(crate) fn cpu_ratio(&self, one: Arm, other: Arm) -> Option<f64> {
        let index = |wanted| self.arms.iter().position(|arm| *arm == wanted);
        let (one, other) = (index(one)?, index(other)?);
        let cpu = |run: &Run| run.cost.cpu_micros_an_event;
        median(
            self.rounds
                .iter()
                .map(|round| cpu(&round[one]) / cpu(&round[other])),
        )
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
