//! Which state of the directory counts, when a file `revision` numbers its states. Pure.
//!
//! A revision stands for one content, or workers could not tell from the number who knows a target. So
//! while there is such a file, what the manifests say counts when the number rises, all of it at once;
//! within a lineage it never falls, and a lineage is never followed by a lesser one. Without the file
//! the manifests count as they are. Invariant: a revision, once it runs, is only replaced by a newer one.

use std::collections::BTreeMap;

use parcelhook_crds::revision::Revision;

use super::scan::Content;

/// The name of the file in the targets directory.
pub(super) const FILE: &str = "revision";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// There is none.
    Nothing,
    /// This one.
    Revision(Revision),
    /// Why it cannot be used.
    Unusable(String),
}

impl Said {
    /// Reads the content of the file: one line, white space around it left aside.
    pub(super) fn of(content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content);
        match text.trim().parse() {
            Ok(revision) => Self::Revision(revision),
            Err(error) => Self::Unusable(error.to_string()),
        }
    }
}

/// The manifests by name.
pub(super) type Files = BTreeMap<String, Content>;

/// The state of the directory that counts.
#[derive(Debug, Default)]
pub(super) struct Release {
    revision: Option<Revision>,
    files: Files,
}

/// Why what is in the directory does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Held {
    #[error("{0}; what ran goes on")]
    Unusable(String),
    #[error("is gone; what ran under {0} goes on; put it back, or restart the worker without it")]
    Gone(Revision),
    #[error(
        "says {said}, which is older than {runs}; what runs goes on; write a greater number, or a greater lineage"
    )]
    Older { said: Revision, runs: Revision },
    #[error(
        "still says {0}, but the manifests are others; what ran goes on; write a greater number once they are complete"
    )]
    Same(Revision),
}

impl Release {
    /// What runs was numbered so.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// The manifests that count.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Takes the state of the directory. Says why it does not count, if it does not.
    pub(super) fn take(&mut self, said: Said, files: Files) -> Option<Held> {
        let revision = match (said, self.revision) {
            (Said::Unusable(why), _) => return Some(Held::Unusable(why)),
            (Said::Nothing, Some(runs)) => return Some(Held::Gone(runs)),
            (Said::Revision(said), Some(runs)) if said < runs => {
                return Some(Held::Older { said, runs });
            }
            (Said::Revision(said), Some(runs)) if said == runs => {
                return (files != self.files).then_some(Held::Same(runs));
            }
            (Said::Revision(said), Some(_) | None) => Some(said),
            (Said::Nothing, None) => None,
        };
        *self = Self { revision, files };
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn files(text: &str) -> Files {
        let content = Ok(Arc::from(text.as_bytes()));
        BTreeMap::from([("a.yaml".to_owned(), content)])
    }

    fn says(text: &str) -> Said {
        Said::of(text.as_bytes())
    }

    #[test]
    fn without_a_revision_the_manifests_count_as_they_are() {
        let mut release = Release::default();
        for text in ["1", "2"] {
            assert_eq!(release.take(Said::Nothing, files(text)), None);
            assert_eq!((release.revision(), release.files()), (None, &files(text)));
        }
    }

    #[test]
    fn a_revision_stands_for_one_content() {
        let mut release = Release::default();
        assert_eq!(release.take(says("1:1\n"), files("1")), None);
        assert_eq!(release.take(says("1:1"), files("1")), None);
        let first: Revision = "1:1".parse().unwrap();
        let held = release.take(says("1:1"), files("2"));
        assert_eq!(held, Some(Held::Same(first)));
        assert_eq!(release.files(), &files("1"));
        assert_eq!(release.take(says(" 1:2 "), files("2")), None);
        assert_eq!(release.files(), &files("2"));
    }

    #[test]
    fn a_revision_is_only_replaced_by_a_newer_one() {
        let mut release = Release::default();
        assert_eq!(release.take(says("2:7"), files("1")), None);
        for (said, expected) in [
            ("2:6", "says 2:6, which is older than 2:7"),
            ("1:9", "says 1:9, which is older than 2:7"),
            ("seven", "is not of the form <lineage>:<number>"),
        ] {
            let held = release.take(says(said), files("2")).unwrap().to_string();
            assert!(held.starts_with(expected), "{held}");
        }
        let held = release.take(Said::Nothing, files("2")).unwrap().to_string();
        assert!(held.starts_with("is gone; what ran under 2:7"), "{held}");
        assert_eq!(release.files(), &files("1"));
        assert_eq!(
            release.take(says("3:1"), files("2")),
            None,
            "another lineage"
        );
        assert_eq!(release.revision(), "3:1".parse().ok());
    }
}
