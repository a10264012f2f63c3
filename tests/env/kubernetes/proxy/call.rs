//! What a request asks of the API server, as RBAC would name it.

use std::fmt;

use http::{Method, Uri};

/// What is to be done (Kubernetes' documentation, "Determine the Request Verb").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// One object is read.
    Get,
    /// Many objects are read.
    List,
    /// Changes are told as they happen.
    Watch,
    /// An object is made.
    Create,
    /// An object is replaced.
    Update,
    /// An object is changed.
    Patch,
    /// An object is deleted.
    Delete,
    /// Many objects are deleted.
    DeleteCollection,
}

impl Verb {
    /// Whether it changes what is stored.
    pub fn writes(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection => {
                true
            }
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is to be done.
    pub verb: Verb,
    /// To what: `secrets`, `leases.coordination.k8s.io`, `deliverytargets.parcelhook.dev/status`,
    /// or the path of what is no resource, such as `/version`.
    pub resource: String,
    /// The namespace, when it names one.
    pub namespace: Option<String>,
    /// The object's name, when it names one.
    pub name: Option<String>,
}

impl Call {
    /// As the API server reads it (`RequestInfoFactory` of k8s.io/apiserver).
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let (group, within) = match parts.as_slice() {
            ["api", _version, first, rest @ ..] => ("", (*first, rest)),
            ["apis", group, _version, first, rest @ ..] => (*group, (*first, rest)),
            _ => {
                return Self {
                    verb: verb(method, Some(""), false),
                    resource: uri.path().to_owned(),
                    namespace: None,
                    name: None,
                };
            }
        };
        let (namespace, resource, rest) = match within {
            // A namespace is in itself.
            ("namespaces", [name, ..]) if is_namespace_itself(within.1) => {
                (Some(*name), "namespaces", within.1)
            }
            ("namespaces", [namespace, resource, rest @ ..]) => (Some(*namespace), *resource, rest),
            (resource, rest) => (None, resource, rest),
        };
        let (name, subresource) = match rest {
            [] => (None, &[][..]),
            [name, subresource @ ..] => (Some(*name), subresource),
        };
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if subresource.is_empty() { "" } else { "/" };
        let subresource = subresource.join("/");
        Self {
            verb: verb(method, name, is_watch(uri)),
            resource: format!("{resource}{dot}{group}{slash}{subresource}"),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }
}

/// Whether what follows `namespaces/` is about the namespace, and not about something in it.
fn is_namespace_itself(following: &[&str]) -> bool {
    matches!(following, [_] | [_, "status" | "finalize"])
}

fn is_watch(uri: &Uri) -> bool {
    uri.query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| matches!(pair, "watch" | "watch=true" | "watch=1"))
}

fn verb(method: &Method, name: Option<&str>, is_watch: bool) -> Verb {
    match (method.as_str(), name) {
        ("POST", _) => Verb::Create,
        ("PUT", _) => Verb::Update,
        ("PATCH", _) => Verb::Patch,
        ("DELETE", Some(_)) => Verb::Delete,
        ("DELETE", None) => Verb::DeleteCollection,
        _ if is_watch => Verb::Watch,
        (_, Some(_)) => Verb::Get,
        (_, None) => Verb::List,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_rbac_names_them() {
        for (method, uri, named) in [
            ("GET", "/api/v1/secrets", "list secrets - -"),
            (
                "GET",
                "/api/v1/namespaces/a/secrets?limit=500",
                "list secrets a -",
            ),
            (
                "GET",
                "/api/v1/namespaces/a/secrets?limit=5&watch=true",
                "watch secrets a -",
            ),
            ("GET", "/api/v1/namespaces/a/secrets/s", "get secrets a s"),
            ("GET", "/api/v1/namespaces", "list namespaces - -"),
            ("GET", "/api/v1/namespaces/a", "get namespaces a a"),
            (
                "PUT",
                "/api/v1/namespaces/a/finalize",
                "update namespaces/finalize a a",
            ),
            (
                "POST",
                "/api/v1/namespaces/a/serviceaccounts/w/token",
                "create serviceaccounts/token a w",
            ),
            (
                "PATCH",
                "/apis/parcelhook.dev/v1alpha1/namespaces/a/deliverytargets/t/status?force=true",
                "patch deliverytargets.parcelhook.dev/status a t",
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/l",
                "update leases.coordination.k8s.io a l",
            ),
            (
                "DELETE",
                "/apis/parcelhook.dev/v1alpha1/namespaces/a/deliverytargets",
                "deletecollection deliverytargets.parcelhook.dev a -",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/secrets/s",
                "delete secrets a s",
            ),
            ("GET", "/apis", "get /apis - -"),
            (
                "GET",
                "/apis/parcelhook.dev/v1alpha1",
                "get /apis/parcelhook.dev/v1alpha1 - -",
            ),
            ("GET", "/readyz?verbose", "get /readyz - -"),
        ] {
            let call = Call::of(&method.parse().unwrap(), &uri.parse().unwrap());
            let shown = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
            let (namespace, name) = (shown(&call.namespace), shown(&call.name));
            let (verb, resource) = (call.verb, call.resource);
            assert_eq!(
                format!("{verb} {resource} {namespace} {name}"),
                named,
                "{method} {uri}"
            );
        }
    }
}
