//! One behaviour each.

use std::sync::atomic::Ordering;

use super::*;
use crate::targets::fake::{manifest, manifest_with_secret};

fn nothing() -> Vec<String> {
    Vec::new()
}

const GOES_ON: &str = " (the last good version goes on)";

#[test]
fn the_first_load_is_a_snapshot_even_when_the_directory_is_empty() {
    let mut history = History::new();
    assert!(history.apply());
    assert_eq!(history.last.changes, 1);
    assert!(!history.apply());
}

#[test]
fn targets_are_added_changed_and_removed() {
    let mut history = History::new();
    history
        .put("b.yaml", manifest("b", "1"))
        .put("a.yaml", manifest("a", "1"));
    assert_eq!(history.after(), ("a=1 b=1".to_owned(), nothing()));
    history.put("a.yaml", manifest("a", "2"));
    assert_eq!(history.after(), ("a=2 b=1".to_owned(), nothing()));
    history.remove("b.yaml");
    assert_eq!(history.after(), ("a=2".to_owned(), nothing()));
    history.put("a.yaml", manifest("c", "2"));
    assert_eq!(history.after(), ("c=2".to_owned(), nothing()));
}

#[test]
fn a_target_that_did_not_change_stays_the_same_arc() {
    let mut history = History::new();
    history
        .put("a.yaml", manifest("a", "1"))
        .put("b.yaml", manifest("b", "1"));
    history.apply();
    let (a, b) = (history.target("a"), history.target("b"));
    // Another text with the same meaning is no change at all.
    history.put("a.yaml", format!("# words\n{}", manifest("a", "1")));
    assert!(!history.apply());
    history.put("b.yaml", manifest("b", "2"));
    assert!(history.apply());
    assert!(Arc::ptr_eq(&a, &history.target("a")));
    assert!(!Arc::ptr_eq(&b, &history.target("b")));
}

#[test]
fn a_renamed_file_changes_nothing() {
    let mut history = History::new();
    history.put("a.yaml", manifest("a", "1"));
    history.apply();
    let before = history.target("a");
    history.remove("a.yaml").put("b.yaml", manifest("a", "1"));
    assert!(!history.apply());
    history.put("b.yaml", manifest("a", "bad"));
    assert!(history.apply());
    assert!(Arc::ptr_eq(&before, &history.target("a")));
}

#[test]
fn a_broken_file_keeps_its_last_good_targets_until_it_is_repaired() {
    for broken in [
        "kind: DeliveryTarget\nmetadata: {name: a",
        "",
        " \r\n",
        "kind: DeliveryTarget\nmetadata: {name: a}\nspec: {url: bad}\n",
        "kind: DeliveryTarget\nmetadata: {name: a}\nspec: {url: panic}\n",
        "kind: DeliveryTarget\nmetadata: {name: renamed}\nspec: {url: bad}\n",
        "kind: DeliveryTarget\nspec: {url: 1}\n",
        "kind: DeliveryTargt\nmetadata: {name: a}\nspec: {url: x}\n",
        "\u{0}",
    ] {
        let mut history = History::new();
        history
            .put("a.yaml", manifest("a", "1"))
            .put("b.yaml", manifest("b", "1"));
        history.apply();
        let before = history.target("a");
        history
            .put("a.yaml", broken)
            .put("b.yaml", manifest("b", "2"));
        let (running, problems) = history.after();
        assert_eq!(running, "a=1 b=2", "{broken:?}");
        assert!(Arc::ptr_eq(&before, &history.target("a")));
        assert_eq!(problems.len(), 1, "{broken:?}: {problems:?}");
        assert!(problems[0].starts_with("a.yaml"), "{problems:?}");
        assert!(!history.apply(), "{broken:?}: told twice");
        history.put("a.yaml", manifest("a", "3"));
        assert_eq!(history.after(), ("a=3 b=2".to_owned(), nothing()));
    }
}

#[test]
fn a_problem_names_file_document_and_field_and_whether_the_target_goes_on() {
    let mut history = History::new();
    history.put(
        "a.yaml",
        format!("{}---\n{}", manifest("a", "1"), manifest("b", "bad")),
    );
    let fault = "a.yaml, document 2: default/b: spec.url: must be good";
    assert_eq!(history.after(), ("a=1".to_owned(), vec![fault.to_owned()]));
    history.put(
        "a.yaml",
        format!("{}---\n{}", manifest("a", "1"), manifest("b", "1")),
    );
    assert_eq!(history.after(), ("a=1 b=1".to_owned(), nothing()));
    history.put(
        "a.yaml",
        format!("{}---\n{}", manifest("a", "2"), manifest("b", "bad")),
    );
    assert_eq!(
        history.after(),
        ("a=2 b=1".to_owned(), vec![format!("{fault}{GOES_ON}")])
    );
}

#[test]
fn while_a_file_is_broken_none_of_its_targets_ends() {
    let [a, b, c] = ["a", "b", "c"].map(|name| manifest(name, "1"));
    let mut history = History::new();
    history.put("a.yaml", format!("{a}---\n{b}---\n{c}"));
    history.apply();
    // A lost separator hides c in the broken text of b.
    history.put("a.yaml", format!("{a}---\n{b}--\n{c}"));
    let (running, problems) = history.after();
    assert_eq!(running, "a=1 b=1 c=1");
    assert_eq!(problems.len(), 1);
    // Removed and broken at once: it ends when the rest is mended.
    history.put("a.yaml", format!("{a}---\nkind: [\n"));
    assert_eq!(history.after().0, "a=1 b=1 c=1");
    history.put("a.yaml", a);
    assert_eq!(history.after(), ("a=1".to_owned(), nothing()));
}

#[test]
fn a_file_of_comments_ends_its_targets_on_purpose() {
    let mut history = History::new();
    history.put("a.yaml", manifest("a", "1"));
    history.apply();
    history.put("a.yaml", "# kind: DeliveryTarget\n");
    assert_eq!(history.after(), (String::new(), nothing()));
}

#[test]
fn an_unreadable_file_keeps_its_targets_and_a_removed_one_ends_them() {
    let mut history = History::new();
    history.put("a.yaml", manifest("a", "1"));
    history.apply();
    history.forbid("a.yaml");
    let problem = format!("a.yaml: cannot be read: permission denied{GOES_ON}");
    assert_eq!(history.after(), ("a=1".to_owned(), vec![problem]));
    history.put("a.yaml", manifest("a", "1"));
    assert_eq!(history.after(), ("a=1".to_owned(), nothing()));
    history.forbid("a.yaml").apply();
    history.remove("a.yaml");
    assert_eq!(history.after(), (String::new(), nothing()));
}

#[test]
fn a_lost_directory_ends_nothing() {
    let mut history = History::new();
    history.put("a.yaml", manifest("a", "1"));
    history.apply();
    let lost = || Scan {
        revision: Said::Nothing,
        files: Err("/targets cannot be read: gone".to_owned()),
        secrets: Secrets::default(),
    };
    assert!(history.take(lost()));
    assert_eq!(history.running(), "a=1");
    assert_eq!(
        history.problems(),
        [format!(".: /targets cannot be read: gone{GOES_ON}")]
    );
    assert!(!history.take(lost()));
    assert_eq!(history.after(), ("a=1".to_owned(), nothing()));
}

#[test]
fn of_two_with_one_name_the_first_wins_and_the_second_is_told() {
    let mut history = History::new();
    history
        .put("a.yaml", manifest("x", "a"))
        .put("b.yaml", manifest("x", "b"));
    let told = "b.yaml, document 1: default/x is defined twice: in a.yaml, document 1, which wins, and here; remove or rename one";
    assert_eq!(history.after(), ("x=a".to_owned(), vec![told.to_owned()]));
    // The last good version of the first goes on, not the second's.
    history.put("a.yaml", "kind: [");
    let (running, problems) = history.after();
    assert_eq!(running, "x=a");
    assert!(
        problems[1].contains("still runs as it last was in a.yaml"),
        "{problems:?}"
    );
    history.remove("a.yaml");
    assert_eq!(history.after(), ("x=b".to_owned(), nothing()));
}

#[test]
fn two_with_one_name_in_one_file_are_told_too() {
    let mut history = History::new();
    history.put(
        "a.yaml",
        format!("{}---\n{}", manifest("x", "1"), manifest("x", "2")),
    );
    let (running, problems) = history.after();
    assert_eq!(running, "x=1");
    assert!(
        problems[0]
            .starts_with("a.yaml, document 2: default/x is defined twice: in a.yaml, document 1")
    );
}

#[test]
fn manifests_of_other_groups_are_counted_and_passed_over() {
    let other = manifest("x", "bad").replace("spec:", "spec:\n  workerGroup: other");
    let mut history = History::new();
    history.put("a.yaml", format!("{other}---\n{}", manifest("a", "1")));
    assert_eq!(history.after(), ("a=1".to_owned(), nothing()));
    assert_eq!(history.last.of_other_groups, 1);
}

#[test]
fn a_rotated_secret_changes_its_target_and_no_other() {
    let mut history = History::new();
    history
        .secret(Some("old"))
        .put("a.yaml", manifest_with_secret("a", "secret/key"))
        .put("b.yaml", manifest("b", "1"));
    history.apply();
    let (a, b) = (history.target("a"), history.target("b"));
    history.secret(Some("new"));
    assert!(history.apply());
    assert_eq!(history.target("a").signing_keys, [Secret::new("new")]);
    assert_ne!(history.target("a"), a);
    assert!(Arc::ptr_eq(&b, &history.target("b")));
    // Only Secrets changed: nothing is validated again.
    assert_eq!(history.compiler.validations.load(Ordering::Relaxed), 2);
}

#[test]
fn a_lost_secret_is_a_problem_and_the_target_goes_on_with_the_last_value() {
    let mut history = History::new();
    history.put("a.yaml", manifest_with_secret("a", "secret/key"));
    let problem = "a.yaml, document 1: default/a: spec.secret: not found";
    assert_eq!(history.after(), (String::new(), vec![problem.to_owned()]));
    history.secret(Some("hunter2"));
    assert_eq!(history.after(), ("a=u".to_owned(), nothing()));
    history.secret(None);
    assert_eq!(
        history.after(),
        ("a=u".to_owned(), vec![format!("{problem}{GOES_ON}")])
    );
    assert!(!format!("{:?}", history.last).contains("hunter2"));
}

#[test]
fn faults_of_one_document_are_told_up_to_a_bound() {
    let faults: Vec<String> = (0..12).map(|number| format!("f{number}: wrong")).collect();
    let document::Content::Ours { name, .. } =
        document::documents("a.yaml", manifest("a", "1").as_bytes(), "default")
            .unwrap()
            .remove(0)
            .content
    else {
        panic!("not ours");
    };
    let message = describe(&name, &faults);
    assert!(
        message.starts_with("default/a: f0: wrong; f1: wrong; "),
        "{message}"
    );
    assert!(message.ends_with("f9: wrong; and 2 more"), "{message}");
}

#[test]
fn a_message_is_bounded() {
    let mut history = History::new();
    history.put("a.yaml", format!("kind: {}", "ä".repeat(5_000)));
    let problems = history.after().1;
    assert!(
        problems[0].len() < 2_200 && problems[0].ends_with('…'),
        "{problems:?}"
    );
}
