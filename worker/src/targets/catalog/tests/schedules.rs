//! Whatever happens to the files, and in whatever order.

use proptest::prelude::*;

use super::*;
use crate::targets::fake::manifest;

/// A step in the life of a directory of three files.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, Vec<(usize, usize)>),
    Break(usize),
    Forbid(usize),
    Remove(usize),
    LoseDirectory,
}

const FILES: [&str; 3] = ["a.yaml", "b.yaml", "c.yaml"];
const NAMES: [&str; 4] = ["k", "l", "m", "n"];

fn step() -> impl Strategy<Value = Step> {
    let targets = prop::collection::vec((0..NAMES.len(), 0..3usize), 1..4);
    prop_oneof![
        5 => (0..FILES.len(), targets).prop_map(|(file, targets)| Step::Put(file, targets)),
        2 => (0..FILES.len()).prop_map(Step::Break),
        1 => (0..FILES.len()).prop_map(Step::Forbid),
        2 => (0..FILES.len()).prop_map(Step::Remove),
        1 => Just(Step::LoseDirectory),
    ]
}

fn text(targets: &[(usize, usize)]) -> String {
    let manifests: Vec<String> = targets
        .iter()
        .map(|(name, url)| manifest(NAMES[*name], &format!("u{url}")))
        .collect();
    manifests.join("---\n")
}

fn perform(history: &mut History, step: &Step) {
    match step {
        Step::Put(file, targets) => {
            history.put(FILES[*file], text(targets));
        }
        Step::Break(file) => {
            history.put(FILES[*file], "kind: [");
        }
        Step::Forbid(file) => {
            history.forbid(FILES[*file]);
        }
        Step::Remove(file) => {
            history.remove(FILES[*file]);
        }
        Step::LoseDirectory => {
            history.take(Scan {
                revision: Said::Nothing,
                files: Err("gone".to_owned()),
                secrets: Secrets::default(),
            });
            return;
        }
    }
    history.apply();
}

proptest! {
    #[test]
    fn whatever_happened_good_files_end_like_a_fresh_load(
        steps in prop::collection::vec(step(), 0..20),
        last in prop::collection::vec(
            prop::option::of(prop::collection::vec((0..NAMES.len(), 0..3usize), 1..4)), 3),
    ) {
        let mut history = History::new();
        for step in &steps {
            perform(&mut history, step);
        }
        for (file, targets) in FILES.iter().zip(&last) {
            match targets {
                Some(targets) => history.put(file, text(targets)),
                None => history.remove(file),
            };
        }
        history.apply();
        let mut fresh = History::new();
        fresh.files.clone_from(&history.files);
        fresh.apply();
        prop_assert_eq!(&history.last.targets, &fresh.last.targets);
        prop_assert_eq!(&history.last.problems, &fresh.last.problems);
    }

    #[test]
    fn a_target_ends_only_when_its_file_is_good_or_gone(
        steps in prop::collection::vec(step(), 1..20),
    ) {
        let mut history = History::new();
        for step in &steps {
            let before = history.last.targets.clone();
            perform(&mut history, step);
            let ended = before.iter().any(|target| {
                history.last.targets.iter().all(|now| now.name != target.name)
            });
            let may_end = matches!(step, Step::Put(..) | Step::Remove(_));
            prop_assert!(!ended || may_end, "{:?} ended a target", step);
        }
    }
}
