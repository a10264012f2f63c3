//! Dead letters: what is right because of them, and what is not.

use super::*;

/// The lane of the target whose events may become dead letters.
const STUBBORN: Lane = Lane {
    target: roster::STUBBORN,
    place: PLACE,
};

fn story() -> Story {
    let mut story = Story::new();
    story.lane = STUBBORN;
    story
}

#[test]
fn a_lane_may_go_on_behind_an_event_that_was_given_up() {
    let mut story = story();
    story.delivered(0, &[0]).later(100).delivered(0, &[2]);
    assert_eq!(story.broken(), [], "the dead letters were not read so far");
    story.letter(1, 60).tailed(0);
    story.see(Seen::Produced {
        place: PLACE,
        end: 3,
    });
    assert_eq!(story.judge.behind(STUBBORN.target, story.judge.ends()), []);
    assert_eq!((story.broken(), story.judge.counts().letters), (vec![], 1));
}

#[test]
fn a_lane_that_goes_on_without_a_dead_letter_or_before_it_is_out_of_order() {
    for written in [None, Some(0)] {
        let mut story = story();
        story.delivered(0, &[0]).delivered(0, &[2]).later(100);
        if let Some(ago_ms) = written {
            story.letter(1, ago_ms);
        }
        story.tailed(0);
        assert_eq!(story.broken(), [Invariant::Order], "{written:?}");
    }
}

#[test]
fn an_event_that_comes_first_after_its_dead_letter_and_later_events_is_out_of_order() {
    let mut story = story();
    story.delivered(0, &[0]).letter(1, 0).later(100);
    story.delivered(0, &[2]).tailed(0);
    assert_eq!(story.broken(), []);
    story.delivered(1, &[1, 2]);
    assert!(story.broken().contains(&Invariant::Order));
}

#[test]
fn a_row_or_a_commit_may_pass_what_has_a_dead_letter() {
    for written in [true, false] {
        let mut story = story();
        story.others_got(0..2).delivered(0, &[0]);
        if written {
            story.letter(1, 0).later(100);
        }
        story.row(1).committed(0, 2).tailed(0);
        assert_eq!(story.broken().is_empty(), written);
    }
}

#[test]
fn only_a_target_that_lets_events_expire_may_pass_them() {
    let mut story = Story::new();
    story.delivered(0, &[0]).letter(1, 0).later(100);
    assert_eq!(story.broken(), []);
    story.lane = PICKY;
    let wanted = story.wanted(0..100);
    story.delivered(0, &wanted[1..2]);
    assert_eq!(story.broken(), [Invariant::Order]);
}

#[test]
fn what_nobody_could_judge_is_no_proof() {
    let mut story = story();
    story.delivered(0, &[1]);
    story.judge.close(1_000);
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}
