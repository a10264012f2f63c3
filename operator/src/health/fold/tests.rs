use super::*;

fn about() -> About<'static> {
    About {
        suspended: None,
        threshold: 1,
        max_age: Duration::from_secs(1_000),
        success: None,
        had_traffic: false,
        freshness: Freshness::Fresh,
        now: 10_000,
        before: None,
    }
}

fn lanes(failed: &[(i64, &str)]) -> Gathered {
    Gathered {
        failing: failed
            .iter()
            .map(|(last, reason)| Lane {
                last: *last,
                since: last - 100,
                reason: (*reason).to_owned(),
                in_a_row: 1,
            })
            .collect(),
        ..Gathered::default()
    }
}

fn written(state: State, reason: &str) -> Health {
    Health {
        state,
        reason: reason.to_owned(),
        available: available(state, reason),
        since: 7,
        next_attempt: Some(11_000),
        parked: 50,
        oldest_parked: Some(8),
        last_failure: None,
        at_risk: true,
    }
}

#[test]
fn the_table_of_states() {
    use Availability as A;
    let quiet = lanes(&[]);
    let failing = lanes(&[(5_000, "HTTPStatus")]);
    let blocked = Gathered {
        blocked: true,
        ..lanes(&[])
    };
    let overflow = Gathered {
        overflowing: true,
        ..lanes(&[])
    };
    let fresh = about();
    let took = About {
        success: Some(6_000),
        had_traffic: true,
        ..about()
    };
    let took_before = About {
        success: Some(4_000),
        ..about()
    };
    let (up, down) = (
        written(State::Up, "Delivering"),
        written(State::Down, "Timeout"),
    );
    let was_up = About {
        before: Some(&up),
        ..about()
    };
    let was_down = About {
        before: Some(&down),
        ..about()
    };
    let stale = About {
        freshness: Freshness::Stale,
        ..was_down.clone()
    };
    let settling = About {
        freshness: Freshness::Settling,
        ..was_down.clone()
    };
    let idle = written(State::Unknown, "NoTraffic");
    let settling_idle = About {
        before: Some(&idle),
        ..settling.clone()
    };
    let held = About {
        suspended: Some("TopicNotAllowed"),
        ..about()
    };
    for (lanes, about, state, reason, available) in [
        (&quiet, &fresh, State::Unknown, "NoTraffic", A::Unknown),
        (&quiet, &took, State::Up, "Delivering", A::True),
        (&quiet, &was_up, State::Up, "Delivering", A::True),
        (&quiet, &was_down, State::Up, "Delivering", A::True),
        (&failing, &fresh, State::Down, "HTTPStatus", A::False),
        (&failing, &took_before, State::Down, "HTTPStatus", A::False),
        (
            &failing,
            &took,
            State::Up,
            "SomePartitionsFailing",
            A::False,
        ),
        (&blocked, &fresh, State::Blocked, "Blocked", A::False),
        (&overflow, &took, State::Up, "Overflow", A::True),
        (&failing, &stale, State::Unknown, "StateStale", A::Unknown),
        (&quiet, &settling, State::Down, "Timeout", A::False),
        (
            &quiet,
            &settling_idle,
            State::Unknown,
            "NoTraffic",
            A::Unknown,
        ),
        (&failing, &settling, State::Down, "HTTPStatus", A::False),
        (
            &failing,
            &held,
            State::Suspended,
            "TopicNotAllowed",
            A::Unknown,
        ),
    ] {
        let health = fold(lanes, about);
        assert_eq!(
            (health.state, health.reason.as_str(), health.available),
            (state, reason, available),
            "{lanes:?} {about:?}"
        );
    }
}

#[test]
fn since_is_when_the_state_began_and_stays_while_it_lasts() {
    let failing = lanes(&[(5_000, "Timeout")]);
    assert_eq!(fold(&failing, &about()).since, 4_900);
    let down = written(State::Down, "Timeout");
    let still = About {
        before: Some(&down),
        ..about()
    };
    assert_eq!(fold(&failing, &still).since, 7);
    let recovered = About {
        success: Some(6_000),
        ..still
    };
    assert_eq!(fold(&lanes(&[]), &recovered).since, 6_000);
    let ahead = About {
        success: Some(99_000),
        ..about()
    };
    assert_eq!(
        fold(&lanes(&[]), &ahead).since,
        10_000,
        "a worker's clock may be ahead"
    );
}

#[test]
fn what_was_written_stands_until_all_rows_are_read() {
    let some = Gathered {
        parked: 3,
        ..lanes(&[(5_000, "HTTPStatus")])
    };
    let down = written(State::Down, "Timeout");
    let idle = written(State::Unknown, "NoTraffic");
    let held = written(State::Suspended, "Suspended");
    let reading = |before, suspended| {
        let about = About {
            freshness: Freshness::Reading,
            before,
            suspended,
            ..about()
        };
        fold(&some, &about)
    };
    assert_eq!(reading(Some(&down), None), down);
    assert_eq!(reading(Some(&idle), None), idle);
    let suspended = Health {
        since: 10_000,
        next_attempt: None,
        ..written(State::Suspended, "Suspended")
    };
    assert_eq!(reading(Some(&down), Some("Suspended")), suspended);
    let resumed = reading(Some(&held), None);
    assert_eq!((resumed.state, resumed.parked), (State::Unknown, 50));
    let new = reading(None, None);
    assert_eq!((new.state, new.parked), (State::Down, 3), "nothing stands");
}

#[test]
fn a_word_that_is_none_is_not_written() {
    for (said, written) in [
        ("TLSHandshakeFailed", "TLSHandshakeFailed"),
        ("no word", "RequestFailed"),
        ("lower", "RequestFailed"),
    ] {
        assert_eq!(fold(&lanes(&[(5_000, said)]), &about()).reason, written);
    }
}

#[test]
fn events_are_at_risk_from_half_of_the_time_that_they_are_kept() {
    let mut waiting = lanes(&[(5_000, "Timeout")]);
    (waiting.parked, waiting.oldest_parked) = (1, Some(0));
    let at = |now| fold(&waiting, &About { now, ..about() }).at_risk;
    assert!(!at(499_999) && at(500_000));
}
