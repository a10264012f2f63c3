//! The ways into a broker: its listeners, and what a client needs for each.

use std::path::PathBuf;

use rdkafka::ClientConfig;

use crate::certificates::IdentityFiles;

/// A user that every broker knows, for PLAIN and both SCRAM mechanisms.
pub const USER: &str = "alice";
/// The password of [`USER`]. Tests search all output for it.
pub const PASSWORD: &str = "alice-knows-the-white-rabbit";

/// How a client reaches a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// As [`Access::Plaintext`], by a way on which requests can get lost ([`Kafka::lose`]).
    ///
    /// [`Kafka::lose`]: super::Kafka::lose
    Proxied,
    /// TLS; the broker shows a certificate of the private authority.
    Tls,
    /// TLS; the client shows a certificate too.
    MutualTls,
    /// A user and a password, in the clear.
    SaslPlaintext(Mechanism),
    /// A user and a password, over TLS.
    SaslTls(Mechanism),
}

/// How a user proves to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A challenge, with SHA-256.
    ScramSha256,
    /// A challenge, with SHA-512.
    ScramSha512,
}

impl Mechanism {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Its name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A socket that a broker listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    Plaintext,
    Proxied,
    Tls,
    MutualTls,
    SaslPlaintext,
    SaslTls,
    Controller,
}

impl Listener {
    pub(super) const ALL: [Self; 7] = [
        Self::Plaintext,
        Self::Proxied,
        Self::Tls,
        Self::MutualTls,
        Self::SaslPlaintext,
        Self::SaslTls,
        Self::Controller,
    ];

    /// Its name in the broker's properties.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Proxied => "PROXIED",
            Self::Tls => "TLS",
            Self::MutualTls => "MUTUAL_TLS",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslTls => "SASL_TLS",
            Self::Controller => "CONTROLLER",
        }
    }

    /// Its `security.protocol`.
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext | Self::Proxied | Self::Controller => "PLAINTEXT",
            Self::Tls | Self::MutualTls => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslTls => "SASL_SSL",
        }
    }
}

impl Access {
    pub(super) fn listener(self) -> Listener {
        match self {
            Self::Plaintext => Listener::Plaintext,
            Self::Proxied => Listener::Proxied,
            Self::Tls => Listener::Tls,
            Self::MutualTls => Listener::MutualTls,
            Self::SaslPlaintext(_) => Listener::SaslPlaintext,
            Self::SaslTls(_) => Listener::SaslTls,
        }
    }

    fn mechanism(self) -> Option<Mechanism> {
        match self {
            Self::Plaintext | Self::Proxied | Self::Tls | Self::MutualTls => None,
            Self::SaslPlaintext(mechanism) | Self::SaslTls(mechanism) => Some(mechanism),
        }
    }
}

/// Files that clients of a cluster need.
#[derive(Debug, Clone)]
pub struct ClientFiles {
    /// The certificate of the authority that signed the brokers' certificates.
    pub ca: PathBuf,
    /// A certificate that the brokers accept of a client.
    pub client: IdentityFiles,
}

/// A client's configuration for `access` to the brokers at `bootstrap`.
pub(super) fn client(access: Access, bootstrap: &str, files: &ClientFiles) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("security.protocol", access.listener().protocol());
    let path = |path: &PathBuf| path.display().to_string();
    if access.listener().protocol().ends_with("SSL") {
        config.set("ssl.ca.location", path(&files.ca));
    }
    if access == Access::MutualTls {
        config
            .set("ssl.certificate.location", path(&files.client.certificate))
            .set("ssl.key.location", path(&files.client.key));
    }
    if let Some(mechanism) = access.mechanism() {
        config
            .set("sasl.mechanism", mechanism.name())
            .set("sasl.username", USER)
            .set("sasl.password", PASSWORD);
    }
    config
}
