//! The endpoint of a target: its URL, from the spec or a Secret, and its TLS material.
//!
//! A URL from a Secret is held to the very rules of a URL in the spec, and is never shown.

use url::Url;

use super::CompileError;
use super::pem;
use super::secrets::{Resolver, SecretSource};
use crate::compiled::{ClientCertificate, Endpoint, Tls};
use crate::manifest;
use crate::secret::Secret;
use crate::spec::endpoint as spec;
use crate::spec::secret_ref::SecretKeyRef;

/// Resolves the URL and the TLS material of an endpoint.
pub(super) fn compile(
    endpoint: &spec::Endpoint,
    resolver: &mut Resolver<'_, impl SecretSource>,
) -> Option<Endpoint> {
    let tls = endpoint
        .tls
        .as_ref()
        .map_or_else(|| Some(Tls::default()), |tls| compile_tls(tls, resolver));
    let (url, shown_url) = match (&endpoint.url, &endpoint.url_secret_ref) {
        (Some(url), None) => compile_url(url, resolver),
        (None, Some(reference)) => compile_secret_url(reference, endpoint.tls.is_some(), resolver),
        (Some(_), Some(_)) | (None, None) => {
            resolver.refuse(CompileError::InvalidSpec {
                field: "spec.endpoint".to_owned(),
                message: "exactly one of `url` and `urlSecretRef` must be set".to_owned(),
            });
            None
        }
    }?;
    Some(Endpoint {
        url,
        shown_url,
        method: endpoint.method,
        headers: endpoint
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        tls: tls?,
    })
}

/// A URL of the spec, and the same without its query.
fn compile_url(
    url: &str,
    resolver: &mut Resolver<'_, impl SecretSource>,
) -> Option<(Secret, String)> {
    if Url::parse(url).is_err() {
        resolver.refuse(CompileError::InvalidSpec {
            field: "spec.endpoint.url".to_owned(),
            message: "is no URL that can be requested; check its host".to_owned(),
        });
        return None;
    }
    let (shown, _query) = url.split_once('?').unwrap_or((url, ""));
    Some((Secret::new(url), shown.to_owned()))
}

/// A URL of a Secret, held to the rules of `spec.endpoint`, and what is shown instead.
fn compile_secret_url(
    reference: &SecretKeyRef,
    has_tls: bool,
    resolver: &mut Resolver<'_, impl SecretSource>,
) -> Option<(Secret, String)> {
    const FIELD: &str = "spec.endpoint.urlSecretRef";
    let url = resolver.text(FIELD, &reference.name, &reference.key)?;
    let text = str::from_utf8(url.expose()).unwrap_or_default();
    let mut problems: Vec<String> = manifest::check_url(text)
        .into_iter()
        .map(|violation| format!("is no URL for a webhook: {}", violation.message))
        .collect();
    if problems.is_empty() && Url::parse(text).is_err() {
        problems.push("is no URL that can be requested; check its host".to_owned());
    }
    if has_tls && text.starts_with("http:") {
        problems.push(
            "is an 'http' URL, for which `tls` may not be set; remove `tls` or change the URL"
                .to_owned(),
        );
    }
    let scheme = if text.starts_with("https:") {
        "https"
    } else {
        "http"
    };
    let shown = format!(
        "{scheme}://[from Secret {}/{}]",
        reference.name, reference.key
    );
    if problems.is_empty() {
        return Some((url, shown));
    }
    for problem in problems {
        resolver.refuse_value(FIELD, &reference.name, &reference.key, problem);
    }
    None
}

fn compile_tls(tls: &spec::Tls, resolver: &mut Resolver<'_, impl SecretSource>) -> Option<Tls> {
    let ca = tls.ca_secret_ref.as_ref().map(|reference| {
        let field = "spec.endpoint.tls.caSecretRef";
        resolver.pem(field, &reference.name, &reference.key, pem::CERTIFICATE)
    });
    let client_certificate = tls.client_certificate_secret_ref.as_ref().map(|reference| {
        let field = "spec.endpoint.tls.clientCertificateSecretRef";
        let chain = resolver.pem(field, &reference.name, "tls.crt", pem::CERTIFICATE);
        let key = resolver.pem(field, &reference.name, "tls.key", pem::PRIVATE_KEY);
        Some(ClientCertificate {
            chain: chain?,
            key: key?,
        })
    });
    Some(Tls {
        ca: transpose(ca)?,
        client_certificate: transpose(client_certificate)?,
        server_name: tls.server_name.clone(),
        min_version: tls.min_version,
    })
}

/// What is not wanted is fine; what is wanted must have been resolved.
fn transpose<T>(wanted: Option<Option<T>>) -> Option<Option<T>> {
    match wanted {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}
