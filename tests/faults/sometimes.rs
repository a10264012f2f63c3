//! Paths that a long run should have taken at least once (I12): a fault that never leads there proves
//! nothing about it.
//!
//! To add a path, add a line: it is seen in a worker's log, or counted by the judge. Without those that
//! are required a long run is no proof, and says so.

use std::collections::BTreeMap;

use parcelhook_worker::failpoint::Failpoint;
use serde::{Deserialize, Serialize};

use crate::judge::{Cause, Counts};

/// How a path is noticed.
#[derive(Clone, Copy)]
enum Sign {
    /// A line of a worker's log contains this.
    Log(&'static str),
    /// A line contains the first and not the second.
    LogWithout(&'static str, &'static str),
    /// A worker killed itself here.
    Point(Failpoint),
    /// The judge counts it.
    Counted(fn(&Counts) -> u64),
    /// Events came again for this cause.
    Caused(Cause),
}

/// The paths that a long run must have taken.
const REQUIRED: &[(&str, Sign)] = &[
    (
        "a zombie was fenced: its assignment was lost",
        Sign::Log("the assignment was lost"),
    ),
    (
        "a snapshot was copied: an owner took over rows",
        Sign::Counted(|counts| counts.copied_rows),
    ),
    (
        "a cut-over held events",
        Sign::Log("held events for its cut-over"),
    ),
    (
        "a run straddled what its predecessor had delivered",
        Sign::Counted(|counts| counts.cut_runs),
    ),
    (
        "runs of another incarnation were skipped",
        Sign::Counted(|counts| counts.skipped_periods),
    ),
    (
        "a lane overflowed",
        Sign::Counted(|counts| counts.overflowed),
    ),
    (
        "a lane was suspended",
        Sign::Counted(|counts| counts.suspended),
    ),
    (
        "an event became a dead letter",
        Sign::Counted(|counts| counts.letters),
    ),
    (
        "an event was parked by its place alone",
        Sign::Counted(|counts| counts.references),
    ),
];

/// Paths that are told.
const TOLD: &[(&str, Sign)] = &[
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
        "a dead letter was written twice",
        Sign::Counted(|counts| counts.letters_again),
    ),
    ("a target was DOWN", Sign::Log("target is DOWN")),
    ("a target was UP again", Sign::Log("target is UP")),
    (
        "a partition with rows was taken over",
        Sign::LogWithout("partition taken over", " lanes=0"),
    ),
    ("a lane was live again", Sign::Log("lane is live again")),
    (
        "a row of a lane over its budget, with an attempt in flight",
        Sign::Counted(|counts| counts.insured),
    ),
    ("a write of a lane was refused", Sign::Log("writing again")),
    (
        "the producer was replaced",
        Sign::Log("the Kafka producer failed for good"),
    ),
    (
        "a parked run came before one that it follows",
        Sign::Counted(|counts| counts.gaps),
    ),
    (
        "a run was parked",
        Sign::Counted(|counts| counts.parked_runs),
    ),
    ("a row was written", Sign::Counted(|counts| counts.rows)),
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
    ("repeated: worker hampered", Sign::Caused(Cause::Hampered)),
    ("repeated: ambiguous answer", Sign::Caused(Cause::Ambiguous)),
    ("repeated: answer too late", Sign::Caused(Cause::Late)),
    (
        "repeated: held back by another target",
        Sign::Caused(Cause::HeldBack),
    ),
    (
        "repeated: nothing could be committed in a rebalance",
        Sign::Caused(Cause::Rebalance),
    ),
    ("repeated: brokers disturbed", Sign::Caused(Cause::Kafka)),
];

/// A path: its name, whether a long run must have taken it, and its sign.
type Path = (String, bool, Sign);

/// How often a path was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) times: u64,
    /// A long run must have taken it.
    pub(crate) required: bool,
}

fn paths() -> impl Iterator<Item = Path> {
    let points = Failpoint::ALL.into_iter().map(|point| {
        let path = format!("a worker was killed at {}", point.name());
        (path, true, Sign::Point(point))
    });
    let named = |required| {
        move |(path, sign): &(&str, Sign)| -> Path { ((*path).to_owned(), required, *sign) }
    };
    let required = REQUIRED.iter().map(named(true));
    points.chain(required).chain(TOLD.iter().map(named(false)))
}

/// What the logs told: lines by what they contain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    lines: BTreeMap<String, u64>,
}

impl Evidence {
    /// Reads the whole log of a worker that has ended.
    pub(crate) fn read(&mut self, log: &str) {
        for (_, _, sign) in paths() {
            let Some((needle, without)) = sign.needle() else {
                continue;
            };
            let is_one = |line: &&str| {
                line.contains(&needle) && without.is_none_or(|without| !line.contains(without))
            };
            let lines = log.lines().filter(is_one).count();
            *self.lines.entry(needle).or_default() += lines as u64;
        }
    }

    /// How often each path was taken, in the order of the list.
    pub(crate) fn paths(&self, counts: &Counts, causes: &BTreeMap<Cause, u64>) -> Vec<Taken> {
        let times = |sign: Sign| match sign {
            Sign::Log(_) | Sign::LogWithout(..) | Sign::Point(_) => {
                let needle = sign.needle().map(|(needle, _)| needle);
                let lines = needle.and_then(|needle| self.lines.get(&needle));
                lines.copied().unwrap_or(0)
            }
            Sign::Counted(of) => of(counts),
            Sign::Caused(cause) => causes.get(&cause).copied().unwrap_or(0),
        };
        let taken = paths().map(|(path, required, sign)| Taken {
            path,
            times: times(sign),
            required,
        });
        taken.collect()
    }
}

impl Sign {
    /// What a line of a log contains, and what it does not.
    fn needle(self) -> Option<(String, Option<&'static str>)> {
        match self {
            Self::Log(needle) => Some((needle.to_owned(), None)),
            Self::LogWithout(needle, without) => Some((needle.to_owned(), Some(without))),
            Self::Point(point) => Some((format!("point=\"{}\"", point.name()), None)),
            Self::Counted(_) | Self::Caused(_) => None,
        }
    }
}
