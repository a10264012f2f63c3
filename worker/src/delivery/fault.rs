//! Reads the errors of the HTTP client: which fault it was, and a line for people.
//!
//! An error here is a chain of foreign types, so each cause is looked at in turn. The line never holds
//! the URL, its host or a credential: it is our own sentence for the fault, and at most the words of the
//! operating system or of the protocol.

use std::error::Error;
use std::io;
use std::iter;

use rustls::{AlertDescription, CertificateError};

use super::egress::Denied;
use super::outcome::Fault;

type Cause = dyn Error + 'static;

/// Which fault ended a request, and one line about it. `encrypted`: the URL is https.
pub(crate) fn read(error: &reqwest::Error, encrypted: bool) -> (Fault, String) {
    causes(error)
        .find_map(known)
        .or_else(|| flattened(error))
        .unwrap_or_else(|| by_phase(error, encrypted))
}

/// The causes of an error, outermost first. An `io::Error` hides the error that it wraps from
/// [`Error::source`]; here it does not.
fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    iter::successors(Some(error), |&cause| {
        let wrapped = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner as &Cause),
            None => cause.source(),
        }
    })
}

/// A cause that says by itself what went wrong.
fn known(cause: &Cause) -> Option<(Fault, String)> {
    if let Some(denied) = cause.downcast_ref::<Denied>() {
        return Some((Fault::EgressDenied, denied.to_string()));
    }
    cause.downcast_ref::<rustls::Error>().map(tls)
}

/// Alerts by which a server says that our certificate is at fault, or missing.
const REFUSALS: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::CertificateRequired,
];

/// In TLS 1.3 a server refuses our certificate only after the handshake, and HTTP/2 keeps no more of
/// such an error than its text: so the texts are compared.
fn flattened(error: &reqwest::Error) -> Option<(Fault, String)> {
    let text = causes(error).last()?.to_string();
    REFUSALS
        .into_iter()
        .map(rustls::Error::AlertReceived)
        .find(|alert| text.ends_with(&alert.to_string()))
        .map(|alert| tls(&alert))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign and open: what is not named is an ordinary fault of its kind"
)]
fn tls(error: &rustls::Error) -> (Fault, String) {
    match error {
        rustls::Error::InvalidCertificate(error) => {
            (Fault::InvalidCertificate, certificate(error).to_owned())
        }
        rustls::Error::AlertReceived(alert) if REFUSALS.contains(alert) => {
            let line = format!("the server refuses the worker's certificate: {error}");
            (Fault::ClientCertificateRefused, line)
        }
        _ => (Fault::TlsHandshake, format!("TLS failed: {error}")),
    }
}

/// Our own words, for those of rustls hold the host's name, which may be a secret.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign and open: what is not named is an ordinary fault of its kind"
)]
fn certificate(error: &CertificateError) -> &'static str {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "the server's certificate has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet"
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "the server's certificate is for another name; spec.endpoint.tls.serverName can name it"
        }
        E::UnknownIssuer => {
            "the server's certificate is signed by an unknown authority; spec.endpoint.tls.caSecretRef can hold it"
        }
        E::Revoked => "the server's certificate is revoked",
        E::BadEncoding => "the server's certificate cannot be read",
        E::BadSignature => "the server's certificate is badly signed",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers"
        }
        _ => "the server's certificate cannot be trusted",
    }
}

/// No cause speaks for itself: where in the request it happened does.
fn by_phase(error: &reqwest::Error, encrypted: bool) -> (Fault, String) {
    let protocol = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    let kind = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last()
        .map(io::Error::kind);
    let connecting = error.is_connect();
    let (fault, line) = if error.is_timeout() {
        (Fault::Timeout, "no answer in time")
    } else if error.is_dns() {
        (Fault::NameNotResolved, "the host's name cannot be resolved")
    } else if kind == Some(io::ErrorKind::ConnectionRefused) {
        (
            Fault::ConnectionRefused,
            "nobody listens at the host's port",
        )
    } else if connecting && encrypted && kind.is_some_and(ends_a_connection) {
        (
            Fault::TlsHandshake,
            "the connection ended during the TLS handshake",
        )
    } else if connecting {
        (Fault::ConnectFailed, "the host cannot be connected to")
    } else if protocol.is_some_and(hyper::Error::is_parse) {
        (
            Fault::MalformedResponse,
            "the response is not HTTP, or its head is too large",
        )
    } else if protocol.is_some() || kind.is_some_and(ends_a_connection) {
        (
            Fault::ConnectionReset,
            "the connection ended before the response head",
        )
    } else {
        (Fault::RequestFailed, "the request failed")
    };
    (fault, with_root_cause(line, error))
}

fn ends_a_connection(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof
            | Kind::NotConnected
    )
}

/// Adds the words of the innermost cause, which belong to the system or the protocol. The outermost
/// error is the client's own and may print the URL: it is never used.
fn with_root_cause(line: &str, error: &reqwest::Error) -> String {
    match causes(error).skip(1).last() {
        Some(root) if !root.is::<reqwest::Error>() => format!("{line}: {root}"),
        Some(_) | None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_faults_are_somebodys_configuration_and_handshake_faults_are_not() {
        use rustls::Error as E;
        for (error, fault) in [
            (
                E::InvalidCertificate(CertificateError::Expired),
                Fault::InvalidCertificate,
            ),
            (
                E::InvalidCertificate(CertificateError::UnknownIssuer),
                Fault::InvalidCertificate,
            ),
            (
                E::AlertReceived(AlertDescription::CertificateRequired),
                Fault::ClientCertificateRefused,
            ),
            (
                E::AlertReceived(AlertDescription::UnknownCA),
                Fault::ClientCertificateRefused,
            ),
            (
                E::AlertReceived(AlertDescription::HandshakeFailure),
                Fault::TlsHandshake,
            ),
            (
                E::AlertReceived(AlertDescription::ProtocolVersion),
                Fault::TlsHandshake,
            ),
            (E::NoCertificatesPresented, Fault::TlsHandshake),
            (E::DecryptError, Fault::TlsHandshake),
        ] {
            assert_eq!(tls(&error).0, fault, "{error:?}");
        }
    }

    #[test]
    fn a_wrong_name_is_reported_without_the_name() {
        let error = CertificateError::NotValidForNameContext {
            expected: "secret.example".try_into().unwrap(),
            presented: vec!["DnsName(\"other.example\")".to_owned()],
        };
        let (_, line) = tls(&rustls::Error::InvalidCertificate(error));
        assert!(!line.contains("example"), "{line}");
    }

    #[test]
    fn a_cause_inside_nested_io_errors_is_found() {
        let inner = io::Error::other(Denied::Private("10.0.0.0/8"));
        let outer = io::Error::other(inner);
        let found = causes(&outer).find_map(known);
        assert!(matches!(found, Some((Fault::EgressDenied, _))));
    }
}
