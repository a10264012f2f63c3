//! Whether two statuses differ enough to be written.
//!
//! A write of a status costs an API server more than all else that the operator does. So a status is
//! written when a person, or a script that waits, would decide differently; numbers and texts ride along,
//! and by themselves are refreshed at most once a minute while they matter. That nothing waits any more is
//! told at once: a number would stand there that is wrong for good.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use parcelhook_crds::status::{DeliveryTargetStatus, State};

use super::condition::{OURS, Truth, kind};

/// How old numbers must be to be refreshed.
pub const REFRESH_AFTER: Duration = Duration::from_secs(60);

/// What to do about two statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Difference {
    /// Nothing.
    None,
    /// Only numbers and texts differ, and they are shown while something is wrong.
    Numbers,
    /// Nothing waits any more, and the number that is shown would never be right again.
    Drained,
    /// A state, a reason, a condition or the generation differs.
    Flip,
}

/// Compares the status that is there with the one that should be.
pub fn compare(there: &DeliveryTargetStatus, wanted: &DeliveryTargetStatus) -> Difference {
    let flip = there.observed_generation != wanted.observed_generation
        || there.state != wanted.state
        || there.reason != wanted.reason
        || !same_conditions(&there.conditions, &wanted.conditions);
    if flip {
        return Difference::Flip;
    }
    if said_what_to_do(there) != said_what_to_do(wanted) {
        return Difference::Numbers;
    }
    let quiet =
        wanted.state == Some(State::Up) && wanted.parked.is_none() && there.parked.is_none();
    let same = there.next_attempt == wanted.next_attempt
        && there.parked == wanted.parked
        && there.oldest_parked == wanted.oldest_parked
        && there.last_failure == wanted.last_failure;
    if same || quiet {
        Difference::None
    } else if there.parked.is_some() && wanted.parked.is_none() {
        Difference::Drained
    } else {
        Difference::Numbers
    }
}

/// What our conditions say to people who must do something: the messages of those that do not hold, and of
/// the one that is only there while something is wrong.
fn said_what_to_do(status: &DeliveryTargetStatus) -> BTreeMap<&str, &str> {
    let holds = |condition: &&Condition| {
        condition.status == Truth::True.as_str() && condition.type_ != kind::DATA_AT_RISK
    };
    let ours = |condition: &&Condition| OURS.contains(&condition.type_.as_str());
    let conditions = status.conditions.iter().filter(ours);
    conditions
        .filter(|condition| !holds(condition))
        .map(|condition| (condition.type_.as_str(), condition.message.as_str()))
        .collect()
}

/// Whether our conditions say the same, whatever their times and messages. Those of others do not count.
fn same_conditions(there: &[Condition], wanted: &[Condition]) -> bool {
    fn material(condition: &Condition) -> (&str, &str, &str, Option<i64>) {
        (
            &condition.type_,
            &condition.status,
            &condition.reason,
            condition.observed_generation,
        )
    }
    let ours = |condition: &&Condition| OURS.contains(&condition.type_.as_str());
    let mut there: Vec<_> = there.iter().filter(ours).map(material).collect();
    let mut wanted: Vec<_> = wanted.iter().map(material).collect();
    there.sort_unstable();
    wanted.sort_unstable();
    there == wanted
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::status::condition;

    fn time(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn status() -> DeliveryTargetStatus {
        DeliveryTargetStatus {
            observed_generation: Some(1),
            state: Some(State::Down),
            reason: Some("Timeout".to_owned()),
            parked: Some(3),
            conditions: vec![
                condition::accepted().written(&[], 1, &time(1)),
                condition::programmed().written(&[], 1, &time(1)),
            ],
            ..DeliveryTargetStatus::default()
        }
    }

    #[test]
    fn what_a_person_would_act_on_is_a_flip() {
        let changes: [fn(&mut DeliveryTargetStatus); 6] = [
            |status| status.observed_generation = Some(2),
            |status| status.state = Some(State::Up),
            |status| status.reason = None,
            |status| status.conditions[0].status = "False".to_owned(),
            |status| status.conditions[0].observed_generation = Some(2),
            |status| drop(status.conditions.pop()),
        ];
        for change in changes {
            let mut wanted = status();
            change(&mut wanted);
            assert_eq!(compare(&status(), &wanted), Difference::Flip, "{wanted:?}");
        }
    }

    #[test]
    fn numbers_are_refreshed_and_words_alone_are_not_written() {
        let mut wanted = status();
        assert_eq!(compare(&status(), &wanted), Difference::None);
        wanted.conditions[0].message = "in other words".to_owned();
        wanted.conditions[0].last_transition_time = time(9);
        wanted.since = Some(time(9));
        assert_eq!(compare(&status(), &wanted), Difference::None);
        wanted.parked = Some(4);
        assert_eq!(compare(&status(), &wanted), Difference::Numbers);
        wanted.parked = None;
        assert_eq!(compare(&status(), &wanted), Difference::Drained);
    }

    #[test]
    fn what_a_person_must_do_now_is_told_although_the_reason_is_the_same() {
        let refused = |topic: &str| {
            let mut status = status();
            status.conditions[0].status = "False".to_owned();
            status.conditions[0].message = format!("no grant for {topic}");
            status
        };
        assert_eq!(compare(&refused("a"), &refused("a")), Difference::None);
        assert_eq!(compare(&refused("a"), &refused("b")), Difference::Numbers);
    }

    #[test]
    fn the_conditions_of_others_and_their_order_do_not_count() {
        let mut there = status();
        let mut foreign = there.conditions[0].clone();
        foreign.type_ = "example.org/Checked".to_owned();
        there.conditions.insert(0, foreign);
        there.conditions.reverse();
        assert_eq!(compare(&there, &status()), Difference::None);
    }

    #[test]
    fn a_target_that_is_up_is_not_written_for_its_last_failure() {
        let up = |failed: Option<i64>| {
            let mut status = status();
            (status.state, status.reason, status.parked) = (Some(State::Up), None, None);
            status.next_attempt = failed.map(time);
            status
        };
        assert_eq!(compare(&up(None), &up(Some(5))), Difference::None);
    }
}
