//! Paths of fields as the API server writes them: `spec.sources[0].topic`.

/// The path of a field inside another.
pub(super) fn field(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// The path of an item of a list.
pub(super) fn item(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// A path inside another; either may be empty.
pub(super) fn join(parent: &str, inner: &str) -> String {
    let inner = inner.trim_start_matches('.');
    if inner.is_empty() || inner.starts_with('[') {
        format!("{parent}{inner}")
    } else {
        field(parent, inner)
    }
}

/// Whether `path` is `ancestor` or lies inside it.
pub(super) fn is_within(path: &str, ancestor: &str) -> bool {
    ancestor.is_empty()
        || path
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_the_api_server_writes_them() {
        for (parent, inner, joined) in [
            ("", "", ""),
            ("spec", "", "spec"),
            ("", ".spec", "spec"),
            ("spec", "endpoint.tls", "spec.endpoint.tls"),
            ("spec", ".tls", "spec.tls"),
            ("spec.sources", "[0].topic", "spec.sources[0].topic"),
        ] {
            assert_eq!(join(parent, inner), joined);
        }
    }

    #[test]
    fn a_path_lies_within_its_ancestors_and_no_others() {
        for (path, ancestor, within) in [
            ("spec.endpoint.url", "", true),
            ("spec.endpoint.url", "spec.endpoint", true),
            ("spec.endpoint.url", "spec.endpoint.url", true),
            ("spec.sources[0]", "spec.sources", true),
            ("spec.endpoint.urlSecretRef", "spec.endpoint.url", false),
            ("spec", "spec.endpoint", false),
        ] {
            assert_eq!(is_within(path, ancestor), within, "{path} in {ancestor}");
        }
    }
}
