//! The shape and the time of requests.

use super::*;

#[test]
fn more_than_a_hundred_events_are_too_many() {
    let mut story = Story::new();
    story
        .delivered(0, &Vec::from_iter(0..100))
        .delivered(0, &Vec::from_iter(100..201));
    assert_eq!(story.broken(), [Invariant::Shape]);
}

#[test]
fn two_attempts_of_a_lane_that_both_got_an_answer_were_in_flight_at_once() {
    for (end, broken) in [(true, vec![Invariant::Shape]), (false, vec![])] {
        let mut story = Story::new();
        let first = story.sent(0, &[0], false);
        let second = story.sent(0, &[0], true);
        match end {
            true => story.answered(first, 503),
            // It had hung up, and the receiver saw that late.
            false => story.cut(first, Side::Worker),
        };
        story.answered(second, 200);
        assert_eq!(story.broken(), broken);
    }
}

#[test]
fn attempts_of_two_workers_may_meet() {
    let mut story = Story::new();
    let zombie = story.sent(0, &[0], true);
    story.delivered(1, &[0]).answered(zombie, 200);
    assert_eq!(story.broken(), []);
}

#[test]
fn an_attempt_before_its_backoff_is_over_is_too_early() {
    let wait = |ms: u64, before: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        let failed = story.attempt(0, &[0], false, 3);
        story.answered(failed, 503);
        before(&mut story);
        story.later(ms).attempt(0, &[0], false, 4);
        story.broken()
    };
    let nothing = |_: &mut Story| {};
    // 100 ms, doubled twice, less a fifth.
    assert_eq!(wait(330, &nothing), []);
    assert_eq!(wait(280, &nothing), [Invariant::Shape]);
    let hint = |story: &mut Story| {
        let own = story.lane;
        story.lane.place.partition = 2;
        story.delivered(1, &[0]);
        story.lane = own;
    };
    assert_eq!(
        wait(0, &hint),
        [],
        "another lane of the target was delivered"
    );
    let change = |story: &mut Story| {
        story.see(Seen::Configured {
            target: LANE.target,
        });
    };
    assert_eq!(wait(0, &change), [], "the target was changed");
}

#[test]
fn retry_after_is_waited_for() {
    for (ms, broken) in [(1_000, vec![]), (900, vec![Invariant::Shape])] {
        let mut story = Story::new();
        let request = story.sent(0, &[0], false);
        story.see(Seen::Answered {
            request,
            status: 429,
            retry_after_ms: 1_000,
        });
        story.later(ms).attempt(0, &[0], false, 2);
        assert_eq!(story.broken(), broken, "{ms}");
    }
}
