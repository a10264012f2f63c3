//! What `parcelhook-worker check` says about the targets directory.

use std::io::{self, Write};

use super::compile::Compiler;
use super::{Directory, Place};
use crate::config::Exit;

/// Loads the directory once, writes every problem on a line of its own and a summary, and says how
/// the process should end. Blocking.
///
/// # Errors
/// When `out` cannot be written to.
pub fn check<C: Compiler>(
    place: Place,
    worker_group: &str,
    compiler: C,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let (_, snapshot) = match Directory::open(place, worker_group, compiler) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(out, "{error}")?;
            return Ok(Exit::Configuration);
        }
    };
    for problem in &snapshot.problems {
        writeln!(out, "{problem}")?;
    }
    writeln!(
        out,
        "targets of worker group {worker_group}: {}; of other groups: {}; problems: {}",
        snapshot.targets.len(),
        snapshot.of_other_groups,
        snapshot.problems.len()
    )?;
    Ok(if snapshot.problems.is_empty() {
        Exit::Clean
    } else {
        Exit::Configuration
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::targets::fake::{FakeCompiler, manifest};

    fn checked(files: &[(&str, &str)]) -> (Exit, String) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(root.path().join(name), text).unwrap();
        }
        let place = Place {
            targets: root.path().to_owned(),
            secrets: None,
        };
        let mut out = Vec::new();
        let exit = check(place, "default", FakeCompiler::default(), &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn good_targets_are_counted() {
        let other = manifest("c", "u").replace("spec:", "spec:\n  workerGroup: other");
        let both = format!("{}---\n{other}", manifest("a", "u"));
        let (exit, out) = checked(&[("a.yaml", &both), ("b.yaml", &manifest("b", "u"))]);
        assert_eq!(
            out,
            "targets of worker group default: 2; of other groups: 1; problems: 0\n"
        );
        assert_eq!(exit, Exit::Clean);
    }

    #[test]
    fn every_problem_is_printed_and_ends_as_a_wrong_configuration() {
        let bad = format!("{}---\nkind: List\n", manifest("a", "bad"));
        let (exit, out) = checked(&[("a.yaml", &bad), ("b.yaml", "")]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines[0],
            "a.yaml, document 1: default/a: spec.url: must be good"
        );
        assert!(lines[1].starts_with("a.yaml, document 2: kind: "), "{out}");
        assert!(lines[2].starts_with("b.yaml: is empty"), "{out}");
        assert!(lines[3].ends_with("problems: 3"), "{out}");
        assert_eq!(exit, Exit::Configuration);
    }

    #[test]
    fn a_missing_directory_is_a_wrong_configuration() {
        let place = Place {
            targets: "/nonexistent".into(),
            secrets: None,
        };
        let mut out = Vec::new();
        let exit = check(place, "default", FakeCompiler::default(), &mut out).unwrap();
        assert_eq!(exit, Exit::Configuration);
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.starts_with("targets: /nonexistent cannot be read: "),
            "{out}"
        );
    }
}
