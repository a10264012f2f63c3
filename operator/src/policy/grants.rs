//! Grants: which namespaces may read which topics, and dead-letter to which.

use serde::Deserialize;

/// Everything that is granted. What no grant names is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    grants: Vec<Grant>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Namespaces whose targets have it.
    pub namespaces: Vec<Pattern>,
    /// Topics that they may read.
    #[serde(default)]
    pub topics: Vec<Pattern>,
    /// Topics that they may name for their dead letters.
    #[serde(default)]
    pub dead_letter_topics: Vec<Pattern>,
}

/// A name, or its beginning and a `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    beginning: String,
    open: bool,
}

/// Grants that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grants cannot be read: {0}")]
pub struct GrantsError(pub(crate) String);

impl Grants {
    /// What holds without configuration: everything in one namespace, nothing elsewhere.
    pub fn everything_in(namespace: &str) -> Self {
        let exactly = Pattern {
            beginning: namespace.to_owned(),
            open: false,
        };
        let anything = Pattern {
            beginning: String::new(),
            open: true,
        };
        Self {
            grants: vec![Grant {
                namespaces: vec![exactly],
                topics: vec![anything.clone()],
                dead_letter_topics: vec![anything],
            }],
        }
    }

    /// Reads the YAML of a grants file.
    ///
    /// # Errors
    /// When it is not of the form `grants: [{namespaces, topics, deadLetterTopics}]`.
    pub fn parse(yaml: &str) -> Result<Self, GrantsError> {
        serde_saphyr::from_str(yaml).map_err(|error| GrantsError(error.to_string()))
    }

    /// Whether a namespace's targets may read a topic.
    pub fn may_read(&self, namespace: &str, topic: &str) -> bool {
        self.any(namespace, |grant| &grant.topics, topic)
    }

    /// Whether a namespace's targets may dead-letter to a topic.
    pub fn may_write(&self, namespace: &str, topic: &str) -> bool {
        self.any(namespace, |grant| &grant.dead_letter_topics, topic)
    }

    fn any(&self, namespace: &str, of: fn(&Grant) -> &Vec<Pattern>, topic: &str) -> bool {
        let mut grants = self.grants.iter();
        grants.any(|grant| matches(&grant.namespaces, namespace) && matches(of(grant), topic))
    }
}

fn matches(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl Pattern {
    /// Whether a name is meant.
    pub fn matches(&self, name: &str) -> bool {
        if self.open {
            name.starts_with(&self.beginning)
        } else {
            name == self.beginning
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (beginning, open) = match text.strip_suffix('*') {
            Some(beginning) => (beginning.to_owned(), true),
            None => (text, false),
        };
        if beginning.contains('*') || (beginning.is_empty() && !open) {
            return Err("a pattern is a name, or the beginning of names and a `*` at its end");
        }
        Ok(Self { beginning, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_beginning() {
        for (pattern, name, matches) in [
            ("orders", "orders", true),
            ("orders", "orders-2", false),
            ("orders*", "orders-2", true),
            ("orders*", "orders", true),
            ("orders*", "my-orders", false),
            ("*", "anything", true),
        ] {
            let parsed = Pattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
        for pattern in ["", "a*b", "**", "*a"] {
            assert!(Pattern::try_from(pattern.to_owned()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_no_grant_names_is_refused() {
        let grants = Grants::parse(
            "grants:\n- namespaces: [shop, 'team-*']\n  topics: ['orders.*']\n  deadLetterTopics: [dead]\n",
        )
        .unwrap();
        assert!(grants.may_read("shop", "orders.eu") && grants.may_read("team-a", "orders.eu"));
        assert!(!grants.may_read("shop", "dead") && !grants.may_read("other", "orders.eu"));
        assert!(grants.may_write("shop", "dead") && !grants.may_write("shop", "orders.eu"));
    }

    #[test]
    fn without_configuration_one_namespace_has_everything() {
        let grants = Grants::everything_in("parcelhook");
        assert!(grants.may_read("parcelhook", "orders") && grants.may_write("parcelhook", "dead"));
        assert!(!grants.may_read("default", "orders"));
    }

    #[test]
    fn a_typing_error_in_the_file_grants_nothing_in_silence() {
        for yaml in [
            "",
            "grant: []",
            "grants:\n- {namespaces: [a], topic: [b]}",
            "grants:\n- {topics: [b]}",
        ] {
            assert!(Grants::parse(yaml).is_err(), "{yaml}");
        }
    }
}
