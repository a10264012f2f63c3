//! The identity of a target that no API server has given one.
//!
//! It is derived from group, namespace and name, so a manifest that is put back is the same target.

use uuid::Uuid;

use crate::GROUP;

/// The uid of a target in directory mode: UUID version 5 of `namespace/name` in the name space of
/// the API group, which is itself the version 5 UUID of the group's DNS name. Neither name nor
/// namespace may contain a slash, so no two targets share a uid.
pub fn directory_uid(namespace: &str, name: &str) -> Uuid {
    let group = Uuid::new_v5(&Uuid::NAMESPACE_DNS, GROUP.as_bytes());
    Uuid::new_v5(&group, format!("{namespace}/{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_DNS, "parcelhook.dev"), "…")`.
    #[test]
    fn the_uid_of_a_name_never_changes() {
        for (namespace, name, uid) in [
            ("default", "orders", "93483627-b8ed-58ca-9386-42f3c0aa0bf6"),
            (
                "default",
                "orders-2",
                "e7ee7570-238c-50dc-a340-b281d1b29d49",
            ),
            ("shop", "orders", "a4ed2cc1-e356-5ea3-af72-85ed162fe221"),
        ] {
            assert_eq!(directory_uid(namespace, name).to_string(), uid);
        }
    }
}
