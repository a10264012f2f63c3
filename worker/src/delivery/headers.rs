//! The headers of a request: what stays the same is made once a target, what changes once an attempt.
//!
//! Ours always win. A target that names one of ours, or one that frames the message, is refused when it
//! is prepared, and what we set is set last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use parcelhook_crds::compiled::{Authentication, CompiledTarget};

use super::{PrepareError, Request};

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
static WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static PARCELHOOK_TARGET: HeaderName = HeaderName::from_static("parcelhook-target");
static PARCELHOOK_ATTEMPT: HeaderName = HeaderName::from_static("parcelhook-attempt");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("parcelhook/", env!("CARGO_PKG_VERSION")));
/// Keeps a place in the map, so that filling it in never makes the map grow.
const PLACE: HeaderValue = HeaderValue::from_static("");

/// Names that a target may not set: they frame the message, belong to the connection, or are ours.
const RESERVED: [&str; 16] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const RESERVED_PREFIXES: [&str; 5] = ["ce-", "content-", "parcelhook-", "proxy-", "webhook-"];

/// The headers of every request of one target. Holds credentials: no `Debug`.
pub(crate) struct Template(HeaderMap);

/// What differs from attempt to attempt beside what the request brings.
pub(crate) struct Stamp {
    /// `webhook-timestamp`, seconds since the Unix epoch.
    pub(crate) timestamp: HeaderValue,
    /// `webhook-signature`; none for a target that does not sign.
    pub(crate) signature: Option<HeaderValue>,
}

impl Template {
    /// Prepares the headers of `target`. `host` is sent where the URL does not carry the host itself.
    ///
    /// # Errors
    /// When a header of the target is reserved or cannot be sent; the message holds no value.
    pub(crate) fn new(
        target: &CompiledTarget,
        host: Option<HeaderValue>,
    ) -> Result<Self, PrepareError> {
        let mut headers = HeaderMap::with_capacity(target.endpoint.headers.len() + 12);
        for (name, value) in &target.endpoint.headers {
            let field = "spec.endpoint.headers";
            let name = allowed(field, name)?;
            headers.append(name.clone(), sendable(field, &name, value.as_bytes())?);
        }
        if let Some(authentication) = &target.authentication {
            let (name, mut value) = credentials(authentication)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(host) = host {
            headers.insert(HOST, host);
        }
        let whose = format!("{}/{}", target.namespace, target.name);
        let whose = sendable("metadata.name", &PARCELHOOK_TARGET, whose.as_bytes())?;
        headers.insert(USER_AGENT, PRODUCT);
        headers.insert(&PARCELHOOK_TARGET, whose);
        for name in [
            &WEBHOOK_ID,
            &WEBHOOK_TIMESTAMP,
            &WEBHOOK_SIGNATURE,
            &IDEMPOTENCY_KEY,
            &PARCELHOOK_ATTEMPT,
            &TRACEPARENT,
            &CONTENT_TYPE,
        ] {
            headers.insert(name, PLACE);
        }
        Ok(Self(headers))
    }

    /// The headers of one attempt.
    pub(crate) fn fill(&self, request: &Request, stamp: Stamp) -> HeaderMap {
        let mut headers = self.0.clone();
        headers.insert(&IDEMPOTENCY_KEY, request.id.clone());
        headers.insert(&WEBHOOK_ID, request.id.clone());
        headers.insert(&WEBHOOK_TIMESTAMP, stamp.timestamp);
        headers.insert(&PARCELHOOK_ATTEMPT, HeaderValue::from(request.attempt));
        set(&mut headers, &WEBHOOK_SIGNATURE, stamp.signature);
        set(&mut headers, &TRACEPARENT, request.traceparent.clone());
        set(&mut headers, &CONTENT_TYPE, request.content_type.clone());
        for (name, value) in &request.format_headers {
            headers.insert(name, value.clone());
        }
        headers
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

fn credentials(authentication: &Authentication) -> Result<(HeaderName, HeaderValue), PrepareError> {
    match authentication {
        Authentication::Bearer(token) => {
            let field = "spec.authentication.bearer";
            let value = [b"Bearer ", token.expose()].concat();
            Ok((AUTHORIZATION, sendable(field, &AUTHORIZATION, &value)?))
        }
        Authentication::Basic { username, password } => {
            let field = "spec.authentication.basic";
            let pair = [username.expose(), b":", password.expose()].concat();
            let value = format!("Basic {}", BASE64.encode(pair));
            let value = sendable(field, &AUTHORIZATION, value.as_bytes())?;
            Ok((AUTHORIZATION, value))
        }
        Authentication::Header { name, value } => {
            let field = "spec.authentication.header";
            let name = allowed(field, name)?;
            let value = sendable(field, &name, value.expose())?;
            Ok((name, value))
        }
    }
}

fn allowed(field: &'static str, name: &str) -> Result<HeaderName, PrepareError> {
    let lower = name.to_ascii_lowercase();
    let reserved = RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| lower.starts_with(prefix));
    if reserved {
        return Err(PrepareError {
            field,
            message: format!("`{lower}` is set by Parcelhook or by HTTP itself; remove it"),
        });
    }
    HeaderName::try_from(lower).map_err(|_| PrepareError {
        field,
        message: "a name holds characters that no header name may have".to_owned(),
    })
}

fn sendable(
    field: &'static str,
    name: &HeaderName,
    value: &[u8],
) -> Result<HeaderValue, PrepareError> {
    HeaderValue::from_bytes(value).map_err(|_| PrepareError {
        field,
        message: format!("the value of `{name}` holds control bytes; remove them"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parcelhook_crds::secret::Secret;

    use super::super::tests::fixtures;
    use super::*;

    fn stamp(signature: Option<&'static str>) -> Stamp {
        Stamp {
            timestamp: HeaderValue::from_static("1614265330"),
            signature: signature.map(HeaderValue::from_static),
        }
    }

    fn with_header(name: &str, value: &str) -> CompiledTarget {
        let mut target = fixtures::target("http://example.com/");
        target.endpoint.headers = vec![(name.to_owned(), value.to_owned())];
        target
    }

    #[test]
    fn every_header_that_frames_or_names_us_is_refused() {
        let ours = [
            "webhook-anything",
            "parcelhook-target",
            "content-type",
            "Content-Length",
            "ce-id",
            "HOST",
        ];
        for name in RESERVED.into_iter().chain(ours) {
            let error = Template::new(&with_header(name, "x"), None).err().unwrap();
            assert_eq!(error.field, "spec.endpoint.headers", "{name}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_sent_is_refused_without_being_shown() {
        let error = Template::new(&with_header("x-token", "hunter2\r\nx: y"), None)
            .err()
            .unwrap();
        assert!(error.message.contains("x-token") && !error.message.contains("hunter2"));
    }

    #[test]
    fn authentication_wins_over_a_header_of_the_same_name_and_is_sensitive() {
        let mut target = with_header("authorization", "mine");
        target.authentication = Some(Authentication::Bearer(Secret::new("token")));
        let template = Template::new(&target, None).unwrap();
        let values: Vec<_> = template.0.get_all(AUTHORIZATION).iter().collect();
        assert_eq!(values, ["Bearer token"]);
        assert!(values[0].is_sensitive());
    }

    #[test]
    fn credentials_become_the_header_of_their_kind() {
        let secret = |text: &str| Secret::new(text);
        let basic = Authentication::Basic {
            username: secret("Aladdin"),
            password: secret("open sesame"),
        };
        let (name, value) = credentials(&basic).unwrap();
        assert_eq!(
            (name, value.to_str().unwrap()),
            (AUTHORIZATION, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        let header = Authentication::Header {
            name: "X-Api-Key".to_owned(),
            value: secret("key"),
        };
        let (name, value) = credentials(&header).unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("x-api-key", "key")
        );
    }

    #[test]
    fn what_an_attempt_does_not_have_is_not_sent_empty() {
        let target = Arc::new(with_header("x-mine", "1"));
        let template = Template::new(&target, None).unwrap();
        let mut request = fixtures::request();
        request.content_type = None;
        request.traceparent = None;
        let headers = template.fill(&request, stamp(None));
        for name in [&WEBHOOK_SIGNATURE, &TRACEPARENT, &CONTENT_TYPE] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert!(headers.values().all(|value| !value.is_empty()));
    }

    #[test]
    fn filling_the_template_does_not_make_it_grow() {
        let target = with_header("x-mine", "1");
        let template = Template::new(&target, None).unwrap();
        let mut request = fixtures::request();
        request.format_headers.clear();
        let headers = template.fill(&request, stamp(Some("v1,x")));
        assert_eq!(headers.len(), template.0.len());
    }
}
