//! Histories, good and bad: the checker must catch each kind of violation, and only those.

use super::*;

/// Accepted transactions; each is written as its ids, separated by spaces.
fn history(transactions: &[&str]) -> Vec<Transaction> {
    let mut interner = Interner::default();
    (0..)
        .zip(transactions)
        .map(|(request, ids)| Transaction {
            request,
            events: ids
                .split_whitespace()
                .map(|id| interner.parse(id).unwrap())
                .collect(),
        })
        .collect()
}

/// Offsets 0–3 of `a/0` and 5–6 of `a/1`.
fn expected() -> Expected {
    let mut expected = Expected::default();
    expected.add("a", 0, 0..4);
    expected.add("a", 1, [6, 5, 5]);
    expected
}

fn compare(transactions: &[&str]) -> Verdict {
    expected().compare(&history(transactions))
}

#[test]
fn good_histories_are_clean() {
    for (what, transactions, duplicates) in [
        ("at once", vec!["a/0/0 a/0/1 a/0/2 a/0/3", "a/1/5 a/1/6"], 0),
        (
            "lanes interleaved, one event at a time",
            vec!["a/1/5", "a/0/0", "a/0/1", "a/1/6", "a/0/2", "a/0/3"],
            0,
        ),
        (
            "repeated after an ambiguous attempt",
            vec!["a/0/0 a/0/1", "a/0/0 a/0/1", "a/0/2 a/0/3", "a/1/5 a/1/6"],
            2,
        ),
        (
            "rewound to an earlier commit, cut differently",
            vec!["a/0/0 a/0/1 a/0/2", "a/0/1", "a/0/2 a/0/3", "a/1/5 a/1/6"],
            2,
        ),
        (
            "an empty transaction",
            vec!["", "a/0/0 a/0/1 a/0/2 a/0/3 a/1/5 a/1/6"],
            0,
        ),
    ] {
        let verdict = compare(&transactions);
        assert_eq!(verdict.violations, [], "{what}");
        assert_eq!(
            (verdict.delivered, verdict.duplicates),
            (6, duplicates),
            "{what}"
        );
    }
}

#[test]
fn an_event_delivered_before_an_earlier_one_is_out_of_order() {
    let verdict = compare(&["a/0/0 a/0/2", "a/0/1", "a/0/3", "a/1/5 a/1/6"]);
    let [
        Violation::OutOfOrder {
            request: 0,
            offset: 2,
            awaited: 1,
            ..
        },
    ] = &verdict.violations[..]
    else {
        panic!("{verdict}");
    };
    assert_eq!((verdict.delivered, verdict.duplicates), (6, 0));
}

#[test]
fn offsets_that_nobody_produced_are_no_gap() {
    let mut expected = Expected::default();
    expected.add("a", 0, [0, 7]);
    let verdict = expected.compare(&history(&["a/0/0 a/0/7"]));
    assert_eq!(verdict.violations, []);
}

#[test]
fn an_event_that_never_came_is_missing_wherever_it_lies() {
    for (transactions, missing) in [
        (
            ["a/0/1 a/0/2 a/0/3", "a/1/5 a/1/6"],
            "a/0, the first at offsets [0]",
        ),
        (
            ["a/0/0 a/0/2 a/0/3", "a/1/5 a/1/6"],
            "a/0, the first at offsets [1]",
        ),
        (
            ["a/0/0 a/0/1", "a/1/5 a/1/6"],
            "a/0, the first at offsets [2, 3]",
        ),
        (
            ["a/0/0 a/0/1 a/0/2 a/0/3", ""],
            "a/1, the first at offsets [5, 6]",
        ),
    ] {
        let message = compare(&transactions).kept().unwrap_err().to_string();
        assert!(message.contains(missing), "{missing:?} in {message}");
    }
}

#[test]
fn an_event_that_was_not_produced_is_invented() {
    for id in ["a/0/4", "a/1/4", "a/2/0", "b/0/0"] {
        let verdict = compare(&["a/0/0 a/0/1 a/0/2 a/0/3 a/1/5 a/1/6", id]);
        let [Violation::Invented { request: 1, .. }] = &verdict.violations[..] else {
            panic!("{id}: {verdict}");
        };
    }
}

#[test]
fn an_event_twice_in_one_transaction_is_no_mere_duplicate() {
    let verdict = compare(&["a/0/0 a/0/1 a/0/1 a/0/2 a/0/3 a/1/5 a/1/6"]);
    let [Violation::TwiceInOne { offset: 1, .. }] = &verdict.violations[..] else {
        panic!("{verdict}");
    };
    assert_eq!(verdict.duplicates, 0);
}

#[test]
fn exactly_once_allows_no_duplicate_and_at_least_once_does() {
    let twice = compare(&["a/0/0", "a/0/0 a/0/1 a/0/2 a/0/3", "a/1/5 a/1/6"]);
    assert!(twice.clone().kept().is_ok());
    assert!(twice.kept_exactly_once().is_err());
}

#[test]
fn a_long_list_of_violations_is_cut_and_counted() {
    let mut expected = Expected::default();
    expected.add("a", 0, 0..1);
    let ids: Vec<String> = (0..30).map(|offset| format!("b/0/{offset}")).collect();
    let verdict = expected.compare(&history(&[&ids.join(" ")]));
    assert!(verdict.to_string().contains("and 11 more"), "{verdict}");
}
