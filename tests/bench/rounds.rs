//! Rounds: arms that are compared run one after the other, in an order that is reversed each time.
//!
//! The speed of a shared machine wanders. Two arms that ran within the same round met nearly the
//! same machine, so it is their ratio that counts, and of all rounds' ratios the median.

use anyhow::Result;

use crate::measure::Run;

/// The runs of each round, in the order of the arms.
#[derive(Debug)]
pub(crate) struct Rounds<A> {
    arms: Vec<A>,
    rounds: Vec<Vec<Run>>,
}

impl<A: Copy + PartialEq> Rounds<A> {
    /// Runs every arm `rounds` times. An odd `seed` reverses the first round.
    pub(crate) async fn run(
        arms: &[A],
        rounds: u32,
        seed: u64,
        run: impl AsyncFn(A) -> Result<Run>,
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
    pub(crate) fn by_arm(&self) -> impl Iterator<Item = (A, Vec<Run>)> {
        self.arms.iter().enumerate().map(|(index, arm)| {
            let runs = self.rounds.iter().map(|round| round[index]);
            (*arm, runs.collect())
        })
    }

    /// How many times as much CPU time an event costs `one` as `other`: the median of the rounds.
    pub(crate) fn cpu_ratio(&self, one: A, other: A) -> Option<f64> {
        self.ratio(one, other, |run| run.cost.cpu_micros_an_event)
    }

    /// How many times as many events a second come of `one` as of `other`: the median of the rounds.
    pub(crate) fn speed_ratio(&self, one: A, other: A) -> Option<f64> {
        self.ratio(one, other, |run| run.cost.events_a_second)
    }

    /// How many times as large some figure of `one` is as that of `other`: the median of the rounds.
    pub(crate) fn ratio(&self, one: A, other: A, figure: impl Fn(&Run) -> f64) -> Option<f64> {
        let index = |wanted| self.arms.iter().position(|arm| *arm == wanted);
        let (one, other) = (index(one)?, index(other)?);
        let rounds = self.rounds.iter();
        median(rounds.map(|round| figure(&round[one]) / figure(&round[other])))
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
