//! Paths that a long run should have taken at least once (I12): a fault that never leads there proves
//! nothing about it.
//!
//! To add a path, add a line: it is seen in a worker's log, or counted by the judge.

use std::collections::BTreeMap;

use crate::judge::{Cause, Counts};

/// How a path is noticed.
#[derive(Clone, Copy)]
enum Sign {
    /// A line of a worker's log contains this.
    Log(&'static str),
    /// The judge counts it.
    Counted(fn(&Counts) -> u64),
    /// Events came again for this cause.
    Caused(Cause),
}

const PATHS: &[(&str, Sign)] = &[
    (
        "an assignment was lost",
        Sign::Log("the assignment was lost"),
    ),
    (
        "partitions were let go in order",
        Sign::Log("letting partitions go"),
    ),
    (
        "a last commit did not come through",
        Sign::Log("the last frontiers"),
    ),
    (
        "a start was not known at once",
        Sign::Log("where partitions start is not known yet"),
    ),
    (
        "the group dropped a member",
        Sign::Log("the group has dropped this member"),
    ),
    (
        "a stalled consumer was replaced",
        Sign::Log("making a new consumer"),
    ),
    (
        "a worker was killed at a failpoint",
        Sign::Log("killed at a failpoint"),
    ),
    ("a target was DOWN", Sign::Log("target is DOWN")),
    ("a target was UP again", Sign::Log("target is UP")),
    (
        "a request of a zombie",
        Sign::Counted(|counts| counts.zombies),
    ),
    (
        "old and new events in one request",
        Sign::Counted(|counts| counts.straddling),
    ),
    (
        "a commit went back",
        Sign::Counted(|counts| counts.commits_back),
    ),
    (
        "a commit passed parked events",
        Sign::Counted(|counts| counts.commits_over_parked),
    ),
    ("repeated: worker killed", Sign::Caused(Cause::Killed)),
    ("repeated: worker frozen", Sign::Caused(Cause::Frozen)),
    ("repeated: ambiguous answer", Sign::Caused(Cause::Ambiguous)),
    ("repeated: answer too late", Sign::Caused(Cause::Late)),
    (
        "repeated: held back by another target",
        Sign::Caused(Cause::HeldBack),
    ),
    ("repeated: brokers disturbed", Sign::Caused(Cause::Kafka)),
];

/// What the logs told: lines by what they contain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    lines: BTreeMap<&'static str, u64>,
}

impl Evidence {
    /// Reads the whole log of a worker that has ended.
    pub(crate) fn read(&mut self, log: &str) {
        for (_, sign) in PATHS {
            if let Sign::Log(needle) = sign {
                let lines = log.lines().filter(|line| line.contains(needle)).count();
                *self.lines.entry(needle).or_default() += lines as u64;
            }
        }
    }

    /// How often each path was taken, in the order of the list.
    pub(crate) fn paths(
        &self,
        counts: &Counts,
        causes: &BTreeMap<Cause, u64>,
    ) -> Vec<(&'static str, u64)> {
        let times = |sign: &Sign| match sign {
            Sign::Log(needle) => self.lines.get(needle).copied().unwrap_or(0),
            Sign::Counted(of) => of(counts),
            Sign::Caused(cause) => causes.get(cause).copied().unwrap_or(0),
        };
        PATHS
            .iter()
            .map(|(path, sign)| (*path, times(sign)))
            .collect()
    }
}
