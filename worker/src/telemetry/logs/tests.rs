//! What a log line looks like, and what it never holds.

use super::super::attempt_log::{self, Attempted};
use super::super::captured::Captured;
use super::*;
use crate::admin::fixture;
use crate::delivery::{Attempt, Outcome};

/// The lines that `act` logs under a filter.
fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let layer = lines(format, move || writer.clone()).with_filter(parse(filter).unwrap());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, act);
    captured.text()
}

fn attempted(result: &Attempt, next_attempt_ms: Option<u64>) {
    let attempted = Attempted {
        namespace: "shop",
        target: "billing",
        transaction: "txn_1",
        topic: "orders",
        partition: 3,
        offsets: (100, 102),
        events: 3,
        attempt: 2,
    };
    attempt_log::log(&attempted, result, next_attempt_ms);
}

fn failed() -> Attempt {
    let mut result = fixture::attempt(Outcome::Unavailable { retry_after: None }, Some(503));
    result.detail = Some(fixture::SECRET.to_owned());
    result
}

#[test]
fn an_attempt_is_one_wide_line() {
    let line = logged(LogFormat::Json, "info", || attempted(&failed(), Some(4000)));
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["timestamp"] = "TIME".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&line).unwrap());
}

#[test]
fn a_line_holds_nothing_that_the_receiver_said() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let line = logged(format, "trace", || attempted(&failed(), None));
        assert!(line.contains("billing"), "{line}");
        assert!(!line.contains(fixture::SECRET), "{line}");
    }
}

#[test]
fn a_delivery_is_only_shown_at_debug() {
    let act = || attempted(&fixture::attempt(Outcome::Delivered, Some(200)), None);
    assert_eq!(logged(LogFormat::Text, "info", act), "");
    assert!(logged(LogFormat::Text, "debug", act).contains("outcome=\"delivered\""));
}

#[test]
fn the_filter_chooses_level_and_module() {
    let act = || {
        tracing::debug!(target: "parcelhook_worker::lane", "fine");
        tracing::debug!(target: "other", "coarse");
    };
    let text = logged(LogFormat::Text, "warn,parcelhook_worker::lane=debug", act);
    assert!(text.contains("fine") && !text.contains("coarse"), "{text}");
    assert_eq!(logged(LogFormat::Text, " ", act), "", "the default is info");
}

#[test]
fn a_filter_that_does_not_parse_is_named_with_the_fix() {
    let error = parse("info,=nonsense=").unwrap_err().to_string();
    assert!(error.contains("info,=nonsense="), "{error}");
    assert!(error.contains("use a level such as"), "{error}");
}
