//! Who is told where a bucket ends, and what is asked when brokers are away.

use std::time::{Duration, Instant};

use crate::clock;
use crate::park::Ticket;
use crate::park::reader::ends::{BucketEnds, Query, Questions, Range, Ranges};

fn ticket(number: u64) -> Ticket {
    Ticket {
        slot: 0,
        lane: None,
        number,
    }
}

fn ends(buckets: &[i32], end: i64) -> Ranges {
    let range = Range { start: None, end };
    buckets.iter().map(|bucket| (*bucket, range)).collect()
}

fn query(buckets: &[i32]) -> Option<Query> {
    Some(Query {
        buckets: buckets.to_vec(),
        starts: false,
    })
}

/// Questions whose first look at all ends is done.
fn questions(now: Instant) -> Questions {
    let mut questions = Questions::new(3, now);
    assert_eq!(questions.next(now), query(&[0, 1, 2]));
    assert_eq!(questions.answered(now, &ends(&[0, 1, 2], 0)), []);
    questions
}

#[test]
fn all_ends_are_asked_for_at_the_start_and_once_a_minute() {
    let now = clock::now();
    let mut questions = questions(now);
    let minute = now + Duration::from_secs(60);
    assert_eq!(questions.due(), Some(minute));
    assert_eq!(questions.next(now + Duration::from_secs(59)), None);
    assert_eq!(questions.next(minute), query(&[0, 1, 2]));
}

#[test]
fn an_answer_is_not_for_those_who_asked_after_the_question() {
    let now = clock::now();
    let mut questions = questions(now);
    questions.ask_end(ticket(1), 0, 2);
    assert_eq!(questions.next(now), query(&[2]));
    questions.ask_end(ticket(2), 1, 2);
    assert_eq!(questions.next(now), None, "one at a time");
    let told = questions.answered(now, &ends(&[2], 10));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].ticket, told[0].end), (ticket(1), 10));
    assert_eq!(questions.next(now), query(&[2]));
    let told = questions.answered(now, &ends(&[2], 11));
    assert_eq!(
        (told[0].ticket, told[0].shard, told[0].end),
        (ticket(2), 1, 11)
    );
}

#[test]
fn a_bucket_that_nobody_answers_for_does_not_keep_the_others() {
    let mut now = clock::now();
    let mut questions = questions(now);
    for (number, bucket) in [(0, 0), (1, 1), (2, 2)] {
        questions.ask_end(ticket(number), 0, bucket);
    }
    let mut told = Vec::new();
    for _ in 0..20 {
        now = questions.due().unwrap().max(now);
        let query = questions.next(now).unwrap();
        // The leader of bucket 1 is away, and with it every question that names it.
        let answer = if query.buckets.contains(&1) {
            Ranges::new()
        } else {
            ends(&query.buckets, 5)
        };
        told.extend(questions.answered(now, &answer));
    }
    told.sort_by_key(|answer| answer.ticket.number);
    let numbers: Vec<u64> = told.iter().map(|answer| answer.ticket.number).collect();
    assert_eq!(numbers, [0, 2]);
    now = questions.due().unwrap();
    assert_eq!(questions.next(now), query(&[1]));
    assert_eq!(questions.answered(now, &ends(&[1], 5)).len(), 1);
}

#[test]
fn questions_that_fail_are_asked_again_after_longer_and_longer_waits() {
    let start = clock::now();
    let mut questions = questions(start);
    questions.ask_end(ticket(1), 0, 0);
    let mut waits = Vec::new();
    let mut now = start;
    for _ in 0..7 {
        assert!(questions.next(now).is_some());
        assert_eq!(questions.answered(now, &Ranges::new()), []);
        let due = questions.due().unwrap();
        waits.push((due - now).as_millis());
        now = due;
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
}

#[test]
fn a_suspect_bucket_is_asked_for_its_start_too() {
    let now = clock::now();
    let mut questions = questions(now);
    questions.ask_range(1);
    let asked = questions.next(now).unwrap();
    assert!(asked.starts);
    questions.answered(now, &ends(&[1], 5));
    let asked = questions.next(now).unwrap();
    assert!(asked.starts, "the start is still not known");
    let start = Some(3);
    let range = Range { start, end: 5 };
    questions.answered(now, &Ranges::from([(1, range)]));
    assert_eq!(questions.next(now), None);
}

#[test]
fn ends_rise_with_what_is_seen_and_fall_only_by_the_clusters_word() {
    let ends = BucketEnds::new(2);
    assert_eq!(ends.at_least(0), 0);
    ends.raise(0, 10);
    ends.raise(0, 5);
    assert_eq!(ends.at_least(0), 10);
    ends.set(0, 7);
    assert_eq!(ends.at_least(0), 7);
    ends.raise(9, 1);
    assert_eq!(
        (ends.at_least(1), ends.at_least(9), ends.at_least(-1)),
        (0, 0, 0)
    );
}
