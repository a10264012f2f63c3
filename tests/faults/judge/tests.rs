//! Made-up histories: each invariant is found broken when it is, and only then.

use super::*;

const PLACE: Place = Place {
    topic: 0,
    partition: 1,
};
/// The lane of the target that wants everything.
const LANE: Lane = Lane {
    target: roster::STEADY,
    place: PLACE,
};
/// That of one that wants some.
const PICKY: Lane = Lane {
    target: 1,
    place: PLACE,
};

/// A run that is made up: every call is one thing that is seen, ten milliseconds after the last one.
struct Story {
    judge: Judge,
    now_ms: u64,
    requests: u64,
    lane: Lane,
}

impl Story {
    fn new() -> Self {
        Self {
            judge: Judge::new(Source::new(1)),
            now_ms: 0,
            requests: 0,
            lane: LANE,
        }
    }

    fn see(&mut self, seen: Seen) -> &mut Self {
        self.now_ms += 10;
        self.judge.see(self.now_ms, &seen);
        self
    }

    fn later(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    /// A request that is still open; returns its number.
    fn sent(&mut self, worker: WorkerNumber, offsets: &[i64], processed: bool) -> RequestNumber {
        self.attempt(worker, offsets, processed, 1)
    }

    fn attempt(
        &mut self,
        worker: WorkerNumber,
        offsets: &[i64],
        processed: bool,
        attempt: u32,
    ) -> RequestNumber {
        let request = self.requests;
        self.requests += 1;
        let arrived = Arrived {
            request,
            lane: self.lane,
            offsets: offsets.to_vec(),
            worker,
            attempt,
            transaction: format!("{offsets:?}"),
            processed,
        };
        self.see(Seen::Arrived(arrived));
        request
    }

    fn answered(&mut self, request: RequestNumber, status: u16) -> &mut Self {
        self.see(Seen::Answered {
            request,
            status,
            retry_after_ms: 0,
        })
    }

    fn cut(&mut self, request: RequestNumber, by: Side) -> &mut Self {
        self.see(Seen::Cut { request, by })
    }

    fn delivered(&mut self, worker: WorkerNumber, offsets: &[i64]) -> &mut Self {
        let request = self.sent(worker, offsets, true);
        self.answered(request, 200)
    }

    fn worker(&mut self, worker: WorkerNumber, change: WorkerChange) -> &mut Self {
        self.see(Seen::Worker { worker, change })
    }

    fn committed(&mut self, look: u64, offset: i64) -> &mut Self {
        self.see(Seen::Committed {
            look,
            place: PLACE,
            offset,
        })
    }

    fn parked(&mut self, first: i64, last: i64) -> &mut Self {
        let lane = self.lane;
        self.see(Seen::Parked { lane, first, last })
    }

    fn row(&mut self, present: bool) -> &mut Self {
        let lane = self.lane;
        self.see(Seen::Row { lane, present })
    }

    /// Gives all other targets what there is, so that commits are about the story's lane alone.
    fn others_got(&mut self, offsets: std::ops::Range<i64>) -> &mut Self {
        let own = self.lane;
        for (target, _) in roster::all().filter(|(target, _)| *target != own.target) {
            self.lane = Lane {
                target,
                place: PLACE,
            };
            let offsets = self.wanted(offsets.clone());
            self.delivered(0, &offsets);
        }
        self.lane = own;
        self
    }

    fn wanted(&self, offsets: std::ops::Range<i64>) -> Vec<i64> {
        let next = next_wanted(self.judge.source, self.lane);
        offsets.filter(|offset| next(*offset) == *offset).collect()
    }

    /// What is found broken.
    fn broken(&self) -> Vec<Invariant> {
        let violations = self.judge.verdict().violations().iter();
        violations.map(|violation| violation.invariant).collect()
    }

    fn cause(&self) -> Vec<(Cause, u64)> {
        self.judge.causes().clone().into_iter().collect()
    }
}

#[test]
fn what_should_be_is_found_in_order() {
    let mut story = Story::new();
    let ambiguous = story.delivered(0, &[0, 1]).sent(0, &[2, 3], true);
    story.answered(ambiguous, 500).later(80);
    let again = story.attempt(0, &[2, 3], true, 2);
    story.answered(again, 200).others_got(0..4).committed(0, 4);
    story.see(Seen::Tailed { look: 0 });
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
    story.see(Seen::Tailed { look: 7 });
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}

#[test]
fn a_commit_over_parked_events_is_safe_with_a_row_only() {
    for (parked, row, kept) in [
        ((1, 1), true, true),
        ((1, 1), false, false),
        ((2, 9), true, false),
    ] {
        let mut story = Story::new();
        story.others_got(0..2).delivered(0, &[0]).committed(7, 2);
        story.parked(parked.0, parked.1);
        if row {
            // It may be gone again before the topics were read.
            story.row(true).row(false);
        }
        story.see(Seen::Tailed { look: 7 });
        assert_eq!(story.broken().is_empty(), kept, "{parked:?} {row}");
    }
}

#[test]
fn a_row_that_was_gone_before_the_commit_does_not_help() {
    let mut story = Story::new();
    story.others_got(0..2).delivered(0, &[0]).parked(1, 1);
    story.row(true).row(false).committed(7, 2);
    story.see(Seen::Tailed { look: 7 });
    assert_eq!(story.broken(), [Invariant::CommitSafety]);
}

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

#[test]
fn repetitions_are_put_down_to_what_was_done() {
    let table: [(Deed, Cause); 6] = [
        (killed, Cause::Killed),
        (frozen, Cause::Frozen),
        (without_kafka, Cause::Kafka),
        (cut, Cause::Ambiguous),
        (slow, Cause::Late),
        (another_killed, Cause::Unexplained),
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
fn a_kill_explains_only_what_the_dead_had_delivered() {
    let mut story = Story::new();
    story.others_got(0..1).delivered(0, &[0]);
    story.worker(0, WorkerChange::Killed);
    story.delivered(1, &[0]).delivered(2, &[0]);
    assert_eq!(story.cause(), [(Cause::Killed, 1), (Cause::Unexplained, 1)]);
}

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
