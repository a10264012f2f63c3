//! Decides whether a target wants a record.
//!
//! A filter is built once, when its target's configuration arrives; matching compares bytes and
//! allocates nothing. It reads key and headers, never the value.

use parcelhook_crds::spec::source as spec;

use crate::source::record::Record;

/// A filter made ready: every header match and, when there are keys, one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    headers: Box<[HeaderMatch]>,
    keys: Option<Keys>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderMatch {
    name: Box<str>,
    /// Sorted.
    values: Box<[Box<[u8]>]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Keys {
    /// Sorted.
    exact: Box<[Box<[u8]>]>,
    prefixes: Box<[Box<[u8]>]>,
}

impl Filter {
    /// Prepares a filter. The default one wants every record.
    pub fn new(filter: &spec::Filter) -> Self {
        Self {
            headers: filter.headers.iter().map(HeaderMatch::new).collect(),
            keys: (!filter.keys.is_empty()).then(|| Keys::new(&filter.keys)),
        }
    }

    /// Whether the record is wanted.
    pub fn matches(&self, record: &Record) -> bool {
        let key = self.keys.as_ref().is_none_or(|keys| keys.matches(record));
        key && self.headers.iter().all(|header| header.matches(record))
    }
}

impl HeaderMatch {
    fn new(header: &spec::HeaderMatch) -> Self {
        Self {
            name: header.name.as_str().into(),
            values: sorted(header.values.iter().map(String::as_str)),
        }
    }

    /// Kafka allows a name more than once: any of them may match. A null value matches nothing.
    fn matches(&self, record: &Record) -> bool {
        record
            .headers()
            .filter(|(name, _)| *name == &*self.name)
            .filter_map(|(_, value)| value)
            .any(|value| contains(&self.values, value))
    }
}

impl Keys {
    fn new(keys: &[spec::KeyMatch]) -> Self {
        let (mut exact, mut prefixes) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                spec::KeyMatch::Exact(key) => exact.push(key.as_str()),
                spec::KeyMatch::Prefix(key) => prefixes.push(key.as_str()),
            }
        }
        Self {
            exact: sorted(exact.into_iter()),
            prefixes: sorted(prefixes.into_iter()),
        }
    }

    /// A null key matches nothing, not even the empty prefix.
    fn matches(&self, record: &Record) -> bool {
        record.key().is_some_and(|key| {
            contains(&self.exact, key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
        })
    }
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Box<[Box<[u8]>]> {
    let mut sorted: Vec<Box<[u8]>> = texts.map(|text| text.as_bytes().into()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}

fn contains(sorted: &[Box<[u8]>], bytes: &[u8]) -> bool {
    sorted
        .binary_search_by(|candidate| candidate.as_ref().cmp(bytes))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spec::KeyMatch::{self, Exact, Prefix};

    use super::*;
    use crate::source::record::Timestamp;

    type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];

    fn record(key: Option<&[u8]>, headers: Headers<'_>) -> Record {
        Record::new(0, Timestamp::Missing, key, None, headers.iter().copied())
    }

    fn filter(headers: &[(&str, &[&str])], keys: &[KeyMatch]) -> spec::Filter {
        spec::Filter {
            headers: headers
                .iter()
                .map(|(name, values)| spec::HeaderMatch {
                    name: (*name).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
            keys: keys.to_vec(),
        }
    }

    #[test]
    fn all_headers_and_one_key_must_match() {
        let kind: &[(&str, &[&str])] = &[("type", &["paid", "sent"])];
        let both: &[(&str, &[&str])] = &[("type", &["paid"]), ("region", &["eu"])];
        let keys = &[Exact("order-1".into()), Prefix("vip-".into())][..];
        let paid: Headers<'_> = &[("type", Some(b"paid"))];
        for (what, filter, key, headers, wanted) in [
            (
                "an empty filter wants all",
                filter(&[], &[]),
                None,
                &[][..],
                true,
            ),
            ("a value matches", filter(kind, &[]), None, paid, true),
            (
                "another value does not",
                filter(kind, &[]),
                None,
                &[("type", Some(b"lost"))],
                false,
            ),
            (
                "nor a longer one",
                filter(kind, &[]),
                None,
                &[("type", Some(b"paid "))],
                false,
            ),
            ("the header is absent", filter(kind, &[]), None, &[], false),
            (
                "the header is null",
                filter(kind, &[]),
                None,
                &[("type", None)],
                false,
            ),
            (
                "names are compared as they are",
                filter(kind, &[]),
                None,
                &[("Type", Some(b"paid"))],
                false,
            ),
            (
                "the second header of a name counts",
                filter(kind, &[]),
                None,
                &[("type", Some(b"x")), ("type", Some(b"sent"))],
                true,
            ),
            (
                "one of two headers is not enough",
                filter(both, &[]),
                None,
                paid,
                false,
            ),
            (
                "both headers match",
                filter(both, &[]),
                None,
                &[("region", Some(b"eu")), ("type", Some(b"paid"))],
                true,
            ),
            (
                "values are bytes",
                filter(kind, &[]),
                None,
                &[("type", Some(b"\xff"))],
                false,
            ),
            (
                "the key is equal",
                filter(&[], keys),
                Some(&b"order-1"[..]),
                &[],
                true,
            ),
            (
                "an exact key is no prefix",
                filter(&[], keys),
                Some(b"order-10"),
                &[],
                false,
            ),
            (
                "the key begins so",
                filter(&[], keys),
                Some(b"vip-\xff"),
                &[],
                true,
            ),
            (
                "the key is too short",
                filter(&[], keys),
                Some(b"vip"),
                &[],
                false,
            ),
            (
                "a null key never matches",
                filter(&[], keys),
                None,
                &[],
                false,
            ),
            (
                "not even the empty prefix",
                filter(&[], &[Prefix(String::new())]),
                None,
                &[],
                false,
            ),
            (
                "which an empty key has",
                filter(&[], &[Prefix(String::new())]),
                Some(b""),
                &[],
                true,
            ),
            (
                "key and header match",
                filter(kind, keys),
                Some(b"vip-1"),
                paid,
                true,
            ),
            (
                "only the key matches",
                filter(kind, keys),
                Some(b"vip-1"),
                &[],
                false,
            ),
            (
                "only the header matches",
                filter(kind, keys),
                Some(b"x"),
                paid,
                false,
            ),
        ] {
            let matches = Filter::new(&filter).matches(&record(key, headers));
            assert_eq!(matches, wanted, "{what}");
        }
    }

    /// The definition, as slow and plain as it can be said.
    fn model(filter: &spec::Filter, key: Option<&[u8]>, headers: Headers<'_>) -> bool {
        let header = |wanted: &spec::HeaderMatch| {
            wanted
                .values
                .iter()
                .any(|value| headers.contains(&(wanted.name.as_str(), Some(value.as_bytes()))))
        };
        let key = |wanted: &KeyMatch| match (wanted, key) {
            (Exact(wanted), Some(key)) => key == wanted.as_bytes(),
            (Prefix(wanted), Some(key)) => key.starts_with(wanted.as_bytes()),
            (Exact(_) | Prefix(_), None) => false,
        };
        filter.headers.iter().all(header) && (filter.keys.is_empty() || filter.keys.iter().any(key))
    }

    fn key_match() -> impl Strategy<Value = KeyMatch> {
        prop_oneof!["[ab]{0,3}".prop_map(Exact), "[ab]{0,2}".prop_map(Prefix)]
    }

    proptest! {
        #[test]
        fn a_prepared_filter_matches_what_its_definition_says(
            wanted in prop::collection::vec(("[ab]", prop::collection::vec("[xy]{0,2}", 0..3)), 0..3),
            keys in prop::collection::vec(key_match(), 0..4),
            key in prop::option::of("[ab]{0,4}"),
            headers in prop::collection::vec(("[ab]", prop::option::of("[xy]{0,2}")), 0..4),
        ) {
            let filter = spec::Filter {
                headers: wanted
                    .into_iter()
                    .map(|(name, values)| spec::HeaderMatch { name, values })
                    .collect(),
                keys,
            };
            let headers: Vec<(&str, Option<&[u8]>)> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_ref().map(String::as_bytes)))
                .collect();
            let key = key.as_ref().map(String::as_bytes);
            prop_assert_eq!(
                Filter::new(&filter).matches(&record(key, &headers)),
                model(&filter, key, &headers)
            );
        }
    }
}
