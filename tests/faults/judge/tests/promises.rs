//! Order, loss, invention and commit safety.

use super::*;

#[test]
fn what_should_be_is_found_in_order() {
    let mut story = Story::new();
    let ambiguous = story.delivered(0, &[0, 1]).sent(0, &[2, 3], true);
    story.answered(ambiguous, 500).later(80);
    let again = story.attempt(0, &[2, 3], true, 2);
    story.answered(again, 200).others_got(0..4).committed(0, 4);
    story.tailed(0);
    story.see(Seen::Produced {
        place: PLACE,
        end: 4,
    });
    story.judge.close(1_000);
    assert_eq!(story.broken(), []);
    assert_eq!(story.cause(), [(Cause::Ambiguous, 2)]);
    assert_eq!(story.judge.behind(LANE.target, story.judge.ends()), []);
}

#[test]
fn an_attempt_beyond_what_was_not_accepted_is_out_of_order() {
    let mut story = Story::new();
    story.delivered(0, &[1]);
    assert_eq!(story.broken(), [Invariant::Order]);

    // Processed is not enough: a worker that goes on without a 2xx loses what it did not get.
    let mut story = Story::new();
    let failed = story.sent(0, &[0], true);
    story.answered(failed, 500).sent(0, &[1], false);
    assert_eq!(story.broken(), [Invariant::Order]);
}

#[test]
fn a_hole_in_a_transaction_is_found_also_among_what_was_delivered() {
    let mut story = Story::new();
    story
        .delivered(0, &[0, 1, 2])
        .worker(0, WorkerChange::Killed);
    story.delivered(1, &[0, 2]);
    assert_eq!(story.broken(), [Invariant::Replays]);
    let mut story = Story::new();
    story.delivered(0, &[0, 2]);
    assert_eq!(story.broken(), [Invariant::Replays]);
}

#[test]
fn what_never_came_is_lost() {
    let mut story = Story::new();
    story.others_got(0..3).delivered(0, &[0, 1]);
    story.see(Seen::Produced {
        place: PLACE,
        end: 3,
    });
    story.judge.close(1_000);
    assert_eq!(
        (story.broken(), story.judge.counts().lost),
        (vec![Invariant::NoLoss], 1)
    );
}

#[test]
fn what_is_not_wanted_or_not_ours_is_invented() {
    let mut story = Story::new();
    story.lane = PICKY;
    let unwanted = (0..).find(|offset| story.wanted(0..100).binary_search(offset).is_err());
    let before = story.wanted(0..unwanted.unwrap());
    let all: Vec<i64> = before.into_iter().chain(unwanted).collect();
    story.delivered(0, &all);
    assert!(story.broken().contains(&Invariant::NoInvention));

    let mut story = Story::new();
    story.see(Seen::Foreign {
        target: 0,
        what: "altered".to_owned(),
    });
    assert_eq!(story.broken(), [Invariant::NoInvention]);
}

#[test]
fn a_commit_over_what_was_neither_delivered_nor_parked_is_unsafe() {
    let mut story = Story::new();
    story.others_got(0..2).delivered(0, &[0]).committed(7, 2);
    assert_eq!(story.broken(), [], "the retry topic was not read so far");
    story.tailed(7);
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}

#[test]
fn a_commit_over_parked_events_is_safe_with_a_row_only() {
    type Written = fn(&mut Story);
    let table: [(&str, (i64, i64), Written, bool); 6] = [
        (
            "a row",
            (1, 1),
            |story| {
                story.row(0);
            },
            true,
        ),
        ("no row", (1, 1), |_| {}, false),
        (
            "other events",
            (2, 9),
            |story| {
                story.row(0);
            },
            false,
        ),
        (
            "a row of another epoch",
            (1, 1),
            |story| {
                story.row_of("2.0000000000000001", INCARNATION, 0);
            },
            false,
        ),
        (
            "a row of another incarnation",
            (1, 1),
            |story| {
                story.row_of(EPOCH, "1.0000000000000001.2", 0);
            },
            false,
        ),
        (
            "a row that is gone before the topics were read",
            (1, 1),
            |story| {
                story.row(0).tombstone();
            },
            true,
        ),
    ];
    for (name, (first, last), written, kept) in table {
        let mut story = Story::new();
        story.others_got(0..2).delivered(0, &[0]).committed(7, 2);
        story.parked(first, last);
        written(&mut story);
        story.tailed(7);
        assert_eq!(story.broken().is_empty(), kept, "{name}");
    }
}

#[test]
fn a_row_that_was_gone_before_the_commit_does_not_help() {
    let mut story = Story::new();
    story.others_got(0..2).delivered(0, &[0]).parked(1, 1);
    story.row(0).tombstone().committed(7, 2);
    story.tailed(7);
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}

#[test]
fn a_row_that_passes_over_what_was_not_delivered_is_unsafe() {
    let mut story = Story::new();
    story.delivered(0, &[0]).parked(1, 1).row(0);
    assert_eq!(story.broken(), []);
    story.row(1);
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}

#[test]
fn a_doubt_that_nobody_could_judge_is_no_proof() {
    let mut story = Story::new();
    story.others_got(0..2).delivered(0, &[0]).committed(7, 2);
    story.judge.close(1_000);
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}
