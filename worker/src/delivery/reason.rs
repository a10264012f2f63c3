//! The words for why an attempt failed.

/// Why an attempt failed: a closed set, used as REASON, as metric label and in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It did not fail.
    Delivered,
    /// The target asked for less.
    Throttled,
    /// The target answered 410.
    Gone,
    /// The target refused the events.
    Rejected,
    /// The target answered with a status that has no reason of its own.
    HttpStatus,
    /// The target refused the credentials: 401, 403, 407.
    AuthenticationFailed,
    /// The target answered 3xx, which is never followed.
    Redirected,
    /// What came back was not HTTP, or was over the limits of a response head.
    MalformedResponse,
    /// The deadline passed.
    Timeout,
    /// The host's name has no address.
    NameNotResolved,
    /// Nobody listens at the address.
    ConnectionRefused,
    /// The connection, or its stream, ended before the response head.
    ConnectionReset,
    /// No connection, for another cause: no route, no local port.
    ConnectFailed,
    /// TLS could not be agreed on.
    TlsHandshakeFailed,
    /// The server's certificate does not verify.
    InvalidCertificate,
    /// The server refused the worker's certificate, or asked for one.
    ClientCertificateRefused,
    /// The operator's egress policy forbids the address.
    EgressDenied,
    /// The request failed in a way that has no better word.
    RequestFailed,
    /// No attempt was made: the target cannot be used as it is configured.
    InvalidConfiguration,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 19] = [
        Self::Delivered,
        Self::Throttled,
        Self::Gone,
        Self::Rejected,
        Self::HttpStatus,
        Self::AuthenticationFailed,
        Self::Redirected,
        Self::MalformedResponse,
        Self::Timeout,
        Self::NameNotResolved,
        Self::ConnectionRefused,
        Self::ConnectionReset,
        Self::ConnectFailed,
        Self::TlsHandshakeFailed,
        Self::InvalidCertificate,
        Self::ClientCertificateRefused,
        Self::EgressDenied,
        Self::RequestFailed,
        Self::InvalidConfiguration,
    ];

    /// The reason of that word; a word of a later version is [`Reason::RequestFailed`].
    pub fn from_word(word: &str) -> Self {
        let known = Self::ALL.into_iter().find(|reason| reason.as_str() == word);
        known.unwrap_or(Self::RequestFailed)
    }

    /// The CamelCase word that people, labels and logs see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered",
            Self::Throttled => "Throttled",
            Self::Gone => "Gone",
            Self::Rejected => "Rejected",
            Self::HttpStatus => "HTTPStatus",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::Redirected => "Redirected",
            Self::MalformedResponse => "MalformedResponse",
            Self::Timeout => "Timeout",
            Self::NameNotResolved => "NameNotResolved",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::ConnectionReset => "ConnectionReset",
            Self::ConnectFailed => "ConnectFailed",
            Self::TlsHandshakeFailed => "TLSHandshakeFailed",
            Self::InvalidCertificate => "InvalidCertificate",
            Self::ClientCertificateRefused => "ClientCertificateRefused",
            Self::EgressDenied => "EgressDenied",
            Self::RequestFailed => "RequestFailed",
            Self::InvalidConfiguration => "InvalidConfiguration",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_one_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for word in words {
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
        }
    }
}
