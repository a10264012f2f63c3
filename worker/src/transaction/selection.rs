//! What a lane selects from its topic, as one short name.
//!
//! A target whose topic, filter or start changes selects other events: that is a new lane. Order and
//! repetition of matches in a filter do not change what it selects, nor do they change the name.

use std::fmt;

use parcelhook_crds::spec::source::{Filter, HeaderMatch, KeyMatch, StartFrom};

use super::digest::{DIGEST_BYTES, Digest, push_base64url};

/// Names a selection: equal when topic, filter and start are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection([u8; DIGEST_BYTES]);

impl Selection {
    /// Names what `filter` selects from `topic`, begun at `start_from`.
    pub fn new(topic: &str, filter: Option<&Filter>, start_from: StartFrom) -> Self {
        let mut digest = Digest::new("parcelhook/selection/1");
        digest.field(topic.as_bytes());
        start(&mut digest, start_from);
        headers(&mut digest, filter.map_or(&[], |filter| &filter.headers));
        keys(&mut digest, filter.map_or(&[], |filter| &filter.keys));
        Self(digest.finish())
    }

    /// The name from its bytes.
    pub fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The name as bytes, for rows and headers of our own.
    pub fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        push_base64url(&mut name, &self.0);
        formatter.write_str(&name)
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Selection({self})")
    }
}

fn start(digest: &mut Digest, start_from: StartFrom) {
    match start_from {
        StartFrom::Latest => digest.field(b"latest"),
        StartFrom::Earliest => digest.field(b"earliest"),
        StartFrom::Timestamp(millis) => {
            digest.field(b"timestamp");
            digest.field(&millis.to_le_bytes());
        }
    }
}

fn headers(digest: &mut Digest, matches: &[HeaderMatch]) {
    let mut matches: Vec<(&[u8], Vec<&[u8]>)> = matches
        .iter()
        .map(|header| {
            let values = header.values.iter().map(String::as_bytes).collect();
            (header.name.as_bytes(), sorted(values))
        })
        .collect();
    matches.sort_unstable();
    matches.dedup();
    digest.list(matches.iter().map(|(name, _)| *name));
    for (_, values) in &matches {
        digest.list(values.iter().copied());
    }
}

fn keys(digest: &mut Digest, matches: &[KeyMatch]) {
    let (mut exact, mut prefix) = (Vec::new(), Vec::new());
    for key in matches {
        match key {
            KeyMatch::Exact(key) => exact.push(key.as_bytes()),
            KeyMatch::Prefix(key) => prefix.push(key.as_bytes()),
        }
    }
    digest.list(sorted(exact).into_iter());
    digest.list(sorted(prefix).into_iter());
}

fn sorted(mut items: Vec<&[u8]>) -> Vec<&[u8]> {
    items.sort_unstable();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(headers: &[(&str, &[&str])], keys: &[KeyMatch]) -> Filter {
        Filter {
            headers: headers
                .iter()
                .map(|(name, values)| HeaderMatch {
                    name: (*name).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
            keys: keys.to_vec(),
        }
    }

    fn exact(key: &str) -> KeyMatch {
        KeyMatch::Exact(key.to_owned())
    }

    fn prefix(key: &str) -> KeyMatch {
        KeyMatch::Prefix(key.to_owned())
    }

    #[test]
    fn names_are_the_same_in_every_release() {
        let some = filter(&[("type", &["paid", "sent"])], &[exact("a"), prefix("b")]);
        for (selection, name) in [
            (
                Selection::new("orders", None, StartFrom::Latest),
                "l8_dBwj3tUYYs6ellINgYA",
            ),
            (
                Selection::new("orders", None, StartFrom::Earliest),
                "j-qqJs7tlKFxZtk4FI-8yw",
            ),
            (
                Selection::new(
                    "orders",
                    Some(&some),
                    StartFrom::Timestamp(1_700_000_000_000),
                ),
                "35cQYTWpzhZ8hUFeTOJPAA",
            ),
        ] {
            assert_eq!(selection.to_string(), name);
        }
    }

    #[test]
    fn a_filter_that_selects_the_same_has_the_same_name() {
        let name = |filter: Option<Filter>| {
            Selection::new("orders", filter.as_ref(), StartFrom::Latest).to_string()
        };
        assert_eq!(name(None), name(Some(Filter::default())));
        assert_eq!(
            name(Some(filter(
                &[("a", &["1", "2"]), ("b", &["3"])],
                &[exact("x"), exact("y")]
            ))),
            name(Some(filter(
                &[("b", &["3"]), ("a", &["2", "1", "2"]), ("b", &["3"])],
                &[exact("y"), exact("x"), exact("x")]
            ))),
        );
    }

    #[test]
    fn whatever_selects_otherwise_has_another_name() {
        let select = |topic: &str, filter: Filter| {
            Selection::new(topic, Some(&filter), StartFrom::Latest).to_string()
        };
        let mut names = vec![
            select("orders", filter(&[], &[])),
            select("order", filter(&[], &[])),
            select("orders", filter(&[], &[exact("a")])),
            select("orders", filter(&[], &[prefix("a")])),
            select("orders", filter(&[("a", &[])], &[])),
            select("orders", filter(&[("a", &["b"])], &[])),
            select("orders", filter(&[("a", &["b", "c"])], &[])),
            select("orders", filter(&[("a", &["b"]), ("a", &["c"])], &[])),
            select("orders", filter(&[("a", &[]), ("b", &["c"])], &[])),
            Selection::new("orders", None, StartFrom::Earliest).to_string(),
            Selection::new("orders", None, StartFrom::Timestamp(0)).to_string(),
            Selection::new("orders", None, StartFrom::Timestamp(1)).to_string(),
        ];
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
