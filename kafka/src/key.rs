//! The names of the settings by which Kafka is reached.
//!
//! They follow one rule: `kafka.tls.ca` in a file is `--kafka-tls-ca` on a command line and
//! `PARCELHOOK_KAFKA_TLS_CA` in the environment.

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The brokers to ask first. A list.
    BootstrapServers,
    /// Whether TLS is spoken.
    TlsEnabled,
    /// File of the authorities to trust.
    TlsCa,
    /// File of the own certificate.
    TlsCertificate,
    /// File of its key.
    TlsKey,
    /// How the password is proved.
    SaslMechanism,
    /// The name.
    SaslUsername,
    /// File of the password.
    SaslPasswordFile,
    /// The password. Files are copied and flags are seen in `ps`, so it is in the environment alone.
    SaslPassword,
    /// Further properties of librdkafka.
    Properties,
}

impl Key {
    /// Every setting.
    pub const ALL: [Self; 10] = [
        Self::BootstrapServers,
        Self::TlsEnabled,
        Self::TlsCa,
        Self::TlsCertificate,
        Self::TlsKey,
        Self::SaslMechanism,
        Self::SaslUsername,
        Self::SaslPasswordFile,
        Self::SaslPassword,
        Self::Properties,
    ];

    /// The name in a file, dots between levels.
    pub const fn path(self) -> &'static str {
        match self {
            Self::BootstrapServers => "bootstrapServers",
            Self::TlsEnabled => "kafka.tls.enabled",
            Self::TlsCa => "kafka.tls.ca",
            Self::TlsCertificate => "kafka.tls.certificate",
            Self::TlsKey => "kafka.tls.key",
            Self::SaslMechanism => "kafka.sasl.mechanism",
            Self::SaslUsername => "kafka.sasl.username",
            Self::SaslPasswordFile => "kafka.sasl.passwordFile",
            Self::SaslPassword => "kafka.sasl.password",
            Self::Properties => "kafka.properties",
        }
    }

    /// The flag, without its dashes.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::BootstrapServers => "bootstrap-servers",
            Self::TlsEnabled => "kafka-tls-enabled",
            Self::TlsCa => "kafka-tls-ca",
            Self::TlsCertificate => "kafka-tls-certificate",
            Self::TlsKey => "kafka-tls-key",
            Self::SaslMechanism => "kafka-sasl-mechanism",
            Self::SaslUsername => "kafka-sasl-username",
            Self::SaslPasswordFile => "kafka-sasl-password-file",
            Self::SaslPassword => "kafka-sasl-password",
            Self::Properties => "kafka-properties",
        }
    }

    /// The environment variable.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::BootstrapServers => "PARCELHOOK_BOOTSTRAP_SERVERS",
            Self::TlsEnabled => "PARCELHOOK_KAFKA_TLS_ENABLED",
            Self::TlsCa => "PARCELHOOK_KAFKA_TLS_CA",
            Self::TlsCertificate => "PARCELHOOK_KAFKA_TLS_CERTIFICATE",
            Self::TlsKey => "PARCELHOOK_KAFKA_TLS_KEY",
            Self::SaslMechanism => "PARCELHOOK_KAFKA_SASL_MECHANISM",
            Self::SaslUsername => "PARCELHOOK_KAFKA_SASL_USERNAME",
            Self::SaslPasswordFile => "PARCELHOOK_KAFKA_SASL_PASSWORD_FILE",
            Self::SaslPassword => "PARCELHOOK_KAFKA_SASL_PASSWORD",
            Self::Properties => "PARCELHOOK_KAFKA_PROPERTIES",
        }
    }
}
