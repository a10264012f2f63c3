//! Why events come again.

use super::*;

/// What is done around the first delivery of an event that comes again.
type Deed = fn(&mut Story);

fn killed(story: &mut Story) {
    story.delivered(0, &[0]).worker(0, WorkerChange::Killed);
}

fn frozen(story: &mut Story) {
    story.delivered(0, &[0]).worker(0, WorkerChange::Frozen);
}

fn without_kafka(story: &mut Story) {
    story.see(Seen::Kafka { disturbed: true });
    story.see(Seen::Kafka { disturbed: false });
    story.delivered(0, &[0]);
}

fn with_silent_kafka(story: &mut Story) {
    let place = PLACE;
    story
        .see(Seen::Produced { place, end: 1 })
        .delivered(0, &[0]);
    story.later(5_000).see(Seen::Produced { place, end: 2 });
}

fn cut(story: &mut Story) {
    let request = story.sent(0, &[0], true);
    story.cut(request, Side::Worker);
}

fn slow(story: &mut Story) {
    let request = story.sent(0, &[0], true);
    story.later(2_000).answered(request, 200);
}

fn another_killed(story: &mut Story) {
    story.worker(1, WorkerChange::Killed).delivered(0, &[0]);
}

fn another_killed_and_committed(story: &mut Story) {
    another_killed(story);
    story.committed(0, 1);
}

fn another_killed_with_an_old_row(story: &mut Story) {
    story.parked(0, 0).row(-1);
    another_killed_and_committed(story);
}

fn moved_in_a_settled_group(story: &mut Story) {
    another_killed(story);
    story.later(60_000).delivered(1, &[1]).committed(0, 1);
    story.later(60_000);
}

#[test]
fn repetitions_are_put_down_to_what_was_done() {
    let table: [(Deed, Cause); 10] = [
        (killed, Cause::Killed),
        (frozen, Cause::Frozen),
        (without_kafka, Cause::Kafka),
        (with_silent_kafka, Cause::Kafka),
        (cut, Cause::Ambiguous),
        (slow, Cause::Late),
        (another_killed, Cause::Rebalance),
        (another_killed_and_committed, Cause::Unexplained),
        (another_killed_with_an_old_row, Cause::Rebalance),
        (moved_in_a_settled_group, Cause::Unexplained),
    ];
    for (done, cause) in table {
        let mut story = Story::new();
        story.others_got(0..1);
        done(&mut story);
        story.delivered(2, &[0]);
        assert_eq!(story.cause(), [(cause, 1)]);
        let unexplained = (cause == Cause::Unexplained).then_some(Invariant::Duplicates);
        assert_eq!(story.broken(), Vec::from_iter(unexplained), "{cause:?}");
    }
}

#[test]
fn what_another_target_held_back_may_come_again_after_a_hand_over() {
    let mut story = Story::new();
    // Nobody else has got anything.
    story.delivered(0, &[0]).delivered(1, &[0]);
    assert_eq!(story.cause(), [(Cause::HeldBack, 1)]);
    let mut story = Story::new();
    story.others_got(0..1).delivered(0, &[0]).delivered(1, &[0]);
    assert_eq!(story.cause(), [(Cause::Unexplained, 1)]);
}

#[test]
fn a_partition_that_went_to_a_silent_guest_and_came_back_may_repeat() {
    let repeated = |guest_came: bool| {
        let mut story = Story::new();
        story.worker(0, WorkerChange::Started).later(60_000);
        story.others_got(0..1).delivered(0, &[0]);
        if guest_came {
            story.worker(1, WorkerChange::Terminated);
        }
        story.delivered(0, &[0]).cause()
    };
    assert_eq!(repeated(true), [(Cause::HeldBack, 1)]);
    assert_eq!(repeated(false), [(Cause::Unexplained, 1)]);
}

#[test]
fn a_partition_may_move_for_a_while_after_its_topic_has_got_one_more() {
    let repeated = |later_ms: u64| {
        let mut story = Story::new();
        story.see(Seen::Produced {
            place: PLACE,
            end: 1,
        });
        story.later(later_ms).others_got(0..1);
        story.delivered(0, &[0]).delivered(0, &[0]).cause()
    };
    assert_eq!(repeated(15_000), [(Cause::HeldBack, 1)]);
    assert_eq!(repeated(25_000), [(Cause::Unexplained, 1)]);
}

#[test]
fn a_worker_that_did_not_reach_the_brokers_well_may_repeat() {
    let mut story = Story::new();
    story.worker(0, WorkerChange::Started).later(60_000);
    story.worker(0, WorkerChange::Hampered).later(11_000);
    story.others_got(0..1).delivered(0, &[0]).delivered(0, &[0]);
    assert_eq!(story.cause(), [(Cause::Hampered, 1)]);
}

#[test]
fn a_kill_explains_only_what_the_dead_had_delivered() {
    let mut story = Story::new();
    story.others_got(0..1).delivered(0, &[0]);
    story.worker(0, WorkerChange::Killed);
    story.delivered(1, &[0]).committed(0, 1).delivered(2, &[0]);
    assert_eq!(story.cause(), [(Cause::Killed, 1), (Cause::Unexplained, 1)]);
}

#[test]
fn what_a_frozen_worker_sends_when_it_wakes_up_is_counted() {
    let mut story = Story::new();
    story.delivered(0, &[0]).worker(0, WorkerChange::Frozen);
    story.delivered(1, &[0, 1]).worker(0, WorkerChange::Thawed);
    story.delivered(0, &[0]);
    let counts = story.judge.counts();
    assert_eq!(
        (counts.zombies, counts.straddling, counts.replays),
        (1, 1, 2)
    );
    assert_eq!(story.broken(), []);
}
