//! The webhook: where requests are sent, and how.
//!
//! The URL rules are regular expressions and not a URL parser's opinion, so that the API server,
//! directory mode and the worker agree about every text: parsers differ in what they repair.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pattern;
use super::secret_ref::{SecretKeyRef, SecretRef};

const ABSOLUTE: &str = "self.matches('^https?://[^/?#]')";
const ABSOLUTE_MESSAGE: &str =
    "must be an absolute 'http' or 'https' URL with a host, such as 'https://example.com/hook'";

const NO_USER: &str = "!self.matches('^[^/]*//[^/?#]*@')";
const NO_USER_MESSAGE: &str = "must not contain user information; use `authentication`";

const NO_FRAGMENT: &str = "!self.contains('#')";
const NO_FRAGMENT_MESSAGE: &str = "must not contain a fragment; remove the '#' and what follows it";

/// The characters of RFC 3986; a percent sign only before two hexadecimal digits.
const CHARACTERS: &str =
    r#"self.matches("^([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|\\[|\\]|%[0-9A-Fa-f]{2})*$")"#;
const CHARACTERS_MESSAGE: &str =
    "must contain only characters that are allowed in a URL; percent-encode the others";

/// A dotted IPv4 address, a name whose last label begins with a letter (any other ending is a
/// spelling of an IPv4 address to some parsers), or an IPv6 address in brackets. Where there is no
/// host at all, the rule about that speaks.
const HOST: &str = r"!self.matches('^https?://[^/?#]') || self.matches('^https?://([^/?#]*@)?((((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]))|([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?[.])*[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9_])?[.]?|\\[[0-9A-Fa-f:]*:[0-9A-Fa-f:]*\\])(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?([/?#]|$)')";
const HOST_MESSAGE: &str =
    "must have a host that is a DNS name or an IP address, and a port from 1 to 65535 or none";

const IPV6: &str = r"!self.matches('^https?://\\[[0-9A-Fa-f:]+\\](:[0-9]+)?([/?#]|$)') || isIP(self.substring(self.indexOf('[') + 1, self.indexOf(']')))";
const IPV6_MESSAGE: &str = "must have a valid IPv6 address between the brackets";

/// Headers that a worker sets itself, and those that belong to one connection (RFC 9110, 7.6.1).
pub(super) const RESERVED: &str = "!(self in ['host', 'user-agent', 'traceparent', 'tracestate', 'idempotency-key', 'connection', 'expect', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']) && !self.startsWith('content-') && !self.startsWith('webhook-') && !self.startsWith('ce-') && !self.startsWith('parcelhook-')";
pub(super) const RESERVED_MESSAGE: &str = "is a reserved header and may not be set; remove it: 'host', 'user-agent', 'traceparent', 'tracestate', 'idempotency-key', connection headers and names that begin with 'content-', 'webhook-', 'ce-' or 'parcelhook-' belong to the worker";

/// Where requests are sent, and how.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlSecretRef)")
        .message("exactly one of `url` and `urlSecretRef` must be set"),
    validation = Rule::new("!has(self.tls) || !has(self.url) || !self.url.startsWith('http:')")
        .message("may only be set for an 'https' URL; remove `tls` or change `url`")
        .field_path(".tls"),
)]
pub struct Endpoint {
    /// url is the webhook's absolute http or https URL. Use urlSecretRef when the URL itself holds
    /// a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new(ABSOLUTE).message(ABSOLUTE_MESSAGE),
        validation = Rule::new(NO_USER).message(NO_USER_MESSAGE),
        validation = Rule::new(NO_FRAGMENT).message(NO_FRAGMENT_MESSAGE),
        validation = Rule::new(CHARACTERS).message(CHARACTERS_MESSAGE),
        validation = Rule::new(HOST).message(HOST_MESSAGE),
        validation = Rule::new(IPV6).message(IPV6_MESSAGE),
    )]
    pub url: Option<String>,

    /// urlSecretRef is the key of a Secret that holds the URL. It obeys the same rules, and is
    /// never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<SecretKeyRef>,

    /// method is the HTTP method.
    #[serde(default)]
    pub method: Method,

    /// headers are sent with each request. Put secret values into authentication.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<HttpHeader>,

    /// tls is how the server's certificate is verified and which certificate is offered to it.
    /// Verification cannot be switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// HTTP method of a delivery.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// POST.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// PUT.
    #[serde(rename = "PUT")]
    Put,
}

/// A request header.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// name is the header's name in lower case.
    #[schemars(length(min = 1, max = 256), regex(pattern = pattern::HEADER_NAME))]
    #[x_kube(
        validation = Rule::new(RESERVED).message(RESERVED_MESSAGE),
        validation = Rule::new("self != 'authorization'")
            .message("must not be 'authorization'; use `authentication`, which takes the value from a Secret"),
    )]
    pub name: String,

    /// value is the header's value, in visible ASCII characters with spaces only between them.
    #[schemars(length(min = 1, max = 4096), regex(pattern = pattern::HEADER_VALUE))]
    pub value: String,
}

/// TLS of the connections to the webhook.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// caSecretRef is the key of a Secret that holds the certificate authorities to trust instead
    /// of the system's, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// clientCertificateSecretRef is a Secret of type kubernetes.io/tls (keys tls.crt and tls.key)
    /// with the certificate to offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<SecretRef>,

    /// serverName is the name to verify and to send as SNI instead of the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = pattern::HOST_NAME)
    )]
    pub server_name: Option<String>,

    /// minVersion is the lowest TLS version that is accepted.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// Lowest TLS version that is accepted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "TLS1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLS1.3")]
    Tls13,
}
