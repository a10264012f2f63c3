//! A target made ready for requests: everything that can be computed or refused before the first
//! attempt.
//!
//! Immutable. A changed resource is prepared anew; connections whose identity did not change go on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use parcelhook_crds::compiled::{self, CompiledTarget, RetryAfterPolicy, StatusOverride, Tls};
use url::{Host, Url};

use super::connections::{Pools, Renamed};
use super::detail::Redactor;
use super::egress::{Denied, Policy};
use super::headers::{Stamp, Template};
use super::outcome::{self, Outcome};
use super::reason::Reason;
use super::signature::Signer;
use super::{PrepareError, Request, retry_after};
use crate::clock;

/// A target made ready for requests. `Debug` shows its name and the URL as it may be shown.
pub struct Prepared {
    target: Arc<CompiledTarget>,
    /// As it is requested: it carries `tls.serverName` in the host's place, if there is one.
    url: Url,
    method: Method,
    headers: Template,
    signer: Signer,
    client: Arc<reqwest::Client>,
    /// Set when the URL names an address that the egress policy forbids.
    denied: Option<Denied>,
    redactor: Redactor,
}

impl Prepared {
    pub(crate) fn new(
        target: &Arc<CompiledTarget>,
        pools: &Pools,
        policy: &Policy,
    ) -> Result<Self, PrepareError> {
        let endpoint = &target.endpoint;
        let mut url = parse(endpoint.url.expose())?;
        let denied = url
            .host()
            .and_then(|host| policy.check_literal(&host).err());
        let redactor = Redactor::new(target, &url);
        let (client, host) = connect(&mut url, &endpoint.tls, pools)?;
        Ok(Self {
            target: Arc::clone(target),
            method: match endpoint.method {
                compiled::Method::Post => Method::POST,
                compiled::Method::Put => Method::PUT,
            },
            headers: Template::new(target, host)?,
            signer: Signer::new(&target.signing_keys)?,
            url,
            client,
            denied,
            redactor,
        })
    }

    /// Why no request may be made at all, if so.
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// Deadline of one attempt.
    pub(crate) fn timeout(&self) -> Duration {
        self.target.timeout
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What may be kept of a response.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Signs and sends `request`. Resolves when the response head is there.
    pub(crate) fn send(
        &self,
        request: Request,
    ) -> impl Future<Output = reqwest::Result<reqwest::Response>> {
        let timestamp = HeaderValue::from(clock::unix_millis().div_euclid(1000));
        let (id, body) = (request.id.as_bytes(), &request.body);
        let signature = self.signer.sign(id, timestamp.as_bytes(), body);
        let stamp = Stamp {
            timestamp,
            signature,
        };
        let mut sent = reqwest::Request::new(self.method.clone(), self.url.clone());
        *sent.headers_mut() = self.headers.fill(&request, stamp);
        *sent.body_mut() = Some(reqwest::Body::from(request.body));
        self.client.execute(sent)
    }

    /// Classifies a response by its head.
    pub(crate) fn classify(
        &self,
        status: StatusCode,
        retry_after: Option<&HeaderValue>,
    ) -> (Outcome, Reason) {
        let retry = &self.target.retry;
        let honoured = match retry.retry_after {
            RetryAfterPolicy::Honor => retry_after,
            RetryAfterPolicy::Ignore => None,
        };
        let wait = honoured
            .and_then(|value| retry_after::parse(value, clock::unix_millis(), retry.max_backoff));
        let overrides: &[StatusOverride] = &retry.status_overrides;
        outcome::of_status(status.as_u16(), wait, overrides)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("namespace", &self.target.namespace)
            .field("name", &self.target.name)
            .field("url", &self.target.endpoint.shown_url)
            .finish_non_exhaustive()
    }
}

/// Parses the URL, once: the same parser that decides where a request goes decides whether it may.
fn parse(url: &[u8]) -> Result<Url, PrepareError> {
    let url = std::str::from_utf8(url)
        .ok()
        .and_then(|url| Url::parse(url).ok())
        .ok_or_else(|| bad_url("is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad_url("has a scheme other than http or https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad_url("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad_url(
            "holds a user name or password; use spec.authentication",
        ));
    }
    if url.fragment().is_some() {
        return Err(bad_url("has a fragment, which is never sent; remove it"));
    }
    if url.as_str().parse::<http::Uri>().is_err() {
        return Err(bad_url("cannot be sent: it is too long, or malformed"));
    }
    Ok(url)
}

fn bad_url(message: &str) -> PrepareError {
    PrepareError {
        field: "spec.endpoint.url",
        message: message.to_owned(),
    }
}

/// The connections for `url`, and the Host header where the URL had to give up its own host.
///
/// The HTTP client verifies and sends the name that stands in the URL. So that name goes into the URL,
/// connections of these two names alone lead to the real host, and Host says what the user wrote.
fn connect(
    url: &mut Url,
    tls: &Tls,
    pools: &Pools,
) -> Result<(Arc<reqwest::Client>, Option<HeaderValue>), PrepareError> {
    if url.scheme() == "http" {
        if *tls != Tls::default() {
            return Err(PrepareError {
                field: "spec.endpoint.tls",
                message: "is set, but the URL is plain http; use https".to_owned(),
            });
        }
        return Ok((pools.plain()?, None));
    }
    let Some(server_name) = &tls.server_name else {
        return Ok((pools.tls(tls, None)?, None));
    };
    let real_host = url.host().map(|host| host.to_owned());
    let host_header = HeaderValue::from_str(url.authority());
    let renamed = matches!(Host::parse(server_name), Ok(Host::Domain(_)))
        && url.set_host(Some(server_name)).is_ok();
    match (real_host, host_header, renamed) {
        (Some(host), Ok(host_header), true) => {
            let renamed = Renamed {
                server_name: server_name.clone(),
                host,
            };
            Ok((pools.tls(tls, Some(&renamed))?, Some(host_header)))
        }
        _ => Err(PrepareError {
            field: "spec.endpoint.tls.serverName",
            message: "is not a DNS name".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures;
    use super::*;

    fn prepare(target: CompiledTarget) -> Result<Prepared, PrepareError> {
        let policy = Arc::new(Policy::default());
        Prepared::new(&Arc::new(target), &Pools::new(Arc::clone(&policy)), &policy)
    }

    #[test]
    fn a_url_that_must_not_be_requested_is_refused_without_being_shown() {
        let long = format!("http://hunter2.example/{}", "a".repeat(70_000));
        for url in [
            "",
            "hunter2.example",
            "/hunter2",
            "ftp://hunter2.example/",
            "file:///hunter2",
            "http://hunter2@example.com/",
            "http://user:hunter2@example.com/",
            "http://example.com/#hunter2",
            "http://[hunter2]/",
            "http:///",
            &long,
        ] {
            let error = prepare(fixtures::target(url)).err().unwrap();
            assert_eq!(error.field, "spec.endpoint.url", "{url}");
            assert!(!error.message.contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn tls_settings_on_a_plain_url_are_refused_not_ignored() {
        let mut target = fixtures::target("http://example.com/");
        target.endpoint.tls.server_name = Some("inner.example".to_owned());
        assert_eq!(prepare(target).err().unwrap().field, "spec.endpoint.tls");
    }

    #[test]
    fn a_server_name_that_is_an_address_is_refused() {
        for name in ["127.0.0.1", "::1", "2130706433", "", "a b"] {
            let mut target = fixtures::target("https://example.com/");
            target.endpoint.tls.server_name = Some(name.to_owned());
            let field = prepare(target).err().unwrap().field;
            assert_eq!(field, "spec.endpoint.tls.serverName", "{name}");
        }
    }

    #[test]
    fn debug_shows_neither_the_url_nor_a_credential() {
        let mut target = fixtures::target("http://example.com/hunter2?key=hunter2");
        target.authentication = Some(compiled::Authentication::Bearer(
            parcelhook_crds::secret::Secret::new("hunter2"),
        ));
        target.signing_keys = vec![parcelhook_crds::secret::Secret::new("hunter2")];
        let shown = format!("{:?}", prepare(target).unwrap());
        assert!(
            shown.contains("example") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
