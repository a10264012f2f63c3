//! Which targets refer to which Secrets, and which version of a Secret was last seen.
//!
//! Owns no Secret. Bounded by the references of targets: a Secret that nobody refers to is not kept.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::cluster::{Scope, SecretSeen};

type Key = (String, String);

/// See the module.
#[derive(Debug, Default)]
pub struct References {
    secrets: BTreeMap<Key, Referred>,
    targets: BTreeMap<Uuid, BTreeSet<Key>>,
    lists: BTreeMap<Scope, BTreeSet<Key>>,
}

#[derive(Debug, Default)]
struct Referred {
    by: BTreeSet<Uuid>,
    /// The version, and which watch told it.
    seen: Option<(String, Scope)>,
}

impl References {
    /// A target refers to these Secrets of its namespace.
    pub fn set(&mut self, target: Uuid, namespace: &str, names: BTreeSet<String>) {
        let keys: BTreeSet<Key> = names
            .into_iter()
            .map(|name| (namespace.to_owned(), name))
            .collect();
        self.forget(target);
        for key in &keys {
            self.secrets
                .entry(key.clone())
                .or_default()
                .by
                .insert(target);
        }
        if !keys.is_empty() {
            self.targets.insert(target, keys);
        }
    }

    /// A target is gone.
    pub fn forget(&mut self, target: Uuid) {
        for key in self.targets.remove(&target).unwrap_or_default() {
            if let Some(referred) = self.secrets.get_mut(&key) {
                referred.by.remove(&target);
                if referred.by.is_empty() {
                    self.secrets.remove(&key);
                }
            }
        }
    }

    /// Takes what a watch tells. Returns the targets whose Secrets may be others now.
    pub fn apply(&mut self, scope: Scope, seen: SecretSeen) -> BTreeSet<Uuid> {
        match seen {
            SecretSeen::Begins => {
                self.lists.insert(scope, BTreeSet::new());
                BTreeSet::new()
            }
            SecretSeen::There {
                namespace,
                name,
                version,
            } => self.there(scope, (namespace, name), version),
            SecretSeen::Gone { namespace, name } => {
                let referred = self.secrets.get_mut(&(namespace, name));
                referred.map(gone).unwrap_or_default()
            }
            SecretSeen::Complete => {
                let listed = self.lists.remove(&scope).unwrap_or_default();
                let missing = self.secrets.iter_mut().filter(|(key, referred)| {
                    let mine = referred.seen.as_ref().is_some_and(|(_, of)| *of == scope);
                    mine && !listed.contains(*key)
                });
                missing.flat_map(|(_, referred)| gone(referred)).collect()
            }
        }
    }

    fn there(&mut self, scope: Scope, key: Key, version: String) -> BTreeSet<Uuid> {
        let Some(referred) = self.secrets.get_mut(&key) else {
            return BTreeSet::new();
        };
        let same = referred
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| *seen == version);
        referred.seen = Some((version, scope));
        let by = if same {
            BTreeSet::new()
        } else {
            referred.by.clone()
        };
        if let Some(listed) = self.lists.get_mut(&scope) {
            listed.insert(key);
        }
        by
    }
}

fn gone(referred: &mut Referred) -> BTreeSet<Uuid> {
    referred.seen = None;
    referred.by.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn there(name: &str, version: &str) -> SecretSeen {
        SecretSeen::There {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    fn references() -> References {
        let mut references = References::default();
        references.set(ONE, "shop", ["hook".to_owned()].into());
        references.set(TWO, "shop", ["hook".to_owned(), "key".to_owned()].into());
        references
    }

    #[test]
    fn a_new_version_concerns_those_who_refer_to_it_once() {
        let mut references = references();
        let mut apply = |seen| references.apply(0, seen);
        assert_eq!(apply(there("hook", "1")), [ONE, TWO].into());
        assert_eq!(apply(there("hook", "1")), [].into());
        assert_eq!(apply(there("key", "2")), [TWO].into());
        assert_eq!(apply(there("other", "3")), [].into());
    }

    #[test]
    fn a_deletion_is_told_also_when_it_was_missed() {
        let mut references = references();
        references.apply(0, there("hook", "1"));
        references.apply(0, there("key", "1"));
        let gone = SecretSeen::Gone {
            namespace: "shop".to_owned(),
            name: "key".to_owned(),
        };
        assert_eq!(references.apply(0, gone), [TWO].into());
        references.apply(0, SecretSeen::Begins);
        references.apply(0, there("key", "5"));
        assert_eq!(references.apply(0, SecretSeen::Complete), [ONE, TWO].into());
        references.apply(0, SecretSeen::Begins);
        assert_eq!(references.apply(1, SecretSeen::Complete), [].into());
    }

    #[test]
    fn nothing_is_kept_of_a_secret_that_nobody_refers_to() {
        let mut references = references();
        references.set(TWO, "shop", BTreeSet::new());
        references.forget(ONE);
        assert!(references.secrets.is_empty() && references.targets.is_empty());
    }
}
