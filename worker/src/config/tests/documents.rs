//! The example and the documentation say what the code does.

use std::path::Path;

use super::settings::{SETTINGS, Shape};
use super::*;

fn repository_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_example_says_the_defaults() {
    let example = repository_file("docs/examples/worker.yaml");
    let from_example = Given::nothing().file(&example).load().unwrap();
    let defaults = Given::nothing()
        .flag("--targets=.")
        .flag("--bootstrap-servers=127.0.0.1:9092");
    assert_eq!(from_example, defaults.load().unwrap());
    // Written in the same words, not only with the same meaning.
    for row in SETTINGS.iter() {
        if let Some(default) = row.default {
            let line = format!("\n{}: {default}\n", row.path);
            assert!(example.contains(&line), "{line}");
        }
    }
}

#[test]
fn the_example_with_everything_uncommented_has_every_key_and_none_too_many() {
    let example =
        repository_file("docs/examples/worker.yaml").replace("egressAllow: []", "egressAllow:");
    let uncommented: String = example
        .lines()
        .map(|line| {
            let text = line.trim_start();
            // `#key: value` is a setting, `# words` are words.
            let setting = text
                .strip_prefix('#')
                .filter(|rest| !rest.starts_with("# "));
            match setting {
                Some(rest) if rest.starts_with("  - ") || !rest.starts_with(' ') => {
                    line.replacen('#', "", 1)
                }
                Some(_) | None => line.to_owned(),
            }
        })
        .map(|line| line + "\n")
        .collect();
    let faults = Given::nothing().file(&uncommented).faults();
    // The files that the example names are not there, and targets come from two places; nothing else is
    // wrong.
    for line in faults.lines() {
        assert!(
            line.contains("cannot be read: No such file")
                || line.contains("means nothing without kubernetes"),
            "{line}\n{uncommented}"
        );
    }
    for row in SETTINGS.iter().filter(|row| row.shape != Shape::Secret) {
        let last = row.path.rsplit('.').next().unwrap();
        let written = uncommented
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("{last}:")));
        assert!(written, "{} is missing", row.path);
    }
}

#[test]
fn the_documentation_names_every_key_variable_flag_default_and_exit_code() {
    let document = repository_file("docs/configuration.md");
    for row in &SETTINGS {
        let start = format!("| `{}` |", row.path);
        let line = document.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{} has no row", row.path));
        assert!(line.contains(&format!("`{}`", row.variable)), "{line}");
        if row.shape != Shape::Secret {
            assert!(line.contains(&format!("`--{}`", row.flag)), "{line}");
        }
        if let Some(default) = row.default {
            assert!(line.contains(&format!("| `{default}` |")), "{line}");
        }
    }
    let named = [("client.id", PROGRAM)];
    let defaults = named.iter().chain(&KAFKA_DEFAULTS);
    for (name, value) in defaults.chain(&crate::source::OWNED) {
        assert!(
            document.contains(&format!("| `{name}` | `{value}` |")),
            "{name}"
        );
    }
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(document.contains(&row), "{row}");
    }
}
