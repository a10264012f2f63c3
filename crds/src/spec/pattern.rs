//! The patterns of names and values, each with the words that explain it.
//!
//! Only syntax that Go's, Rust's and JSON Schema's regular expressions read alike.

use crate::{byte_size, duration};

/// A Kafka topic's name.
pub(super) const TOPIC: &str = "^[a-zA-Z0-9._-]+$";
/// A label of a DNS name (RFC 1123).
pub(super) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A Kubernetes object's name: labels with dots between them.
pub(super) const OBJECT_NAME: &str =
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A key in a Secret's data.
pub(super) const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A header's name (RFC 9110, 5.6.2) in lower case.
pub(super) const HEADER_NAME: &str = "^[a-z0-9!#$%&'*+.^_`|~-]+$";
/// A header's value: visible ASCII, spaces only inside.
pub(super) const HEADER_VALUE: &str = "^[!-~]([ -~]*[!-~])?$";
/// Visible ASCII without spaces.
pub(super) const WORD: &str = "^[!-~]+$";
/// A host's name.
pub(super) const HOST_NAME: &str =
    "^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$";

/// What a person must write to match a pattern.
pub(crate) fn explain(pattern: &str) -> Option<&'static str> {
    const EXPLAINED: [(&str, &str); 10] = [
        (TOPIC, "use letters, digits, '.', '_' and '-'"),
        (
            DNS_LABEL,
            "use lower-case letters, digits and '-', with a letter or digit at both ends",
        ),
        (
            OBJECT_NAME,
            "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
        ),
        (SECRET_KEY, "use letters, digits, '.', '_' and '-'"),
        (
            HEADER_NAME,
            "write the header's name in lower case, without spaces",
        ),
        (
            HEADER_VALUE,
            "use visible ASCII characters, with spaces only between them",
        ),
        (WORD, "use visible ASCII characters without spaces"),
        (HOST_NAME, "write a host's name without a port"),
        (
            duration::PATTERN,
            "write a duration such as '15s' or '1h30m'",
        ),
        (
            byte_size::PATTERN,
            "write a number of bytes such as '65536', '512Ki' or '1Mi'",
        ),
    ];
    EXPLAINED
        .iter()
        .find(|(known, _)| *known == pattern)
        .map(|(_, words)| *words)
}
