//! What a target's lanes that are not live come to.

use std::collections::BTreeMap;

use parcelhook_crds::health::REJECTING_EVERYTHING;
use parcelhook_crds::lane::table::Table;
use parcelhook_crds::lane::{LaneRow, LastFailure, NotBefore, ParkReason};
use parcelhook_crds::report::FailingLane;
use uuid::Uuid;

/// Lanes of one target that are not live, summed up. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Events parked and not delivered.
    pub parked: u64,
    /// When the oldest of them was parked.
    pub oldest_parked: Option<i64>,
    /// When the first lane tries again.
    pub next_attempt: Option<i64>,
    /// The newest failure.
    pub last_failure: Option<LastFailure>,
    /// Lanes whose last attempt failed.
    pub failing: Vec<Lane>,
    /// Whether a rejected event waits for a person.
    pub blocked: bool,
    /// Whether events are parked because they come faster than they are taken.
    pub overflowing: bool,
}

/// A lane whose last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// When it failed last.
    pub last: i64,
    /// When it left live, or began to fail.
    pub since: i64,
    /// Why.
    pub reason: String,
    /// Failed attempts in a row.
    pub in_a_row: u32,
}

/// Sums up all lanes, by target.
pub fn gather<'a>(
    table: &Table,
    failing: impl Iterator<Item = &'a FailingLane>,
) -> BTreeMap<Uuid, Gathered> {
    let mut all: BTreeMap<Uuid, Gathered> = BTreeMap::new();
    for (_, lane, row) in table.not_live() {
        all.entry(lane.target).or_default().add_row(row);
    }
    for lane in failing {
        all.entry(lane.target).or_default().add_failing(lane);
    }
    all
}

impl Gathered {
    fn add_row(&mut self, row: &LaneRow) {
        self.parked += row.parked;
        self.oldest_parked = earliest(self.oldest_parked, row.oldest_parked_at);
        let suspended = row.reason == ParkReason::Suspended;
        if let (NotBefore::At(at), false) = (row.not_before, suspended) {
            self.next_attempt = earliest(self.next_attempt, Some(at));
        }
        let waits = row.not_before == NotBefore::Never;
        self.blocked |= row.reason == ParkReason::Rejected && waits;
        self.overflowing |= row.reason == ParkReason::Overflow;
        if let Some(failure) = &row.last_failure {
            // A row of a lane that only overflows remembers failures that are over. One rejected event is
            // the event's fault; that nearly all are is the target's.
            let fails = row.reason == ParkReason::Failed || failure.reason == REJECTING_EVERYTHING;
            if row.attempts > 0 && fails {
                self.fails(failure, row.since, row.attempts);
            }
            self.remember(failure);
        }
    }

    fn add_failing(&mut self, lane: &FailingLane) {
        self.next_attempt = earliest(self.next_attempt, lane.next_attempt);
        self.fails(&lane.last_failure, lane.since, lane.attempts);
        self.remember(&lane.last_failure);
    }

    fn fails(&mut self, failure: &LastFailure, since: i64, in_a_row: u32) {
        self.failing.push(Lane {
            last: failure.at,
            since: since.min(failure.at),
            reason: failure.reason.clone(),
            in_a_row,
        });
    }

    fn remember(&mut self, failure: &LastFailure) {
        let newest = self.last_failure.as_ref().map(|known| known.at);
        if newest.is_none_or(|newest| newest <= failure.at) {
            self.last_failure = Some(failure.clone());
        }
    }
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
pub(super) mod tests {
    use parcelhook_crds::lane::{
        Entry, Epoch, Incarnation, LaneName, Mode, Scope, Terminator, Wants,
    };

    use super::*;

    const EPOCH: Epoch = Epoch { n: 1, random: 1 };

    fn scope(partition: i32) -> Scope {
        Scope {
            group: "g".to_owned(),
            topic_id: None,
            topic: "orders".to_owned(),
            partition,
            epoch: EPOCH,
        }
    }

    fn row(reason: ParkReason, not_before: NotBefore, failed_at: Option<i64>) -> LaneRow {
        LaneRow {
            mode: Mode::Parking,
            reason,
            incarnation: Incarnation {
                epoch: EPOCH,
                counter: 1,
            },
            delivered_through: 0,
            attempted: None,
            bucket: 0,
            resume_offset: 0,
            attempts: u32::from(failed_at.is_some()),
            not_before,
            since: 100,
            oldest_parked_at: Some(110),
            last_failure: failed_at.map(|at| LastFailure {
                at,
                reason: "Timeout".to_owned(),
                status: None,
                message: None,
            }),
            parked: 5,
            parked_through: None,
            last_request: None,
            wants: Wants::Everything,
            absent_since: None,
        }
    }

    fn gathered(rows: Vec<LaneRow>) -> Gathered {
        let mut table = Table::new("g");
        for (partition, row) in (0..).zip(rows) {
            let name = LaneName {
                target: Uuid::nil(),
                selection: [0; 16],
            };
            table.apply(Entry::Lane(scope(partition), name, Box::new(row)));
            table.apply(Entry::Terminator(
                scope(partition),
                Terminator { frontier: 0 },
            ));
        }
        gather(&table, std::iter::empty())
            .remove(&Uuid::nil())
            .unwrap_or_default()
    }

    #[test]
    fn lanes_are_summed_up() {
        let all = gathered(vec![
            row(ParkReason::Failed, NotBefore::At(900), Some(300)),
            row(ParkReason::Failed, NotBefore::At(800), Some(200)),
        ]);
        assert_eq!(
            (all.parked, all.oldest_parked, all.next_attempt),
            (10, Some(110), Some(800))
        );
        assert_eq!(all.last_failure.unwrap().at, 300);
        assert_eq!(all.failing.len(), 2);
        assert!(!all.blocked && !all.overflowing);
    }

    #[test]
    fn what_is_parked_for_another_cause_is_no_failure() {
        let all = gathered(vec![
            row(ParkReason::Suspended, NotBefore::At(1), None),
            row(ParkReason::Overflow, NotBefore::At(700), Some(200)),
            row(ParkReason::Rejected, NotBefore::At(600), Some(200)),
        ]);
        assert!(all.failing.is_empty() && all.overflowing && !all.blocked);
        assert_eq!(
            all.next_attempt,
            Some(600),
            "a suspended lane tries nothing"
        );
    }

    #[test]
    fn a_rejected_event_that_nobody_tries_again_blocks() {
        let all = gathered(vec![row(ParkReason::Rejected, NotBefore::Never, Some(200))]);
        assert!(all.blocked && all.failing.is_empty());
    }

    #[test]
    fn a_target_that_rejects_everything_fails() {
        let mut rejecting = row(ParkReason::Rejected, NotBefore::At(900), Some(200));
        if let Some(failure) = &mut rejecting.last_failure {
            failure.reason = REJECTING_EVERYTHING.to_owned();
        }
        let all = gathered(vec![rejecting]);
        let reasons: Vec<&str> = all.failing.iter().map(|lane| &*lane.reason).collect();
        assert_eq!((reasons, all.blocked), (vec![REJECTING_EVERYTHING], false));
    }

    #[test]
    fn a_lane_without_a_row_counts_as_its_worker_tells() {
        let told = FailingLane {
            target: Uuid::nil(),
            topic: "orders".to_owned(),
            partition: 0,
            attempts: 3,
            since: 50,
            next_attempt: Some(70),
            last_failure: LastFailure {
                at: 60,
                reason: "Timeout".to_owned(),
                status: None,
                message: None,
            },
        };
        let all = gather(&Table::new("g"), [told].iter())
            .remove(&Uuid::nil())
            .unwrap();
        assert_eq!(
            (all.failing.len(), all.next_attempt, all.parked),
            (1, Some(70), 0)
        );
    }
}
